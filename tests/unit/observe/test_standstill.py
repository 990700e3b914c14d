"""Tournaments that hold each other's room: when one stands still, and which of them gives way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, made_by_replica_set
from tiltyard.observe.observation import observe, requeue_after
from tiltyard.observe.records import PodRecord, TournamentRecord
from tiltyard.observe.standstill import STANDSTILL_SECONDS, Standstill, hold_seconds, in_front, next_time, standstill_of
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Policy, TournamentState, plan
from tiltyard.render.names import service_name

PLACED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}
WAITS = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: Insufficient nvidia.com/gpu."}
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1", "memory": "1Gi"}}}


@pytest.fixture
def cluster() -> Cluster:
    """A model that answers, and a Job of it whose pod fits no node."""
    found = Cluster(cluster_tournament(3, per_competitor=8))
    found.preflight()
    found.service("m0", ready=True)
    found.model_pod("m0", phase="Running", conditions=[PLACED])
    found.worker_pod(found.job("mine/m0"), phase="Pending", conditions=[WAITS])
    return found


def pod(cluster: Cluster, part: str) -> dict[str, Any]:
    return next(pod for name, pod in cluster.pods.items() if part in name)


def test_a_model_whose_job_has_no_room_stands_still(cluster: Cluster) -> None:
    assert standstill_of(cluster.snapshot()) == Standstill(T0 + 5, frozenset())
    pod(cluster, "m0-pod")["spec"] = {"containers": [GPU]}
    assert standstill_of(cluster.snapshot()) == Standstill(T0 + 5, frozenset({"nvidia.com/gpu"}))
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 20) is not None


def test_what_is_at_work_or_holds_nothing_does_not(cluster: Cluster) -> None:
    other = cluster.worker_pod(cluster.job("mine/m1"), phase="Running", conditions=[PLACED])
    assert standstill_of(cluster.snapshot()) is None
    del cluster.pods[other["metadata"]["name"]]
    (service,) = cluster.services.values()
    service["status"]["conditions"][0]["status"] = "False"  # it is loading
    assert standstill_of(cluster.snapshot()) is None
    service["status"]["conditions"][0]["status"] = "True"
    assert standstill_of(cluster.snapshot()) is not None
    pod(cluster, "m0-pod")["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    assert standstill_of(cluster.snapshot()) is None


def test_a_replica_that_waits_for_another_stands_still_and_never_fails(cluster: Cluster) -> None:
    (service,) = cluster.services.values()
    service["status"]["conditions"][0]["status"] = "False"
    cluster.pods.clear()
    cluster.jobs.clear()
    cluster.preflight()
    cluster.model_pod("m0", phase="Running", conditions=[PLACED])
    second = cluster.model_pod("m1", phase="Pending", conditions=[WAITS])
    second["metadata"]["labels"]["tiltyard.dev/model"] = "m0"
    second["metadata"]["ownerReferences"] = made_by_replica_set(service_name("test", "m0"))
    assert standstill_of(cluster.snapshot()) is not None
    assert observe(cluster.snapshot(), SETTINGS, T0 + 100_000).models["m0"].phase is ModelPhase.STARTING


def test_jobs_of_a_queue_are_left_to_it(cluster: Cluster) -> None:
    job = next(job for name, job in cluster.jobs.items() if "mine" in name)
    job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "team"
    assert standstill_of(cluster.snapshot()) is None


def record(name: str, created: str) -> TournamentRecord:
    return TournamentRecord(f"arena/{name}", {"metadata": {"creationTimestamp": created}})


@pytest.mark.parametrize(
    ("other", "created", "gpus", "now", "front"),
    [
        ("a", "2026-01-01T00:00:00Z", set(), T0 + STANDSTILL_SECONDS, "arena/a"),
        ("a", "2026-01-01T00:00:01Z", set(), T0 + STANDSTILL_SECONDS, "arena/a"),  # of one age the name decides
        ("z", "2026-01-01T00:00:01Z", set(), T0 + STANDSTILL_SECONDS, ""),
        ("a", "2026-01-01T00:00:02Z", set(), T0 + STANDSTILL_SECONDS, ""),
        ("a", "2026-01-01T00:00:00Z", set(), T0 + STANDSTILL_SECONDS - 1, ""),
        ("a", "2026-01-01T00:00:00Z", {"nvidia.com/gpu"}, T0 + STANDSTILL_SECONDS, "arena/a"),
        ("a", "2026-01-01T00:00:00Z", {"amd.com/gpu"}, T0 + STANDSTILL_SECONDS, ""),
    ],
)
def test_the_older_goes_first(
    cluster: Cluster, other: str, created: str, gpus: set[str], now: float, front: str
) -> None:
    own = PodRecord.of(pod(cluster, "mine"))
    assert own is not None
    pods = [own, replace(own, owner=f"arena/{other}", gpus=frozenset(gpus))]
    tournaments = [record("test", "2026-01-01T00:00:01Z"), record(other, created)]
    held = Standstill(T0, frozenset({"nvidia.com/gpu"}))
    assert in_front(cluster.snapshot(), held, tournaments, pods, now) == front
    assert in_front(cluster.snapshot(), held, tournaments, pods[:1], now) == ""


def test_the_room_is_left_for_longer_each_time() -> None:
    assert [hold_seconds(times) for times in (1, 2, 3, 4, 5, 50)] == [300, 600, 1200, 2400, 3600, 3600]
    assert [next_time(2, T0, T0 + 600 + went_on) for went_on in (0, 3599, 3600)] == [3, 3, 1]


def test_who_gives_way_lets_go_of_all_and_goes_on_later(cluster: Cluster) -> None:
    graph = cluster.graph
    (model, *_), version = graph.models, graph.by_name["mine/m0"].version
    seen = Observed(
        PreflightPhase.PASSED,
        jobs={"mine/m0": JobSeen(JobPhase.ACTIVE, version)},
        models={"m0": ModelSeen(ModelPhase.READY, model.version, 1)},
    )
    decided = plan(graph, Policy(), replace(seen, gives_way=Wait(WaitReason.GIVES_WAY, "to a")))
    assert decided.state is TournamentState.RUNNING
    assert (decided.stop_models, decided.stop_jobs) == (("m0",), ("mine/m0",))
    assert (decided.start_models, decided.start_jobs) == ((), ())
    down = replace(seen, models={"m0": ModelSeen(ModelPhase.STOPPED, model.version, 1)}, jobs={})
    assert "m0" in plan(graph, Policy(), down).start_models
