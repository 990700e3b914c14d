"""Which conditions a tournament has, and when they change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.api import Condition, ManifestError, ModelStatus, Problem, TournamentStatus
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import ModelPhase, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import invalid_status
from tiltyard.status.conditions import CONDITIONS, MAX_MESSAGE, Halt, Situation, conditions_of
from tiltyard.status.events import Event, events_of_invalid

NOW = 1_800_000_000.0
TRAINING: Mapping[str, Any] = {
    "training": {"baseModel": {"uri": "hf://org/base"}},
    "evaluation": {"benchmarks": ["humaneval", "mbpp"], "allowCodeExecution": True},
}
GRAPH = build_graph(tournament(3))
TARGET = build_graph(tournament(3, **TRAINING))
PASSED = Observed(PreflightPhase.PASSED)


def situation(graph: Graph, observed: Observed, *, suspend: bool = False, **more: Any) -> Situation:
    return Situation(graph, observed, plan(graph, Policy(suspend=suspend), observed), **more)


def conditions(it: Situation, now: float = NOW, before: tuple[Condition, ...] = ()) -> dict[str, Condition]:
    return {condition.type: condition for condition in conditions_of(it, 1, now, before)}


def all_of(graph: Graph, *stages: str) -> dict[str, frozenset[int]]:
    """All parts of some stages; of all stages where none is named."""
    refs = (ref for bundle in graph.bundles if not stages or bundle.stage in stages for ref in bundle.makes)
    return {ref.key: frozenset(range(ref.shards)) for ref in refs}


def true_of(it: Situation) -> set[str]:
    return {kind for kind, condition in conditions(it).items() if condition.status == "True"}


def test_kubectl_explain_names_every_type() -> None:
    _, _, types = (Condition.model_fields["type"].description or "").partition(": ")
    assert set(re.findall(r"[A-Z]\w+", types)) == set(CONDITIONS)


def test_which_are_true() -> None:
    complete = replace(PASSED, done=all_of(GRAPH), outputs={"dataset": "s3://b/d"})
    assert true_of(situation(GRAPH, Observed())) == {"Accepted", "Reconciling"}
    assert true_of(situation(GRAPH, PASSED)) == {"Accepted", "Preflighted", "Reconciling"}
    assert true_of(situation(GRAPH, PASSED, suspend=True)) == {"Accepted", "Preflighted", "Suspended"}
    assert true_of(situation(GRAPH, replace(PASSED, failure="why"))) == {"Accepted", "Preflighted", "Failed", "Stalled"}
    assert true_of(situation(GRAPH, complete)) == {"Accepted", "Preflighted", "DatasetReady", "Complete", "Ready"}


def test_preflight_gives_its_own_message_or_how_far_it_is() -> None:
    words = {"Pending": "has not started", "Active": "is in progress", "Passed": "has passed", "Failed": "has failed"}
    for phase in PreflightPhase:
        told = conditions(situation(GRAPH, Observed(phase)))["Preflighted"]
        assert told.reason == f"Preflight{phase.value}"
        assert told.message == f"preflight {words[phase.value]}"
        assert told.status == str(phase is PreflightPhase.PASSED)
    failed = Observed(PreflightPhase.FAILED, "spec.output: the bucket is not there")
    assert conditions(situation(GRAPH, failed))["Preflighted"].message == "spec.output: the bucket is not there"


@pytest.mark.parametrize("made", range(3))
def test_a_milestone_is_true_only_once_every_artifact_of_it_is_there(made: int) -> None:
    scores = [bundle for bundle in TARGET.bundles if bundle.stage == "score"]
    assert len(scores) == 4  # two benchmarks of the base and of the trained model
    done = {ref.key: frozenset(range(ref.shards)) for bundle in scores[:made] for ref in bundle.makes}
    evaluated = conditions(situation(TARGET, replace(PASSED, done=done)))["Evaluated"]
    assert (evaluated.status, evaluated.reason, evaluated.message) == (
        "False",
        "NotYet",
        f"{made} of 4 bundles are complete",
    )


def test_a_milestone_that_is_reached() -> None:
    told = conditions(situation(TARGET, replace(PASSED, done=all_of(TARGET, "train", "score"))))
    assert (told["Trained"].status, told["Trained"].reason) == ("True", "Made")
    assert (told["Evaluated"].status, told["Evaluated"].message) == ("True", "all models are scored")


def test_a_milestone_of_a_stage_that_is_not_asked_for_is_left_out() -> None:
    assert set(CONDITIONS) - set(conditions(situation(GRAPH, Observed()))) == {"Trained", "Evaluated"}
    assert list(conditions(situation(TARGET, Observed()))) == list(CONDITIONS)


def test_the_time_of_the_last_transition_is_kept_while_the_status_stays() -> None:
    before = conditions_of(situation(GRAPH, Observed()), 1, NOW)
    after = conditions(situation(GRAPH, PASSED), NOW + 60, before)
    old = {condition.type: condition for condition in before}
    first, second = datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW + 60, UTC)
    assert after["Reconciling"].reason != old["Reconciling"].reason
    assert after["Reconciling"].message != old["Reconciling"].message
    changed = {kind for kind, condition in after.items() if condition.last_transition_time == second}
    assert changed == {"Preflighted"}
    assert {condition.last_transition_time for kind, condition in after.items() if kind not in changed} == {first}
    assert conditions(situation(GRAPH, PASSED), NOW + 60)["Ready"].last_transition_time == second


def test_what_waits_stands_beside_what_is_done() -> None:
    waits = {"model a": Wait(WaitReason.UNSCHEDULABLE, "no GPU"), "rate": Wait(WaitReason.NOT_STARTING, "no image")}
    plain, waiting = conditions(situation(GRAPH, PASSED)), conditions(situation(GRAPH, PASSED, waits=waits))
    for kind in ("Ready", "Reconciling"):
        assert waiting[kind].message == f"{plain[kind].message}; waiting: model a: no GPU; rate: no image"
    assert {kind for kind in plain if plain[kind] != waiting[kind]} == {"Ready", "Reconciling", "Waiting"}


def test_what_somebody_has_to_act_upon_is_the_reason_of_what_waits() -> None:
    assert conditions(situation(GRAPH, PASSED))["Waiting"].status == "False"
    waits = {"a": Wait(WaitReason.QUEUED, "a queue")}
    queued = conditions(situation(GRAPH, PASSED, waits=waits))["Waiting"]
    assert (queued.status, queued.reason, queued.message) == ("True", "Queued", "a: a queue")
    waits |= {"b": Wait(WaitReason.UNSCHEDULABLE, "no GPU"), "c": Wait(WaitReason.REFUSED, "no quota")}
    refused = conditions(situation(GRAPH, PASSED, waits=waits))["Waiting"]
    assert (refused.reason, refused.message) == ("Refused", "a: a queue; b: no GPU; c: no quota")


def test_warnings_stand_beside_the_acceptance() -> None:
    told = conditions(situation(GRAPH, PASSED, warnings=("a is large", "b is large")))["Accepted"]
    assert (told.status, told.reason, told.message) == (
        "True",
        "Valid",
        "the manifest is valid; a is large; b is large",
    )


def test_a_failure_on_a_cluster_says_how_to_go_on() -> None:
    failed = replace(PASSED, failure="it broke.")
    assert conditions(situation(GRAPH, failed))["Stalled"].message == "it broke."
    retry = conditions(situation(GRAPH, failed, retry=True))
    assert retry["Stalled"].message.startswith("it broke. To retry after fixing the cause, edit the spec")
    assert retry["Failed"].message == "it broke."
    assert conditions(situation(GRAPH, PASSED, retry=True))["Stalled"].message == plan(GRAPH, Policy(), PASSED).message


def test_a_message_is_cut_at_what_kubernetes_takes_and_keeps_how_to_go_on() -> None:
    told = conditions(situation(GRAPH, replace(PASSED, failure="x" * 100_000), retry=True))
    assert len(told["Failed"].message) == MAX_MESSAGE
    assert len(told["Stalled"].message) <= MAX_MESSAGE
    assert told["Stalled"].message.endswith("complete artifacts are reused")


def test_an_invalid_spec_keeps_what_else_is_known() -> None:
    before = TournamentStatus(run="abc", conditions=conditions_of(situation(GRAPH, PASSED), 3, NOW))
    error = ManifestError("ns/name", [Problem("spec.seed", "is wrong"), Problem("spec.jobs", "are wrong")])
    status = invalid_status(before, 4, error, NOW + 60)
    told = {one.type: one for one in status.conditions}
    assert {kind: told[kind].status for kind in list(told)[:5]} == {
        "Accepted": "False", "Suspended": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"
    }  # fmt: skip
    assert told["Accepted"].message == told["Stalled"].message == "spec.seed: is wrong; spec.jobs: are wrong"
    assert {told[kind].reason for kind in list(told)[:5]} == {"Invalid"}
    assert told["Ready"].last_transition_time == before.conditions[-3].last_transition_time  # it was False before
    assert told["Accepted"].last_transition_time == datetime.fromtimestamp(NOW + 60, UTC)
    assert told["Preflighted"].status == "True"
    assert set(told) == {one.type for one in before.conditions}
    assert (status.phase, status.run, status.observed_generation, status.eta) == ("Invalid", "abc", 4, None)


SINCE = datetime.fromtimestamp(NOW - 100, UTC)
UP = [ModelStatus(name=n, state="Ready", activity="Busy", up_seconds=7, up_since=SINCE, queued=3) for n in "abc"]
WRONG = ManifestError("ns/name", [Problem("spec.seed", "is wrong")])


def test_an_invalid_spec_that_is_suspended_holds_no_model() -> None:
    stopped = {"a": ModelPhase.STOPPED, "b": ModelPhase.STOPPING}
    before = TournamentStatus(models=tuple(UP))
    status = invalid_status(before, 4, WRONG, NOW, Halt(stopped, ended=True))
    told = {one.type: one for one in status.conditions}
    assert told["Suspended"].status == "True"
    assert told["Suspended"].message == "spec.seed: is wrong; spec.suspend is true: its Jobs and models are stopped"
    a, b, c = status.models
    assert (a.state, a.activity, a.up_seconds, a.up_since) == ("Stopped", None, 107, None)
    assert (b.state, b.activity, b.up_seconds, b.up_since) == ("Stopping", None, 7, SINCE)
    assert c == UP[2].model_copy(update={"queued": None})
    assert (a.queued, b.queued) == (None, None)


def test_an_invalid_spec_that_is_suspended_waits_for_nothing() -> None:
    waits = {"model a": Wait(WaitReason.UNSCHEDULABLE, "no room")}
    before = TournamentStatus(run="abc", conditions=conditions_of(situation(GRAPH, PASSED, waits=waits), 3, NOW))
    assert {one.type: one.status for one in before.conditions}["Waiting"] == "True"
    kept = {one.type: one for one in invalid_status(before, 4, WRONG, NOW).conditions}["Waiting"]
    assert (kept.status, kept.reason) == ("True", "Unschedulable")
    after = invalid_status(before, 4, WRONG, NOW, Halt({}, ended=False)).conditions
    told = {one.type: one for one in after}
    assert len(after) == len(told) == len(before.conditions)
    assert (told["Waiting"].status, told["Waiting"].reason) == ("False", "NothingWaits")
    assert told["Suspended"].message.endswith("spec.suspend is true: its Jobs and models are being stopped")


def test_an_invalid_spec_is_not_suspended_while_something_cannot_be_stopped() -> None:
    before = TournamentStatus(models=tuple(UP))
    halt = Halt({"a": ModelPhase.STOPPING}, ended=False, refused=("Job x is refused",))
    status = invalid_status(before, 4, WRONG, NOW, halt)
    told = {one.type: one for one in status.conditions}
    assert told["Suspended"].status == "False"
    assert told["Stalled"].message == (
        "spec.seed: is wrong; spec.suspend is true, and not everything could be stopped: Job x is refused"
    )
    assert [one.state for one in status.models] == ["Stopping", "Ready", "Ready"]


def test_events_of_an_invalid_spec_that_is_suspended() -> None:
    before = TournamentStatus(phase="Mining", models=tuple(UP))
    assert list(events_of_invalid(before, invalid_status(before, 4, WRONG, NOW))) == []
    stopping = invalid_status(before, 4, WRONG, NOW, Halt({"a": ModelPhase.STOPPING}, ended=False))
    (event,) = events_of_invalid(before, stopping)
    assert event.reason == "Suspended"
    assert event.message.endswith("its Jobs and models are being stopped")
    stopped = invalid_status(stopping, 4, WRONG, NOW, Halt({"a": ModelPhase.STOPPED}, ended=True))
    assert list(events_of_invalid(stopping, stopped)) == [Event("ModelStopped", "model a has stopped")]
    assert list(events_of_invalid(stopped, stopped)) == []
