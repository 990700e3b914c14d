"""What is printed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tiltyard.api import Condition, ShardCounts, StageStatus, TournamentStatus
from tiltyard.cli import show
from tiltyard.cli.documents import status_document
from tiltyard_jobs.contracts.summary import Standing


def status(phase: str, progress: str, *, ended: str | None = None, message: str = "") -> TournamentStatus:
    conditions = [
        Condition(
            type=kind,
            status="True" if kind == ended else "False",
            reason=phase,
            message=message,
            last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for kind in ("Complete", "Failed", "Suspended")
    ]
    stage = StageStatus(name="Mining", state="Running", shards=ShardCounts(total=4, succeeded=1), void=0)
    return TournamentStatus(
        phase=phase, progress=progress, run="0123456789ab", stages=(stage,), conditions=tuple(conditions)
    )


def test_a_line_for_each_phase_and_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with show.progress("lines") as display:
        for phase, progress in (("Mining", "1%"), ("Mining", "9%"), ("Mining", "11%"), ("Judging", "12%")):
            display(status(phase, progress))
    assert capsys.readouterr().err.splitlines() == ["Mining 1%", "Mining 11%", "Judging 12%"]


@pytest.mark.parametrize(
    ("ended", "at_work", "interrupted"),
    [(None, True, False), (None, False, True), ("Complete", False, False), ("Suspended", False, False)],
)
def test_whether_a_run_was_interrupted(
    ended: str | None, at_work: bool, interrupted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show.print_status(status_document(status("Mining", "3%", ended=ended), "test", at_work=at_work))
    assert ("interrupted" in capsys.readouterr().out) == interrupted


def test_a_failure_is_shown_as_it_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    message = "spec.competitors[0]: its last output is '[red]no[/red]'"
    show.print_status(status_document(status("Failed", "3%", ended="Failed", message=message), "test", at_work=False))
    assert message in capsys.readouterr().out


def test_a_folder_is_shown_as_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_outputs({"report": "file:///my%20out/%C3%BC/report.html", "dataset": "s3://bucket/my%20out/"})
    assert capsys.readouterr().out.splitlines() == [
        "report    /my out/ü/report.html",
        "dataset   s3://bucket/my%20out/",
    ]


def test_equal_ratings_share_a_rank_and_open_intervals_are_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_leaderboard(
        [
            Standing(name="ada", rating=1100.0, low=1050.0),
            Standing(name="bob", rating=1000.0, low=950.0, high=1050.0, win_rate=0.5),
            Standing(name="cleo", rating=1000.0),
            Standing(name="dan", rating=900.0, high=940.0),
        ]
    )
    _, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["1", "ada", "1100", "≥", "1050"],
        ["2", "bob", "1000", "950", "…", "1050", "0.50"],
        ["2", "cleo", "1000"],
        ["4", "dan", "900", "≤", "940"],
    ]
