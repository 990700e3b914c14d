"""When a status is worth a write, and what is worth an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from tiltyard.api import Condition, ManifestError, ModelStatus, Problem, TournamentStatus
from tiltyard.plan.observed import Observed
from tiltyard.status.events import Event as Told
from tiltyard.status.events import (
    event_object,
    events_of,
    is_complete,
    refused,
    tell_how_to_go_on,
    tell_warnings,
    warnings_of,
    worth_writing,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def condition(kind: str, status: str = "True", message: str = "") -> Condition:
    known: Literal["True", "False"] = "True" if status == "True" else "False"
    return Condition(type=kind, status=known, reason="R", message=message, last_transition_time=NOW)


def test_a_status_that_says_the_same_is_not_written() -> None:
    status = TournamentStatus(phase="Mining", progress="3%")
    assert worth_writing(status, status, NOW.timestamp()) is None
    assert worth_writing(status, status.model_copy(update={"progress": "4%"}), NOW.timestamp()) is not None


def test_an_eta_that_moved_a_little_keeps_its_place() -> None:
    before = TournamentStatus(eta=NOW + timedelta(hours=10))
    little = TournamentStatus(eta=NOW + timedelta(hours=10, minutes=50))
    much = TournamentStatus(eta=NOW + timedelta(hours=12))
    assert worth_writing(before, little, NOW.timestamp()) is None
    assert worth_writing(before, much, NOW.timestamp()) == much


def test_changes_are_told_once() -> None:
    before = TournamentStatus(phase="Mining", models=(ModelStatus(name="a", state="Starting", loads=1),))
    after = TournamentStatus(
        phase="Mining",
        models=(ModelStatus(name="a", state="Ready", loads=1, url="http://a/v1"),),
        conditions=(condition("Preflighted", message="passed"),),
    )
    assert [event.reason for event in events_of(before, after, Observed())] == ["PreflightPassed", "ModelReady"]
    assert list(events_of(after, after, Observed())) == []


def test_a_model_that_stops_answering_is_a_warning() -> None:
    before = TournamentStatus(models=(ModelStatus(name="a", state="Ready", loads=1),))
    after = TournamentStatus(models=(ModelStatus(name="a", state="Starting", loads=1),))
    (event,) = events_of(before, after, Observed())
    assert (event.reason, event.warning) == ("ModelLost", True)


def test_a_complete_run_is_final_and_another_run_is_not() -> None:
    status = TournamentStatus(run="abc", conditions=(condition("Complete"),))
    assert is_complete(status, "abc")
    assert not is_complete(status, "def")
    assert not is_complete(TournamentStatus(run="abc"), "abc")


def test_a_failed_tournament_says_how_to_go_on() -> None:
    (stalled,) = tell_how_to_go_on(TournamentStatus(conditions=(condition("Stalled", message="why"),))).conditions
    assert stalled.message.startswith("why. To try again once that is mended, edit the spec")
    (fine,) = tell_how_to_go_on(TournamentStatus(conditions=(condition("Stalled", "False", "why"),))).conditions
    assert fine.message == "why"


def test_a_refused_manifest_keeps_what_else_is_known() -> None:
    before = TournamentStatus(run="abc", conditions=(condition("DatasetReady"),))
    status = refused(before, 4, ManifestError("ns/name", [Problem("spec.seed", "is wrong")]), NOW.timestamp())
    told = {one.type: (one.status, one.message) for one in status.conditions}
    assert told["Accepted"] == ("False", "spec.seed: is wrong")
    assert told["DatasetReady"][0] == "True"
    assert (status.phase, status.run, status.observed_generation) == ("Invalid", "abc", 4)


def test_a_warning_stands_beside_the_acceptance_and_is_told_once() -> None:
    accepted = TournamentStatus(conditions=(condition("Accepted", message="the manifest is valid"), condition("Ready")))
    assert tell_warnings(accepted, ()) == accepted
    warned = tell_warnings(accepted, ("a is large", "b is large"))
    assert [c.message for c in warned.conditions] == ["the manifest is valid; a is large; b is large", ""]
    assert list(warnings_of(accepted, ("a is large",))) == [Told("TooLarge", "a is large", warning=True)]
    assert list(warnings_of(warned, ("a is large", "b is large"))) == []


def test_a_long_note_is_cut() -> None:
    tournament = {"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n" * 63, "namespace": "s", "uid": "u"}}
    body = event_object(tournament, Told("R", "x" * 5000), NOW)
    assert len(body["note"]) <= 1024
    assert body["eventTime"] == "2026-01-01T00:00:00.000000Z"
