from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiltyard.api.base import ApiModel
from tiltyard.api.crd import CHART_FILE, crd_text, main
from tiltyard.api.fields import model_in
from tiltyard.api.tournament import Tournament

ROOT = Path(__file__).parents[3]
SMALL_ENOUGH = 200_000  # bytes as JSON; `kubectl apply` keeps a copy in an annotation of at most 262,144


def schema_of(crd: dict[str, Any]) -> dict[str, Any]:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from nodes(schema[word], f"{path}[]")


def models(model: type[ApiModel]) -> Iterator[type[ApiModel]]:
    yield model
    for field in model.model_fields.values():
        if (inner := model_in(field.annotation)) is not None:
            yield from models(inner)


def test_the_charts_copy_is_what_the_models_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, "run: python -m tiltyard.api.crd --write"


def test_check_names_the_command_that_mends_a_drifted_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chart" / "crd.yaml"
    assert main(["--check", str(path)]) == 1
    assert (
        capsys.readouterr().err
        == f"{path} is not what the models say; run: python -m tiltyard.api.crd --write {path}\n"
    )
    for _ in range(2):
        assert main(["--write", str(path)]) == 0
        assert main(["--check", str(path)]) == 0
    path.write_text(path.read_text().replace("maximum: 400", "maximum: 401"))
    assert main(["--check", str(path)]) == 1


def test_without_an_option_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == crd_text()


def test_it_is_small(crd: dict[str, Any]) -> None:
    assert len(json.dumps(crd).encode()) < SMALL_ENOUGH
    assert yaml.safe_load(crd_text()) == crd


def test_the_schema_is_structural_and_bounded(crd: dict[str, Any]) -> None:
    forbidden = {
        "$ref",
        "$defs",
        "anyOf",
        "allOf",
        "oneOf",
        "const",
        "uniqueItems",
        "title",
        "propertyNames",
        "nullable",
    }
    for path, node in nodes(schema_of(crd)):
        assert not forbidden & node.keys(), path
        assert "patternProperties" not in node, path
        assert not {"properties", "additionalProperties"} <= node.keys(), path
        if "x-kubernetes-int-or-string" not in node:
            assert node["type"] in {"object", "array", "string", "integer", "boolean"}, path
        if path in (".apiVersion", ".kind", ".metadata"):
            continue  # the API server's own
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
        if node.get("type") == "object":
            assert node.keys() & {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}, path


def test_every_field_explains_itself(crd: dict[str, Any]) -> None:
    for path, node in nodes(schema_of(crd)):
        if path and not path.endswith("[]") and path not in (".apiVersion", ".kind", ".metadata"):
            assert node.get("description", "").endswith((".", "%.")), path


def test_a_documented_default_is_the_default(crd: dict[str, Any]) -> None:
    documented = 0
    for path, node in nodes(schema_of(crd)):
        said = re.search(r"Default: (.*)\.$", node.get("description", ""))
        if said is None or path.endswith((".resources", ".formats")):  # said in words
            continue
        default = node["default"]
        said_values = said[1].split(", ") if isinstance(default, list) else [said[1]]
        values = default if isinstance(default, list) else [default]
        assert [_plain(value) for value in said_values] == [_plain(value) for value in values], path
        documented += 1
    assert documented > 40


def _plain(value: object) -> object:
    text = str(value).lower()
    return float(text) if re.fullmatch(r"[0-9.e-]+", text) else text


def test_every_rule_that_cel_can_say_is_there_in_its_own_words(crd: dict[str, Any]) -> None:
    rules = {
        rule for model in models(Tournament) for rule in (*model.RULES, *model.CLUSTER_RULES) if rule.cel is not None
    }
    there = [v for _, node in nodes(schema_of(crd)) for v in node.get("x-kubernetes-validations", ())]
    assert len(rules) > 12
    for rule in rules:
        assert rule.to_validation() in there
    for validation in there:
        assert "\n" not in validation["message"]
        assert len(validation["message"]) < 256
    assert {rule.sentence for model in models(Tournament) for rule in model.RULES if rule.cel is None} == {
        "must not be here, since Tiltyard sets it",
        "must be unique: header names are case-insensitive",
        "must be set once: remove the other variable of this name",  # the type of the list says it in the CRD
        "must be the path of one mount: give each a path of its own",  # likewise
        "must be the name of one volume: give each a name of its own",
        "must not be task, work, tmp: these are Tiltyard's own; use another name",
        "must not be task, work, tmp, shm: these are Tiltyard's own; use another name",
        "must fit into spec.serving.budget on its own, or the model can never start",
        "must not share its environment variable with another API key or header: rename the Secret or its key",
        "needs a weights claim that several nodes can mount: set serving.weights.claim.accessMode to ReadWriteMany, if"
        " the storage class has it",
        "must not be set with serving.weights.cache, whose downloads are KServe's own: attach the Secret to the service"
        " account that cache.serviceAccountName names, or use serving.weights.claim",
        "must not name a mirror of the hub with serving.weights.cache, whose downloads are KServe's own: use"
        " serving.weights.claim",
        "must be priced once: remove the other price of this endpoint",
        "must be at most 262144 bytes together, keys and values",  # the API server's own rule
        "must not be weights, weights-tmp: these are Tiltyard's own; use another name",
    }


def test_maps_and_sets_are_marked(crd: dict[str, Any]) -> None:
    by_path = dict(nodes(schema_of(crd)))
    for path in (".spec.competitors", ".spec.judges"):
        assert by_path[path]["x-kubernetes-list-type"] == "map"
        assert by_path[path]["x-kubernetes-list-map-keys"] == ["name"]
    for path in (".status.stages", ".status.models", ".status.leaderboard"):
        assert by_path[path]["x-kubernetes-list-type"] == "atomic"
    assert by_path[".status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert by_path[".spec.dataset.formats"]["x-kubernetes-list-type"] == "set"


def test_the_output_is_required_on_a_cluster_alone(crd: dict[str, Any]) -> None:
    assert schema_of(crd)["properties"]["spec"]["required"] == ["competitors", "instructions", "output"]


def test_names_columns_and_subresources(crd: dict[str, Any]) -> None:
    assert crd["metadata"]["name"] == "tournaments.tiltyard.dev"
    assert crd["spec"]["names"]["shortNames"] == ["tt"]
    assert crd["spec"]["names"]["categories"] == ["all"]
    (version,) = crd["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    columns = version["additionalPrinterColumns"]
    assert [c["name"] for c in columns if c["priority"] == 0] == ["Phase", "Progress", "Records", "Leader", "Age"]
    wide = ["ETA", "Records/s", "Tokens/s", "Queue", "Reason", "Suspended"]
    assert [c["name"] for c in columns if c["priority"] == 1] == wide
    assert [c["name"] for c in columns if c["type"] == "date"] == ["Age"], "kubectl prints a date as the time since it"


def test_the_chart_installs_the_same_file() -> None:
    template = (ROOT / "charts/tiltyard/templates/crds.yaml").read_text()
    assert f'.Files.Get "files/{CHART_FILE.name}"' in template
    assert ".Values.crds.install" in template
    assert '"helm.sh/resource-policy" "keep"' in template
