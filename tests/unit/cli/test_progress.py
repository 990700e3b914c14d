"""What a running tournament shows."""

from __future__ import annotations

import io
import re
import sys

import pytest

from support.shown_statuses import at_work, status
from tiltyard.api import ModelStatus, RecordCounts, ShardCounts, StageStatus, TournamentStatus, UsageStatus
from tiltyard.cli.progress import progress


def test_a_line_for_each_phase_and_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("lines", lambda: 0.0) as display:
        for phase, share in (("Mining", "1%"), ("Mining", "9%"), ("Mining", "11%"), ("Judging", "12%")):
            display(status(phase, share))
    assert capsys.readouterr().err.splitlines() == ["Mining 1%", "Mining 11%", "Judging 12%"]


def test_a_line_says_records_rates_and_when_all_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with progress("lines", lambda: now) as display:
        display(at_work())
        now = 59.0
        display(at_work())
        now = 61.0
        display(replied(tokens=7))
        display(status("Preflight", "0%").model_copy(update={"step": "Files"}))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == second  # a minute later, too
    assert first.startswith(
        "Judging 61%, 35.2/s, 812/4,000 records, 1,210 tokens/s written, complete at about 2026-01-01 "
    )
    assert third == "Preflight (files) 0%"


def replied(tokens: int) -> TournamentStatus:
    """The same, when models have written so many tokens."""
    return at_work().model_copy(
        update={"usage": UsageStatus(completion_tokens=tokens, completion_tokens_per_second="1210")}
    )


@pytest.mark.parametrize("kind", ["lines", "bars"])
@pytest.mark.parametrize(("served", "words"), [(True, "no reply from ada for 2 min"), (False, "no reply for 2 min")])
def test_replies_that_do_not_come_are_told(
    kind: str, served: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, shown = 0.0, io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", "200")
    idle = ModelStatus(name="bob", state="Ready", activity="Idle", asking=0)
    with progress(kind, lambda: now) as display:
        for moment, tokens in ((0.0, 1), (50.0, 2), (109.0, 2)):
            now = moment
            display(replied(tokens))
        assert "no reply" not in shown.getvalue()
        now = 180.0
        silent = replied(2)
        display(silent.model_copy(update={"models": (*silent.models, idle) if served else ()}))
    assert words in shown.getvalue()
    shown.truncate(0)
    now = 300.0
    with progress(kind, lambda: now) as display:
        display(replied(2))
        now = 400.0
        display(replied(3))
        now = 500.0
        display(status("Loading", "61%"))
    assert "no reply" not in shown.getvalue()


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_no_reply_is_missed_while_a_stage_asks_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now, shown = 0.0, io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", "200")
    filtering = StageStatus(
        name="Curating",
        state="Running",
        shards=ShardCounts(total=8, active=1),
        records=RecordCounts(total=100, done=0),
    )
    idle = status("Curating", "21%").model_copy(update={"stages": (filtering,), "records": "0/100"})
    with progress(kind, lambda: now) as display:
        display(idle)
        now = 130.0
        display(idle)
    assert "Curating" in shown.getvalue()
    assert "no reply" not in shown.getvalue()
    with progress(kind, lambda: now) as display:
        display(idle)
        asked = idle.model_copy(update={"stages": (filtering.model_copy(update={"asking": 4}),)})
        display(asked)
        now = 260.0
        display(asked)
    assert "no reply for 2 min" in shown.getvalue()


def drawn(monkeypatch: pytest.MonkeyPatch, *statuses: TournamentStatus) -> str:
    """The bars as they are after the last of these."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", "200")
    with progress("bars") as display:
        for one in statuses:
            display(one)
    return shown.getvalue()


def test_bars_count_records_and_preflight_says_what_it_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    preflight = status("Preflight", "0%").model_copy(update={"step": "Files"})
    assert re.search(r"Preflight .*checks: files", drawn(monkeypatch, preflight))
    text = drawn(monkeypatch, preflight, at_work())
    assert "Preflight" not in text
    assert "Judging" in text
    assert "812/4,000" in text
    for words in ("35.2/s", "about 2 min left", "3 void", "ada busy", "1,210 tokens/s written"):
        assert words in text
    assert "20%" in text  # of the stage's records
    assert "61%" in text  # of all
