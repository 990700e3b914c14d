"""Manifests in `samples/`: each invalid one says in its head what the loader must say of it, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.admission import Admission
from tiltyard.api import (
    ManifestError,
    load_tournament,
    problems_on_cluster,
    problems_on_machine,
    tournament_from_object,
    unsupported,
)

SAMPLES = Path(__file__).parent / "samples"
EXAMPLES = Path(__file__).parents[3] / "examples"
VALID = sorted((SAMPLES / "valid").glob("*.yaml"))
INVALID = sorted((SAMPLES / "invalid").glob("*.yaml"))


def in_head(path: Path, mark: str) -> list[str]:
    return [line.removeprefix(mark).strip() for line in path.read_text().splitlines() if line.startswith(mark)]


def document(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_manifest_loads_and_a_cluster_admits_it(path: Path, admission: Admission) -> None:
    tournament = load_tournament(path)
    assert problems_on_cluster(tournament) == []
    assert admission.unknown_fields({**document(path), "metadata": {}}) == []
    assert admission.refusals(document(path)) == []


@pytest.mark.parametrize("path", [*VALID, *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda path: path.stem)
def test_a_manifest_written_out_and_read_again_is_the_same(path: Path) -> None:
    tournament = load_tournament(path)
    assert load_tournament(yaml.safe_dump(tournament.model_dump(mode="json", exclude_none=True))) == tournament


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_the_clusters_defaults_are_those_of_the_models(path: Path, admission: Admission) -> None:
    assert tournament_from_object(admission.defaulted(document(path))).spec == load_tournament(path).spec


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_manifest_gets_its_sentences(path: Path) -> None:
    expected, expected_on_cluster = in_head(path, "# problem:"), in_head(path, "# cluster:")
    assert expected or expected_on_cluster
    if expected:
        with pytest.raises(ManifestError) as caught:
            load_tournament(path)
        assert [str(problem) for problem in caught.value.problems] == expected
        assert str(caught.value) == "\n".join(f"{path}: {sentence}" for sentence in expected)
    else:
        assert [str(problem) for problem in problems_on_cluster(load_tournament(path))] == expected_on_cluster


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_cluster_refuses_an_invalid_manifest_unless_its_head_says_why_not(path: Path, admission: Admission) -> None:
    if in_head(path, "# not in the CRD:"):
        return
    given = document(path)
    refusals = admission.refusals(given) + admission.unknown_fields({**given, "metadata": {}})
    assert refusals


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_the_crds_rules_speak_in_the_loaders_sentences(path: Path, admission: Admission) -> None:
    said = " ".join(in_head(path, "# problem:") + in_head(path, "# cluster:"))
    for refusal in admission.refusals(document(path)):
        if not refusal.startswith(("$", ".", ":")):  # a rule's sentence, not the schema's
            assert refusal in said


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_runs_on_one_machine_with_this_release(path: Path) -> None:
    tournament = load_tournament(path)
    assert unsupported(tournament) == []
    assert problems_on_machine(tournament, folder_given=True) == []
