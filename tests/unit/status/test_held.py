"""How long models were up, from status to status."""

from __future__ import annotations

from datetime import UTC, datetime

from support.manifests import tournament
from tiltyard.api import ModelStatus, TournamentStatus
from tiltyard.plan.build import build_graph
from tiltyard.plan.observed import ModelPhase, ModelSeen, Observed, Wait, WaitReason
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import build_status
from tiltyard.status.held import time_up, with_time_up

WAIT = Wait(WaitReason.UNSCHEDULABLE, "no node has a GPU")


def step(
    before: TournamentStatus | None, phase: ModelPhase, now: float, wait: Wait | None = None, *, placed: bool = False
) -> TournamentStatus:
    """One reconciliation: what was held by the last status, and the next status."""
    held = time_up(before, "r", now) if before is not None else {}
    observed = Observed(models={"ada": ModelSeen(phase, wait=wait, placed=placed)}, held=held)
    models = with_time_up([ModelStatus(name="ada", state=phase.value)], before, observed, now)
    return TournamentStatus(run="r", models=tuple(models))


def test_time_counts_from_start_to_end_over_several_loads() -> None:
    status = step(None, ModelPhase.STARTING, 100)
    for phase, now in [(ModelPhase.READY, 130), (ModelPhase.STOPPING, 190), (ModelPhase.STOPPED, 200)]:
        status = step(status, phase, now)
    assert (status.models[0].up_seconds, status.models[0].up_since) == (100, None)
    status = step(status, ModelPhase.STOPPED, 1000)
    status = step(status, ModelPhase.READY, 2000)
    assert status.models[0].up_since == datetime.fromtimestamp(2000, UTC)
    assert time_up(status, "r", 2050) == {"ada": 150}


def test_a_status_changes_only_when_a_model_starts_or_ends() -> None:
    status = step(None, ModelPhase.STARTING, 100)
    assert step(status, ModelPhase.STARTING, 160) == status


def test_what_a_model_has_cost_stays_when_its_objects_are_gone() -> None:
    document = tournament(3)
    graph = build_graph(document)
    up = ModelStatus(name="m0", state="Ready", loads=2, up_seconds=100, up_since=datetime.fromtimestamp(1000, UTC))
    before = TournamentStatus(run=graph.run, models=(up,))
    for _ in range(2):  # the second status comes from the first
        observed = Observed(held=time_up(before, graph.run, 1060))
        before = build_status(document, graph, observed, plan(graph, Policy(), observed), 1060, before=before)
        (model,) = before.models
        assert (model.name, model.state, model.loads, model.up_seconds, model.up_since) == (
            "m0",
            "Stopped",
            2,
            160,
            None,
        )


def test_waiting_for_a_node_takes_no_gpu() -> None:
    status = step(None, ModelPhase.STARTING, 100, WAIT)
    assert time_up(status, "r", 500) == {}
    status = step(status, ModelPhase.STARTING, 500)
    assert time_up(status, "r", 560) == {"ada": 60}


def test_a_pod_that_holds_a_node_and_does_not_start_takes_its_gpu() -> None:
    pull = Wait(WaitReason.NOT_STARTING, "its image cannot be pulled")
    for wait in (pull, WAIT):  # WAIT: another replica of it has no node yet
        assert time_up(step(None, ModelPhase.STARTING, 100, wait, placed=True), "r", 160) == {"ada": 60}


def test_time_of_another_run_does_not_count() -> None:
    assert time_up(step(None, ModelPhase.READY, 100), "other", 200) == {}
