"""The samples against the CRD in a real API server: its schema, its CEL and the cost limits of it."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from support.agreement import PATH, DryRuns, judged
from support.fuzzed_manifests import Fuzzed, fuzzed
from support.schema_manifests import from_schema
from tiltyard.api import tournament_from_object

pytestmark = pytest.mark.xdist_group("cluster")

SAMPLES = Path(__file__).parents[2] / "unit" / "api" / "samples"
MANIFESTS = 200
"""`make fuzz COUNT=10000` tries more."""


def refusal(plane: ControlPlane, path: Path) -> str | None:
    """What the API server says of a manifest; None: it takes it."""
    return refusal_of(plane, yaml.safe_load(path.read_text()))


def refusal_of(plane: ControlPlane, document: dict[str, Any]) -> str | None:
    """Likewise of what stands in it."""
    document.setdefault("metadata", {}).pop("namespace", None)
    try:
        plane.request("POST", PATH, document)
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["message"])
    return None


def heads(path: Path, mark: str) -> list[str]:
    return [line.removeprefix(mark).strip() for line in path.read_text().splitlines() if line.startswith(mark)]


def test_valid_manifests_are_admitted(plane: ControlPlane) -> None:
    paths = sorted((SAMPLES / "valid").glob("*.yaml"))
    assert {path.stem: refusal(plane, path) for path in paths} == {path.stem: None for path in paths}


def test_invalid_manifests_are_refused_with_the_sentence_of_validate(plane: ControlPlane) -> None:
    admitted, speechless = [], []
    for path in sorted((SAMPLES / "invalid").glob("*.yaml")):
        if heads(path, "# not in the CRD:"):
            continue
        said = refusal(plane, path)
        if said is None:
            admitted.append(path.stem)
            continue
        # A rule of ours is told in our words; the schema's own refusals are told in the API server's.
        sentences = [*heads(path, "# problem:"), *heads(path, "# cluster:")]
        rules = [sentence.partition(": ")[2].partition(", given")[0] for sentence in sentences]
        words = ("validation rules were not checked", "should have at least", "Unsupported value")
        by_schema = any(word in said for word in words) or "must" not in said
        if not by_schema and not any(rule in said for rule in rules):
            speechless.append((path.stem, said))
    assert admitted == []
    assert speechless == []


def test_a_misspelt_field_is_named(plane: ControlPlane) -> None:
    said = refusal(plane, SAMPLES / "invalid" / "misspelt-fields.yaml")
    assert said is not None
    assert "unknown field" in said


@pytest.mark.parametrize("make", [fuzzed, from_schema], ids=["from-samples", "from-schema"])
def test_the_api_server_and_validate_agree_on_changed_manifests(
    plane: ControlPlane, make: Callable[[int], Fuzzed]
) -> None:
    with closing(DryRuns.of(plane)) as dry_runs:
        verdicts = [judged(seed, dry_runs.ask, make) for seed in range(MANIFESTS)]
    assert [str(verdict) for verdict in verdicts if verdict.disagreement] == []
    assert sum(verdict.taken for verdict in verdicts) > MANIFESTS / 10


def test_metadata_that_the_api_server_accepts_makes_no_tournament_invalid(plane: ControlPlane) -> None:
    document = yaml.safe_load((SAMPLES / "valid" / "minimal.yaml").read_text())
    document["metadata"] = {
        "name": "annotated",
        "annotations": {"Example.com/Note": "a", "\N{KELVIN SIGN}": "k", "last-applied": "x" * 200_000},
        "finalizers": ["a" * 240 + ".example.com/" + "b" * 63],
    }
    stored = plane.request("POST", PATH, document)
    assert stored["metadata"]["annotations"] == document["metadata"]["annotations"]
    assert tournament_from_object(stored).metadata.uid == stored["metadata"]["uid"]
