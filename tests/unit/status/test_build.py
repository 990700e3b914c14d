"""What people are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from support.cluster_objects import cluster_tournament
from support.manifests import tournament
from tiltyard.api import Condition, ModelStatus, TournamentStatus, UsageStatus
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import (
    build_status,
    is_complete,
    of_earlier_release,
    waits_of,
    was_complete,
    worth_writing,
)

NOW = 1_800_000_000.0
TOURNAMENT = tournament(4)


def first(graph: Graph, count: int) -> dict[str, frozenset[int]]:
    """The first parts in plan order."""
    parts = [(ref.key, shard) for ref in graph.artifacts for shard in range(ref.shards)][:count]
    return {ref.key: frozenset(shard for key, shard in parts if key == ref.key) for ref in graph.artifacts}


def test_the_rest_goes_at_the_pace_of_what_this_run_has_made_while_at_work() -> None:
    graph = build_graph(TOURNAMENT)
    total = sum(ref.shards for ref in graph.artifacts)
    found, made = total // 4, total // 2

    def eta(elapsed: float | None, done: int) -> datetime | None:
        observed = Observed(PreflightPhase.PASSED, done=first(graph, done), reused=first(graph, found), elapsed=elapsed)
        return build_status(TOURNAMENT, graph, observed, plan(graph, Policy(), observed), NOW).eta

    left = 100.0 * (total - made) / (made - found)
    assert eta(100.0, made) == datetime.fromtimestamp(round(NOW + left), UTC)
    assert eta(None, made) is None
    assert eta(100.0, found) is None
    assert eta(100.0, total) is None


MOMENT = datetime.fromtimestamp(NOW, UTC)


def test_a_status_that_says_the_same_is_not_written() -> None:
    status = TournamentStatus(phase="Mining", progress="3%")
    assert worth_writing(status, status, NOW) is None
    assert worth_writing(status, status.model_copy(update={"progress": "4%"}), NOW) is not None


def test_an_eta_that_moved_a_little_keeps_its_place() -> None:
    before = TournamentStatus(eta=MOMENT + timedelta(hours=10))
    little = TournamentStatus(eta=MOMENT + timedelta(hours=10, minutes=50))
    much = TournamentStatus(eta=MOMENT + timedelta(hours=12))
    assert worth_writing(before, little, NOW) is None
    assert worth_writing(before, much, NOW) == much


@pytest.mark.parametrize("end", [None, "Complete", "Failed", "Suspended"])
@pytest.mark.parametrize("up", [True, False])
def test_what_a_run_has_cost_is_exact_at_its_end_and_once_nothing_is_up(end: str | None, up: bool) -> None:
    def status(seconds: int, end: str | None) -> TournamentStatus:
        ended = [Condition(type=end, status="True", reason=end, last_transition_time=MOMENT)] if end else []
        models = [ModelStatus(name="ada", state="Ready", up_since=MOMENT if up else None)]
        return TournamentStatus(models=tuple(models), usage=UsageStatus(gpu_seconds=seconds), conditions=tuple(ended))

    before, after = status(10_000, None), status(10_500, end)
    assert worth_writing(before, after, NOW) == (None if up and end is None else after)
    # What is stopping after the end is not worth a write each second.
    assert worth_writing(status(10_000, end), after, NOW) == (None if up else after)


def test_a_complete_run_is_final_and_another_run_is_not() -> None:
    def complete(status: Literal["True", "False"]) -> Condition:
        return Condition(type="Complete", status=status, reason="Complete", last_transition_time=MOMENT)

    status = TournamentStatus(run="abc", conditions=(complete("True"),))
    assert is_complete(status, "abc")
    assert not is_complete(status, "def")
    assert not is_complete(TournamentStatus(run="abc"), "abc")
    assert not is_complete(TournamentStatus(run="abc", conditions=(complete("False"),)), "abc")


def test_a_run_of_an_earlier_release_is_told_once_and_left_alone() -> None:
    complete = Condition(type="Complete", status="True", reason="Complete", last_transition_time=MOMENT)
    status = TournamentStatus(observed_generation=3, run="abc", conditions=(complete,), notes=("m1 did badly",))
    assert was_complete(status, 3)
    assert not was_complete(status, 4)
    assert not was_complete(status.model_copy(update={"conditions": ()}), 3)
    told = of_earlier_release(status, "def")
    assert [note[:42] for note in told.notes] == ["run abc was made by an earlier release and", "m1 did badly"]
    assert told.conditions[0].message == told.notes[0]
    assert (told.run, of_earlier_release(told, "def")) == ("abc", told)


def test_waits_are_of_what_is_under_way() -> None:
    gpu, image = Wait(WaitReason.UNSCHEDULABLE, "no GPU"), Wait(WaitReason.NOT_STARTING, "no image")
    quota = Wait(WaitReason.REFUSED, "no quota")
    observed = Observed(
        preflight=PreflightPhase.ACTIVE,
        preflight_wait=image,
        models={
            "b": ModelSeen(ModelPhase.STARTING, wait=gpu),
            "a": ModelSeen(ModelPhase.STARTING),
            "c": ModelSeen(ModelPhase.FAILED, message="was not ready"),
        },
        jobs={
            "rate": JobSeen(JobPhase.ACTIVE, "v", wait=quota),
            "mine/a": JobSeen(JobPhase.FAILED, "v", message="too many voids"),
        },
    )
    assert waits_of(observed) == {"model b": gpu, "preflight": image, "rate": quota}
    assert list(waits_of(observed)) == ["model b", "preflight", "rate"]
    assert waits_of(Observed(PreflightPhase.FAILED, "the bucket is not there")) == {}


def test_what_was_measured_of_a_model_is_not_said_of_another() -> None:
    def status_of(revision: str, before: TournamentStatus | None, **measured: Any) -> TournamentStatus:
        players = [{"name": name, "model": {"uri": f"hf://org/{name}", "revision": revision}} for name in "abc"]
        there = cluster_tournament(players=players)
        graph = build_graph(there)
        seen = Observed(PreflightPhase.PASSED, models={"a": ModelSeen(ModelPhase.READY, loads=1, **measured)})
        return build_status(there, graph, seen, plan(graph, Policy(), seen), 0.0, before=before)

    first = status_of("v1", None, weights=7, load_seconds=3.0)
    (same,), (other,) = status_of("v1", first).models, status_of("v2", first).models
    assert (same.weights_bytes, same.load_seconds) == (7, 3)
    assert (other.weights_bytes, other.load_seconds) == (None, None)
