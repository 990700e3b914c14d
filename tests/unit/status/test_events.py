"""What is worth an event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import pytest

from tiltyard.api import Condition, ModelStatus, TournamentStatus
from tiltyard.plan.observed import ModelPhase, ModelSeen, Observed, Wait, WaitReason
from tiltyard.status import events
from tiltyard.status.events import Event, events_of
from tiltyard.status.objects import event_object

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def condition(
    kind: str, status: Literal["True", "False"] = "True", message: str = "", generation: int = 1
) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason="R",
        message=message,
        last_transition_time=NOW,
        observed_generation=generation,
    )


def model(state: Literal["Stopped", "Starting", "Ready", "Failed"], url: str | None = None) -> TournamentStatus:
    return TournamentStatus(models=(ModelStatus(name="a", state=state, loads=1, url=url),))


def test_changes_are_told_once() -> None:
    before = TournamentStatus(phase="Mining", models=(ModelStatus(name="a", state="Starting", loads=1),))
    after = TournamentStatus(
        phase="Mining",
        models=(ModelStatus(name="a", state="Ready", loads=1, url="http://a/v1"),),
        conditions=(condition("Preflighted", message="passed"),),
    )
    assert list(events_of(before, after, Observed())) == [
        Event("PreflightPassed", "passed"), Event("ModelReady", "model a is ready at http://a/v1")
    ]  # fmt: skip
    assert list(events_of(after, after, Observed())) == []


def test_a_condition_without_a_message_is_told_by_its_type_and_one_that_is_false_is_not_told() -> None:
    after = TournamentStatus(conditions=(condition("Complete"), condition("Failed", "False"), condition("Ready")))
    assert list(events_of(TournamentStatus(), after, Observed())) == [Event("Complete", "Complete")]


def test_each_state_of_a_model_has_its_event() -> None:
    failed = Observed(models={"a": ModelSeen(ModelPhase.FAILED, message="no GPU")})
    changes = [
        (TournamentStatus(), model("Starting"), Event("ModelStarting", "model a is starting (load 1)"), False),
        (model("Stopped"), model("Starting"), Event("ModelStarting", "model a is starting (load 1)"), False),
        (model("Starting"), model("Ready", "u"), Event("ModelReady", "model a is ready at u"), False),
        (model("Ready"), model("Starting"),
         Event("ModelLost", "model a no longer answers; its shards wait for it"), True),
        (model("Ready"), model("Stopped"), Event("ModelStopped", "model a has stopped"), False),
        (model("Starting"), model("Failed"), Event("ModelFailed", "model a: no GPU"), True),
    ]  # fmt: skip
    for before, after, event, warning in changes:
        assert list(events_of(before, after, failed)) == [event]
        assert event.warning is warning


def test_a_phase_is_told_with_what_is_done_and_an_end_by_its_condition_alone() -> None:
    mining = TournamentStatus(phase="Mining", conditions=(condition("Reconciling", message="1 of 4 are done"),))
    assert list(events_of(TournamentStatus(), mining, Observed())) == [Event("PhaseChanged", "Mining: 1 of 4 are done")]
    for end in ("Complete", "Failed", "Suspended"):
        after = TournamentStatus(phase=end, conditions=(condition(end, message="why"),))
        assert list(events_of(mining, after, Observed())) == [Event(end, "why")]


def test_warnings_are_told_once_for_each_generation_that_is_accepted() -> None:
    def told(before: Sequence[Condition]) -> list[Event]:
        after = TournamentStatus(observed_generation=2, conditions=(condition("Accepted", generation=2),))
        warnings = [Event("TooLarge", "a is large")]
        return list(events_of(TournamentStatus(conditions=tuple(before)), after, Observed(), warnings=warnings))

    (event,) = told([])
    assert (event, event.warning) == (Event("TooLarge", "a is large"), True)
    assert told([condition("Accepted", generation=1)]) == [event]
    assert told([condition("Accepted", "False", generation=2)]) == [event]
    assert told([condition("Accepted", generation=2)]) == []


@pytest.mark.parametrize(
    ("reason", "told", "warning"),
    [
        (WaitReason.UNSCHEDULABLE, "Waiting", True),
        (WaitReason.NOT_STARTING, "Waiting", True),
        (WaitReason.NOT_ENDING, "Waiting", True),
        (WaitReason.REFUSED, "Refused", True),
        (WaitReason.DOWNLOADING, "Downloading", False),
        (WaitReason.QUEUED, "Queued", False),
    ],
)
def test_what_waits_is_an_event(reason: WaitReason, told: str, warning: bool) -> None:
    waiting = {"model a": Wait(reason, "no GPU")}
    (event,) = events_of(TournamentStatus(), TournamentStatus(), Observed(), waiting=waiting)
    assert (event, event.warning) == (Event(told, "model a: no GPU"), warning)


def test_reasons_are_camel_case_words_and_differ() -> None:
    reasons = [value for name, value in vars(events).items() if isinstance(value, str) and name.isupper()]
    reasons = [reason for reason in reasons if " " not in reason and "{" not in reason]
    assert len(reasons) == len(set(reasons))
    assert all(re.fullmatch("([A-Z][a-z]+|KServe)+", reason) for reason in reasons)
    assert set(events.ON_CONDITION.values()) | set(events.ON_WAIT.values()) < set(reasons) == set(events.EVENTS)


@pytest.mark.parametrize("message", ["x" * 5000, "x" * 1024, "é" * 600, "x" + "é" * 600, "四" * 342])
def test_a_note_is_as_long_as_the_api_server_takes(message: str) -> None:
    tournament = {"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "namespace": "s", "uid": "u"}}
    note = event_object(tournament, Event("Queued", message), NOW)["note"]
    assert 1020 <= len(note.encode()) <= 1024
    assert note == message or note.endswith("…")


def test_an_event_is_a_warning_where_something_is_wrong() -> None:
    tournament = {"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n" * 63, "namespace": "s", "uid": "u"}}
    body = event_object(tournament, Event("Queued", "x"), NOW)
    assert body["eventTime"] == "2026-01-01T00:00:00.000000Z"
    assert body["type"] == "Normal"
    assert event_object(tournament, Event("Failed", "x"), NOW)["type"] == "Warning"
