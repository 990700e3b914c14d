from __future__ import annotations

import pytest

from tiltyard.cli.calibration import _print
from tiltyard_jobs.contracts.calibration import CalibratedJudge, CalibratedRate, Calibration, Ranged
from tiltyard_jobs.report.calibration import calibration_tables

SHARE = Ranged(value=0.6, low=0.5, high=0.7)  # is shown as 60 (50 … 70)


def calibration(*by_rates: Ranged) -> Calibration:
    """What labels say of a jury, with each player's win rate by the two rates alone."""
    players = tuple(
        CalibratedRate(player=f"p{number}", plain=0.6, corrected=SHARE, by_rates=one)
        for number, one in enumerate(by_rates)
    )
    jury = CalibratedJudge(
        name="jury", sensitivity=SHARE, specificity=SHARE, right=SHARE, verdicts=90, win_rates=players
    )
    return Calibration(
        labels=90,
        ties=0,
        unknown=0,
        agreement=0.5,
        judges_each=1.0,
        votes=Ranged(value=1.0, low=1.0, high=1.0),
        correlation=None,
        independent=0.6,
        judges=(),
        jury=jury,
    )


def test_an_impossible_win_rate_is_not_shown_with_an_interval_without_width(capsys: pytest.CaptureFixture[str]) -> None:
    found = calibration(Ranged(value=1.0, low=1.0, high=1.0), Ranged(value=1.0, low=0.82, high=1.0), Ranged(value=None))
    _print(found)
    printed = [line.split("(50 … 70)")[1].strip() for line in capsys.readouterr().out.splitlines() if " p" in line]
    assert printed == ["–", "100 (82 … 100)", "–"]
    tables = calibration_tables(found)
    assert tables is not None
    assert [row.cells[1][:2] for row in tables.players] == [("–", ""), ("100", "82 to 100"), ("–", "")]
