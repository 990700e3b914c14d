"""What loads take: whose weights are downloaded, how large they are, and what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament
from tiltyard.api import TournamentStatus
from tiltyard.observe.observation import observe
from tiltyard.observe.records import PodRecord
from tiltyard.plan.build import build_graph
from tiltyard.plan.observed import ModelPhase, ModelSeen, Observed, PreflightPhase
from tiltyard.plan.planner import Policy, plan
from tiltyard.plan.weights import bytes_text, downloaded, expected_loading
from tiltyard.status.build import build_status
from tiltyard.status.conditions import RECONCILING, find

PLAYERS = [
    {"name": "a", "model": {"uri": "hf://org/a", "revision": "v1", "tokenSecretRef": {"name": "hub", "key": "token"}}},
    {"name": "b", "model": {"uri": "hf://org/b", "servedFrom": "hf://org/b?endpoint=https://mirror.example"}},
    {"name": "c", "model": {"uri": "hf://org/c", "servedFrom": "pvc://models/c"}},
]
TOURNAMENT = cluster_tournament(players=PLAYERS, judges=1, serving={"weights": {"claim": {"size": "1Gi"}}})
GRAPH = build_graph(TOURNAMENT)


def test_what_comes_from_the_hub_is_asked_there() -> None:
    first, second = downloaded(TOURNAMENT)
    assert (first.field, first.uri, first.revision) == ("spec.competitors[0].model", "hf://org/a", "v1")
    assert (first.token_env, first.mirror) == ("TILTYARD_SECRET_HUB_TOKEN", None)
    assert (second.name, second.mirror, second.token_env) == ("b", "https://mirror.example", None)


def test_loads_take_what_was_measured_and_download_what_the_hub_says() -> None:
    version = GRAPH.model["a"].version
    loading = expected_loading(GRAPH, {"a": 10, "b": 5, "c": 7}, {"a": 3, "b": 1, "c": 0, "j0": 1}, {version: 60.0})
    assert loading.sizes == {"a": 10, "b": 5}  # what is not loaded again is not downloaded
    assert (loading.total, loading.by_load) == (15, 35)
    assert (loading.seconds, loading.measured) == (180.0, 3)
    assert expected_loading(GRAPH, {}, {"a": 3}, {}).seconds is None


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (1_000, "1.0 kB"), (15_230_000_000, "15.2 GB"), (2e12, "2000.0 GB")]
)
def test_sizes_are_told_in_decimal_units(count: float, text: str) -> None:
    assert bytes_text(count) == text


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


FILLED = '{"commit":"0123456789012345678901234567890123456789","bytes":7,"seconds":4.5,"reused":%s}'


def pod(message: str, code: int = 0, name: str = "storage-initializer") -> dict[str, Any]:
    ended = {"name": name, "state": {"terminated": {"exitCode": code, "message": message}}}
    return {
        "metadata": {
            "name": "p",
            "namespace": "arena",
            "labels": {"tiltyard.dev/tournament": "test", "tiltyard.dev/model": "a"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"nodeName": "n"},
        "status": {"initContainerStatuses": [ended]},
    }


@pytest.mark.parametrize(
    ("message", "code", "known"),
    [(FILLED % "false", 0, True), ("of KServe's own", 0, False), (FILLED % "false", 1, False), ("", 0, False)],
)
def test_a_pods_init_container_tells_of_the_weights(message: str, code: int, known: bool) -> None:
    record = PodRecord.of(pod(message, code))
    assert record is not None
    assert (record.filled is not None) is known


def test_a_load_is_measured_from_when_a_node_has_the_pod() -> None:
    cluster = Cluster(TOURNAMENT)
    service = cluster.service("a", ready=True)
    (ready,) = [one for one in service["status"]["conditions"] if one["type"] == "Ready"]
    ready["lastTransitionTime"] = "2026-01-01T00:02:30Z"
    cluster.model_pod("a", **pod(FILLED % "true")["status"] | {
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}]
    })  # fmt: skip
    seen = observe(cluster.snapshot(), SETTINGS, T0 + 300).models["a"]
    assert (seen.load_seconds, seen.weights, seen.download_seconds) == (90.0, 7, None)
