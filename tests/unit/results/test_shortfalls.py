"""Which models did badly, and the sentence on each."""

from __future__ import annotations

import pytest

from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.contracts.recipes import RECIPES, ProbeRecipe
from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.results.shortfalls import MOST_SENTENCES, Account, accounts, shortfalls


def seal(rows: int, **voids: int) -> Seal:
    return Seal(stage="judge", key="k" * 32, shard=0, files={}, rows=rows, voids=voids)


@pytest.mark.parametrize(
    ("asked", "void", "bad"),
    [(0, 0, False), (1, 0, False), (1, 1, True), (2, 1, False), (10, 1, False), (10, 2, True), (108, 5, False),
     (108, 6, True), (1000, 50, False), (1000, 51, True), (108, 108, True)],
)  # fmt: skip
def test_a_model_did_badly_where_more_than_one_record_and_one_in_twenty_is_void(
    asked: int, void: int, bad: bool
) -> None:
    assert Account("a", "judge", asked, {"Undecided": void} if void else {}).is_bad == bad


def test_sums_over_artifacts_and_leaves_out_what_was_not_asked() -> None:
    found = accounts(
        [
            ("mine/a", [seal(64)]),
            ("filter/a", [seal(60)]),
            ("judge/thinker/a/a/b", [seal(60, ThoughtUnfinished=60), seal(12, ThoughtUnfinished=8, InputVoid=4)]),
            ("judge/thinker/b/a/b", [seal(40, ThoughtUnfinished=38, Truncated=2)]),
            ("judge/fine/a/a/b", [seal(40, InputVoid=40)]),
            ("answer/thinker/a", [seal(9, Truncated=2), seal(1)]),
            ("report", [seal(1)]),
        ]
    )
    assert [one[:3] for one in found] == [
        ("a", "mine", 64),
        ("thinker", "judge", 108),
        ("fine", "judge", 0),
        ("thinker", "answer", 10),
    ]
    assert shortfalls(found) == (
        "thinker decided 0 of 108 verdicts: its thought does not end (106), the token limit cuts its reply or its"
        " thought (2)",
        "thinker answered 8 of 10 instructions: the token limit cuts its reply or its thought (2)",
    )


def test_of_several_graders_one_that_is_always_void_is_told() -> None:
    found = accounts([("grade/fine/a", [seal(1), seal(1)]), ("grade/mute/a", [seal(1, Empty=1), seal(1, Empty=1)])])
    assert shortfalls(found) == ("mute graded 0 of 2 instructions: it says nothing (2)",)


def test_many_bad_models_are_counted() -> None:
    bad = [Account(f"m{number:02}", "grade", 10, {"Malformed": number}) for number in range(2, 11)] * 2
    told = shortfalls(bad)
    assert len(told) == MOST_SENTENCES + 1
    assert told[0].startswith("m10 graded 0 of 10 instructions: ")
    assert told[-1] == f"{len(bad) - MOST_SENTENCES} more have many voids: see the report"


RECORDED = sorted({stage for stage, recipe in RECIPES.items() if recipe.asks()} - {ProbeRecipe.STAGE})
"""Stages that ask a model and keep what it replies."""


@pytest.mark.parametrize("stage", RECORDED)
@pytest.mark.parametrize("reason", sorted(set(VoidReason) - {VoidReason.INPUT_VOID, VoidReason.UNSOLVABLE}))
def test_each_stage_and_reason_has_words(stage: str, reason: VoidReason) -> None:
    assert str(Account("a", stage, 3, {reason: 3})).startswith("a ")
