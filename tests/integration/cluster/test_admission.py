"""The samples against the CRD in a real API server: its schema, its CEL and the cost limits of it."""

from __future__ import annotations

import json
import os
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from support.fuzzed_manifests import as_text, fuzzed
from tiltyard.api import ManifestError, Problem, load_tournament, problems_on_cluster

pytestmark = pytest.mark.xdist_group("cluster")

SAMPLES = Path(__file__).parents[2] / "unit" / "api" / "samples"
EXAMPLES = int(os.environ.get("TILTYARD_FUZZ", "200"))
PYTHON_ALONE = (
    "must have only parameters that a simulated expert takes",  # their values
    "must fit into spec.serving.budget",
)
"""Words of what only `validate` refuses: CEL cannot say it."""
DRY_RUN = "/apis/tiltyard.dev/v1alpha1/namespaces/default/tournaments?dryRun=All&fieldValidation=Strict"


def refusal(plane: ControlPlane, path: Path) -> str | None:
    """What the API server says of a manifest; None: it takes it."""
    return refusal_of(plane, yaml.safe_load(path.read_text()))


def refusal_of(plane: ControlPlane, document: dict[str, Any]) -> str | None:
    """Likewise of what stands in it."""
    document.setdefault("metadata", {}).pop("namespace", None)
    try:
        plane.request("POST", DRY_RUN, document)
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["message"])
    return None


def without_nulls(value: Any) -> Any:
    """Without a misspelt field that is null: `validate` takes it as absent, a strict API server does not."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


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


def test_the_api_server_and_validate_agree_on_changed_manifests(plane: ControlPlane) -> None:
    stricter, laxer = [], []
    for seed in range(EXAMPLES):
        document = fuzzed(seed)
        problems: Sequence[Problem] = ()
        try:
            problems = problems_on_cluster(load_tournament(as_text(document)))
        except ManifestError as error:
            problems = error.problems
        said = refusal_of(plane, without_nulls(document))
        if said is not None and not problems:
            stricter.append((seed, said))
        if said is None and not all(any(words in str(problem) for words in PYTHON_ALONE) for problem in problems):
            laxer.append((seed, [str(problem) for problem in problems]))
    assert (stricter, laxer) == ([], [])
