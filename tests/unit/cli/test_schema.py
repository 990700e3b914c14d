"""The JSON schemas of the manifest and of what the commands print."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from support.documents import ROOT
from support.manifests import manifest
from tiltyard.api import Condition, ShardCounts, StageStatus, TournamentStatus
from tiltyard.api.yamlfile import parse_yaml
from tiltyard.cli import main
from tiltyard.cli.manifest_arguments import PRINTED
from tiltyard.cli.printing import as_text
from tiltyard.cli.schema import KINDS, schema_of, schema_text
from tiltyard.sdk.plan_document import plan_document
from tiltyard.sdk.status_document import status_document

SCHEMA = schema_of("Tournament")
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
VALID = sorted((ROOT / "tests/unit/api/samples/valid").glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=../docs/tournament.schema.json"


def checked(document: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(document)


def test_the_file_for_editors_is_up_to_date() -> None:
    file = ROOT / "docs/tournament.schema.json"
    assert file.read_text() == schema_text("Tournament"), "tiltyard schema > docs/tournament.schema.json"


@pytest.mark.parametrize("path", [*EXAMPLES, *VALID], ids=lambda path: path.name)
def test_every_example_validates(path: Path) -> None:
    checked(parse_yaml(path.read_text()), SCHEMA)  # without nulls, as everywhere


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_names_the_schema_for_editors(path: Path) -> None:
    assert path.read_text().splitlines()[0] == MODELINE
    assert (path.parent / MODELINE.partition("=")[2]).is_file()


BAD: list[tuple[tuple[str | int, ...], Any]] = [
    (("kind",), "Turnament"),
    (("apiVersion",), "tiltyard.dev/v2"),
    (("spec", "competitors", 0, "nmae"), "x"),
    (("spec", "competitors", 0, "name"), "Not A Label"),
    (("spec", "battles"), {"verdict": {"method": "Guess"}}),
    (("spec", "jobs"), {"shardSize": "4"}),
    (("spec", "rating"), {"alpha": 0.5}),
    (("spec", "competitors"), "all"),
]


@pytest.mark.parametrize(("path", "value"), BAD, ids=[".".join(map(str, path)) for path, _ in BAD])
def test_a_bad_manifest_does_not(path: tuple[str | int, ...], value: Any) -> None:
    document = copy.deepcopy(manifest(3))
    checked(document, SCHEMA)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        checked(document, SCHEMA)


@pytest.mark.parametrize("field", ["apiVersion", "kind", "metadata", "spec"])
def test_what_is_missing_is_seen(field: str) -> None:
    document = manifest(3)
    del document[field]
    with pytest.raises(jsonschema.ValidationError):
        checked(document, SCHEMA)


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_is_required_that_may_have_no_value(kind: str) -> None:
    """A field without a value is left out of a document."""
    schema = schema_of(kind)
    for name, part in {kind: schema, **schema.get("$defs", {})}.items():
        for field in part.get("required", ()):
            assert {"type": "null"} not in part["properties"][field].get("anyOf", ()), f"{name}.{field}"


def test_the_help_names_every_kind() -> None:
    assert tuple(KINDS) == PRINTED


def test_the_command_knows_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ["Tournament", *KINDS]:
        assert main(["schema", kind]) == 0
        schema = json.loads(capsys.readouterr().out)
        jsonschema.Draft202012Validator.check_schema(schema)
        version = schema["properties"]["apiVersion"]["const"]
        assert version == ("tiltyard.dev/v1alpha1" if kind == "Tournament" else "cli.tiltyard.dev/v1alpha1")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_validate_prints(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump(manifest(3)))
    bad.write_text(yaml.safe_dump(manifest(3, battles={"pairing": "Some"})))
    assert main(["validate", str(good), str(bad), "-o", form]) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out) if form == "json" else yaml.safe_load(printed.out)
    checked(document, schema_of("Validation"))
    assert [(each["file"], each["valid"]) for each in document["files"]] == [(str(good), True), (str(bad), False)]
    (problem,) = document["files"][1]["problems"]
    assert problem["path"] == "spec.battles.pairing"
    assert printed.err == f"{bad}: {problem['path']}: {problem['message']}\n"


def test_a_plan_as_a_document() -> None:
    from tiltyard.api import load_tournament
    from tiltyard.plan.build import build_graph
    from tiltyard.plan.estimate import estimate
    from tiltyard.plan.weights import expected_loading

    graph = build_graph(load_tournament(yaml.safe_dump(manifest(3))))
    loading = expected_loading(graph, {"m0": 5}, {"m0": 1}, {})
    document = json.loads(as_text(plan_document(graph, {}, estimate(graph, {}), {"m0": 1}, None, loading), "json"))
    checked(document, schema_of("Plan"))
    assert document["modelLoads"] == {"total": 1, "byModel": {"m0": 1}, "weightsBytes": {"m0": 5}}
    assert sum(bundle["calls"] for bundle in document["bundles"]) == document["total"]["calls"] > 0


@pytest.mark.parametrize(
    ("ended", "at_work", "activity"),
    [(None, True, "Running"), (None, False, "Interrupted"), ("Failed", False, "Ended"), ("Complete", True, "Ended")],
)
def test_a_status_says_whether_a_process_is_at_work(ended: str | None, at_work: bool, activity: str) -> None:
    conditions = [
        Condition.model_validate_json(
            json.dumps({"type": ended, "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"})
        )
        for _ in filter(None, [ended])
    ]
    stage = StageStatus(name="Mining", state="Running", shards=ShardCounts(total=4, succeeded=1))
    status = TournamentStatus(phase="Mining", stages=(stage,), conditions=tuple(conditions))
    document = json.loads(as_text(status_document(status, "test", at_work=at_work), "json"))
    checked(document, schema_of("Status"))
    assert (document["kind"], document["activity"]) == ("Status", activity)
