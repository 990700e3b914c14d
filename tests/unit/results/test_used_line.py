"""The line about the instructions."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard_jobs.results.documents import Funnel
from tiltyard_jobs.results.used_line import used_line


def funnel(asked: int, curated: int, **members: Any) -> Funnel:
    return Funnel(attacker="a", asked=asked, curated=curated, **members)


@pytest.mark.parametrize(
    ("funnels", "line"),
    [
        ([funnel(5, 5)], "5 mined, 5 used"),
        (
            [funnel(5, 4, dropped={"Repeat": 1}), funnel(6, 3, dropped={"TooShort": 1, "Repeat": 2})],
            "11 mined, 7 used: 3 exact repeats, 1 TooShort",
        ),
        ([funnel(5, 5, cut_off={"answer": 1})], "5 mined, 5 used; cut off: 1 answer"),
        (
            [funnel(5, 4, dropped={"Repeat": 1}, cut_off={"mark": 2}), funnel(6, 6, cut_off={"answer": 2, "mark": 1})],
            "11 mined, 10 used: 1 exact repeat; cut off: 2 answers, 3 marks",
        ),
    ],
)
def test_the_line_counts_all_attackers(funnels: list[Funnel], line: str) -> None:
    assert used_line(funnels, "mined", {}) == line
