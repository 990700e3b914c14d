"""The status says how large models were and how long their loads took."""

from __future__ import annotations

from typing import Any

from support.cluster_objects import T0, cluster_tournament
from tiltyard.api import TournamentStatus
from tiltyard.plan.build import build_graph
from tiltyard.plan.observed import ModelPhase, ModelSeen, Observed, PreflightPhase
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import build_status
from tiltyard.status.conditions import RECONCILING, find

PLAYERS = [
    *({"name": name, "model": {"uri": f"hf://org/{name}"}} for name in "ab"),
    {"name": "c", "model": {"uri": "hf://org/c", "servedFrom": "pvc://models/c"}},
]
TOURNAMENT = cluster_tournament(players=PLAYERS, judges=1, serving={"weights": {"claim": {"size": "1Gi"}}})
GRAPH = build_graph(TOURNAMENT)


def test_the_status_keeps_what_was_measured_and_says_how_many_are_there() -> None:
    def status_of(before: TournamentStatus | None, **seen: Any) -> TournamentStatus:
        models = {"a": ModelSeen(**seen)} if seen else {"a": ModelSeen(ModelPhase.STOPPED, loads=1)}
        observed = Observed(PreflightPhase.PASSED, models=models)
        decided = plan(GRAPH, Policy(), observed)
        return build_status(TOURNAMENT, GRAPH, observed, decided, T0, before=before)

    up = status_of(
        None, phase=ModelPhase.READY, loads=1, weights=1_200_000_000, download_seconds=61.4, load_seconds=90.2
    )
    (model,) = up.models
    assert (model.weights_bytes, model.download_seconds, model.load_seconds) == (1_200_000_000, 61, 90)
    assert reconciling(up).endswith("; weights: 1 of 2 models are there, 1.2 GB")
    (down,) = status_of(up).models
    assert (down.state, down.weights_bytes, down.load_seconds) == ("Stopped", 1_200_000_000, 90)
    again = status_of(up, phase=ModelPhase.READY, loads=2, weights=1_200_000_000, load_seconds=30.0)
    assert (again.models[0].download_seconds, again.models[0].load_seconds) == (61, 30)
    assert "weights" not in reconciling(status_of(None))


def reconciling(status: TournamentStatus) -> str:
    condition = find(status.conditions, RECONCILING)
    assert condition is not None
    return condition.message
