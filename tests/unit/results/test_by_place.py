from __future__ import annotations

from tiltyard_jobs.results.by_place import by_place
from tiltyard_jobs.results.documents import Estimate, JudgeReportCard


def card(name: str, first: float | None, verdicts: int = 32, *, marked: bool = False) -> JudgeReportCard:
    position = None if first is None else Estimate(value=first, marked=marked)
    return JudgeReportCard(name=name, model_id=name, verdicts=verdicts, first_position=position)


def test_judges_that_go_by_place_are_told_with_the_share_of_their_votes() -> None:
    judges = [card("fair", 0.55), card("ada", 1.0), card("bob", 0.2), card("few", 0.9, verdicts=15), card("mute", None)]
    assert by_place(judges) == (
        "judge ada goes by place: it gave 1.00 of its 32 votes to the answer shown first",
        "judge bob goes by place: it gave 0.80 of its 32 votes to the answer shown second",
    )
    (told,) = by_place([card("all", 0.0, verdicts=8)])
    assert told.endswith("it gave 1.00 of its 8 votes to the answer shown second")
    assert by_place([card("all of few", 0.0, verdicts=7)]) == ()
    assert by_place([card("told elsewhere", 1.0, marked=True)]) == ()
    assert by_place([card("edge", 0.75), card("below", 0.74)])[0].startswith("judge edge ")
    assert len(by_place([card("edge", 0.75), card("below", 0.74)])) == 1
