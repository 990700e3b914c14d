"""`tiltyard explain`."""

from __future__ import annotations

import pytest

from generate_manifest_docs import sections
from tiltyard.api.fields import wire_fields
from tiltyard.cli import main
from tiltyard.cli.described import meaning
from tiltyard.cli.explain import lines
from tiltyard.sdk.errors import UserError


def explained(path: str, *, recursive: bool = False) -> str:
    return "\n".join(lines(path, recursive=recursive, width=1000))


def test_every_field_of_the_manifest_is_explained_by_its_own_text() -> None:
    for section in sections():
        for path in section.paths:
            above = explained(path)
            for name, field in wire_fields(section.model).items():
                said = explained(f"{path}.{name}")
                assert f"FIELD:    {path}.{name} <".replace("[]", "").replace("    .", "    ") in said
                assert meaning(field) in said
                assert meaning(field) in above


def test_a_mapping_is_explained_with_its_rules_and_defaults() -> None:
    said = explained("spec.battles.verdict")
    assert "must have at most one of criteria, criteriaText and rubric" in said
    assert 'method <Logprobs, Choice or Reasoned> (default: "Logprobs")' in said


def test_all_that_is_below_a_field() -> None:
    said = explained("spec.battles", recursive=True).split("FIELDS:\n")[1].splitlines()
    assert "  verdict <mapping>" in said
    assert "    rubric <list (at most 32) of: mapping>" in said
    assert any(line.startswith("      weight <") for line in said)


@pytest.mark.parametrize(
    "path", ["spec.competitors[0].name", "spec.competitors.name", "Tournament.spec.competitors[].name"]
)
def test_a_path_may_be_one_of_a_message_or_of_kubectl(path: str) -> None:
    assert "FIELD:    spec.competitors.name <a DNS label" in explained(path)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "spec.battles.verdic",
            'verdic is not a field of spec.battles, did you mean "verdict"; allowed: pairing',
        ),
        ("instructions", 'instructions is not a field of Tournament, did you mean "spec.instructions"'),
        ("spek", 'spek is not a field of Tournament, did you mean "spec"'),
        ("spec.competitors.name.x", "spec.competitors.name has no fields"),
    ],
)
def test_a_field_that_there_is_not(path: str, sentence: str) -> None:
    with pytest.raises(UserError, match=r" has no fields| is not a field of ") as refused:
        explained(path)
    assert sentence in str(refused.value)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "spec.rating", "--recursive"]) == 0
    kind, version, field, *_ = capsys.readouterr().out.splitlines()
    assert (kind, version) == ("KIND:     Tournament", "VERSION:  tiltyard.dev/v1alpha1")
    assert field.startswith("FIELD:    spec.rating <mapping>")
    assert main(["explain", "spec.ratin"]) == 2


def test_what_tells_a_manifest_is_never_taken_for_granted() -> None:
    for said in (explained(""), explained("apiVersion")):
        assert "apiVersion <tiltyard.dev/v1alpha1> (required)" in said
