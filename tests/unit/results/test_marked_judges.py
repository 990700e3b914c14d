from __future__ import annotations

from typing import Any

import pytest

from support.report_samples import sample
from tiltyard_jobs.results.documents import Estimate, JudgeReportCard, Standings, WithoutJudges
from tiltyard_jobs.results.marked_judges import marked_judges

Ends = tuple[float | None, float | None]
SURE = {"low": None, "high": None, "marked": True}


def card(name: str, **columns: float) -> JudgeReportCard:
    estimates: dict[str, Any] = {column: Estimate(value=value, **SURE) for column, value in columns.items()}
    return JudgeReportCard(name=name, model_id=name, verdicts=100, **estimates)


def standings(*judges: JudgeReportCard, without: dict[str, dict[str, float | None]]) -> Standings:
    """ada leads with 1100 points before bob (1000) and cyd (900)."""
    given = sample().standings
    ratings = {"ada": 1100.0, "bob": 1000.0, "cyd": 900.0}
    players = tuple(
        one.model_copy(update={"name": name, "rating": rating})
        for one, (name, rating) in zip(given.players, ratings.items(), strict=False)
    )
    changed = tuple(WithoutJudges(judges=tuple(names.split()), ratings=left) for names, left in without.items())
    return given.model_copy(update={"players": players, "judges": judges, "without": changed})


def test_a_jury_without_a_mark_says_nothing() -> None:
    fair = JudgeReportCard(name="j", model_id="j", verdicts=9, scale=Estimate(value=1.0))
    assert marked_judges(standings(fair, without={})) == ()


def test_what_is_marked_and_what_becomes_of_the_ratings() -> None:
    judges = (
        card("eve", first_position=0.64),
        card("fay", first_position=0.3, length=-0.1),
        card("gus", scale=0.21, family=-0.05),
        card("hal", length=0.07, family=0.08),
    )
    told = marked_judges(
        standings(
            *judges,
            without={
                "eve": {"ada": 1100.4, "bob": 999.4, "cyd": 900.2},
                "fay": {"ada": 1120.0, "bob": 930.0, "cyd": 950.0},
                "gus": {"ada": 990.0, "bob": 1050.0, "cyd": None},
                "hal": {"ada": None, "bob": None, "cyd": None},
                "eve fay gus hal": {"ada": 1130.0, "bob": 1005.0, "cyd": 865.0},
            },
        )
    )
    assert told == (
        "judge eve gives 64% of its votes to the answer shown first; without it ada still leads and no model changes"
        " rank, and no rating changes by a point",
        "judge fay gives 70% of its votes to the answer shown second and favours shorter answers (by 10 percentage"
        " points of its vote at three times the length); without it ada still leads, others change ranks; the largest"
        " change is bob's, from 1000 to 930 points",
        "judge gus follows what the others see only by 0.21 and disfavours its own family (by 5 percentage"
        " points of its vote); without it bob would lead instead of ada; the largest change is ada's, from 1100"
        " to 990 points",
        "judge hal favours longer answers (by 7 percentage points of its vote at three times the length) and favours"
        " its own family (by 8 percentage points of its vote); without it no vote is left to rate anybody",
        "without the 4 marked judges ada still leads and no model changes rank; the largest change is cyd's,"
        " from 900 to 865 points",
    )


def test_many_marked_judges_get_four_sentences_and_one_for_all() -> None:
    names = [f"j{number}" for number in range(7)]
    left: dict[str, float | None] = {"ada": 1100.0, "bob": 1000.0, "cyd": 900.0}
    without = {name: left for name in (*names, " ".join(names))}
    told = marked_judges(standings(*(card(name, scale=0.1) for name in names), without=without))
    assert [note.split(" follows")[0].split(" ada")[0] for note in told] == [
        "judge j0",
        "judge j1",
        "judge j2",
        "judge j3",
        "without the 7 marked judges",
    ]


WIDE: dict[str, Ends] = {"ada": (950.0, 1300.0), "bob": (None, 1100.0), "cyd": (800.0, None)}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (WIDE, WIDE, "no model changes rank by rating, but the intervals of all overlap before and after; the"),
        (WIDE | {"cyd": (800.0, 940.0)}, WIDE, "rank by rating, but the intervals of all overlap then; the largest"),
        (WIDE, WIDE | {"cyd": (800.0, 940.0)}, "no model changes rank; the largest"),
    ],
)  # fmt: skip
def test_a_leader_whose_interval_overlaps_all_others_is_no_news(
    before: dict[str, Ends], after: dict[str, Ends], said: str
) -> None:
    given = standings(card("eve", scale=0.1), without={"eve": {"ada": 1120.0, "bob": 1000.0, "cyd": 880.0}})
    players = tuple(
        one.model_copy(update={"low": before[one.name][0], "high": before[one.name][1]}) for one in given.players
    )
    ends = {"low": {name: end[0] for name, end in after.items()}, "high": {name: end[1] for name, end in after.items()}}
    (without,) = given.without
    told = marked_judges(given.model_copy(update={"players": players, "without": (without.model_copy(update=ends),)}))
    assert said in told[0]
