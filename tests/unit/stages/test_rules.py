"""The small decisions of the stages."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import CurateRecipe
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.stages.authors import SmokeCheck
from tiltyard_jobs.stages.curate import curated_row, reason_of
from tiltyard_jobs.stages.filter import Finding, look_at

TASK = "Write a function that reverses a linked list."


def curate_recipe(keep: tuple[str, ...], *, graded: bool = True) -> CurateRecipe:
    grades = (ArtifactRef(stage="grade", key="g" * 32),) if graded else ()
    source = ArtifactRef(stage="filter", key="f" * 32)
    return CurateRecipe(
        instructions=source, grades=grades, keep=keep, diversity="None", embedder=None, limit=None, seed=0
    )


@pytest.mark.parametrize(
    ("row", "issue"),
    [
        ({}, None),
        ({"finish_reason": None}, None),  # from a file of the user's
        ({"void": "Unavailable", "instruction": None}, "Unavailable"),
        ({"void": "Empty", "instruction": None, "finish_reason": "length"}, "Empty"),
        ({"finish_reason": "length"}, "Truncated"),
        ({"finish_reason": "length", "instruction": "Hi"}, "Truncated"),
        ({"instruction": "Hi"}, "TooShort"),
        ({"instruction": "Sure! Here is the function that you asked for."}, "AssistantVoice"),
    ],
)
def test_why_a_text_is_no_instruction(row: dict[str, Any], issue: str | None) -> None:
    assert look_at({"void": None, "finish_reason": "stop", "instruction": TASK} | row, "Strict") == Finding(issue)


def test_a_text_of_which_only_the_answer_was_cut_is_whole() -> None:
    row = {"void": None, "finish_reason": "length", "instruction": TASK}
    assert look_at(row, "Strict", whole=True) == Finding()


@pytest.mark.parametrize(
    ("text", "basic", "none"),
    [
        (TASK, Finding(), Finding()),
        (" \n", Finding("Empty"), Finding("Empty")),
        ("Hi", Finding(noted="TooShort"), Finding(noted="TooShort")),
        ("Sure! Here is the function.", Finding(noted="AssistantVoice"), Finding(noted="AssistantVoice")),
        ("What does <|im_start|> mean here?", Finding("TemplateLeak"), Finding(noted="TemplateLeak")),
        ("x " * 9000, Finding("Repetition"), Finding(noted="TooLong")),  # the first issue is not the one that counts
    ],
)
def test_which_issues_count(text: str, basic: Finding, none: Finding) -> None:
    row = {"void": None, "finish_reason": None, "instruction": text}
    assert look_at(row, "Basic") == basic
    assert look_at(row, "None") == none


@pytest.mark.parametrize(
    ("score", "keep", "reason"),
    [
        (9, ("Excellent",), None),
        (8, ("Excellent",), "Difficulty"),
        (6, ("Excellent", "Good"), None),
        (5, ("Excellent", "Good"), "Difficulty"),
        (1, ("Poor",), None),
        (None, ("Excellent", "Good", "Average", "Poor"), "Ungraded"),
    ],
)
def test_difficulty(score: int | None, keep: tuple[str, ...], reason: str | None) -> None:
    assert reason_of(score, curate_recipe(keep)) == reason


def test_without_grading_all_stay() -> None:
    assert reason_of(None, curate_recipe((), graded=False)) is None


def test_a_curated_row_says_what_it_was_graded() -> None:
    made = curated_row({"instruction": TASK}, 9)
    assert (made["score"], made["grade"], made["instruction"]) == (9, "Excellent", TASK)
    assert made["task_type"]
    assert curated_row({"instruction": TASK}, None)["grade"] is None


def test_the_smoke_check_fails_at_the_sixteenth_text_in_a_row() -> None:
    smoke = SmokeCheck("spec.competitors[0]")
    for number in range(15):
        smoke.see("" if number % 3 else "Hi")
    with pytest.raises(
        ConfigurationError, match=r"^spec\.competitors\[0\]\.chatTemplatePrefix: .*\(Empty 10, TooShort 6\)"
    ):
        smoke.see("Hi")


def test_the_smoke_check_is_over_with_the_first_instruction() -> None:
    smoke = SmokeCheck("spec.competitors[0]")
    smoke.see(TASK)
    for _ in range(100):
        smoke.see("")


def test_an_error_is_said_under_its_field_once() -> None:
    error = ConfigurationError("it is away").under("spec.judges[0]")
    assert str(error) == "spec.judges[0]: it is away"
    assert error.under("spec.judges[1]") is error
    assert str(PermanentError("gone").under("")) == "gone"
    assert isinstance(PermanentError("gone").under("spec.output"), PermanentError)
