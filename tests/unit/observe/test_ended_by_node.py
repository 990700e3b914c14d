"""Pods that were killed, or that their nodes have ended: what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, finish
from tiltyard.observe.observation import observe
from tiltyard.plan.observed import JobPhase, ModelPhase, Observed, WaitReason

EVICTED: dict[str, Any] = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "The node was low on resource: memory.",
    "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 137, "reason": "Error"}}}],
}
PLACED = {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}]}


def seen(cluster: Cluster, now: float = T0 + 20) -> Observed:
    return observe(cluster.snapshot(), SETTINGS, now)


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(cluster_tournament(3, per_competitor=8))
    made.preflight()
    return made


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {"phase": "Failed", "containerStatuses": [
                {"name": "worker", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]},
            "container worker ran out of memory and was killed: raise its memory limit (jobs.resources)",
        ),
        (EVICTED, "was ended by its node: Evicted: The node was low on resource: memory; request as much memory as it"),
        (
            # Its node asked it to end first, and it did.
            {**EVICTED, "containerStatuses": [{"name": "worker", "state": {"terminated": {
                "exitCode": 143, "message": '{"exitCode": 143, "message": "Stopped; the work so far is kept."}'}}}]},
            "was ended by its node: Evicted: The node was low on resource: memory; request as much memory as it",
        ),
    ],
)  # fmt: skip
def test_a_job_whose_pods_could_not_say_why_has_failed_as_they_ended(
    cluster: Cluster, status: dict[str, Any], words: str
) -> None:
    job = cluster.job("mine/m1")
    cluster.worker_pod(job, **status)
    finish(job, "Failed", "Job has reached the specified backoff limit", failed="0")
    failed = seen(cluster).jobs["mine/m1"]
    assert failed.phase is JobPhase.FAILED
    assert words in failed.message
    cluster.pods = {name: pod for name, pod in cluster.pods.items() if "mine-m1" not in name}
    assert seen(cluster).jobs["mine/m1"].message == "Job has reached the specified backoff limit"


def test_a_worker_that_its_node_evicts_is_told_until_another_one_runs(cluster: Cluster) -> None:
    job = cluster.job("mine/m1")
    cluster.worker_pod(job, **EVICTED)
    wait = seen(cluster).jobs["mine/m1"].wait
    assert wait is not None
    assert (wait.reason, "low on resource: memory" in wait.message) == (WaitReason.NOT_STARTING, True)
    another = cluster.worker_pod(job, phase="Running")
    assert seen(cluster).jobs["mine/m1"].wait is None
    another["status"]["phase"] = "Succeeded"
    job["status"] = {"completedIndexes": "0"}
    assert seen(cluster).jobs["mine/m1"].wait is None


def test_a_worker_that_its_node_evicts_again_and_again_is_told_and_counted_while_the_next_one_runs(
    cluster: Cluster,
) -> None:
    job = cluster.job("mine/m1")
    cluster.worker_pod(job, **EVICTED)
    cluster.worker_pod(job, **EVICTED)
    cluster.worker_pod(job, phase="Running")
    wait = seen(cluster).jobs["mine/m1"].wait
    assert wait is not None
    assert wait.message.endswith("(2 pods of this Job have ended so)")
    job["status"] = {"completedIndexes": "0"}
    assert seen(cluster).jobs["mine/m1"].wait is None


def test_a_model_that_its_node_does_not_admit_is_told_until_a_node_has_another_one(cluster: Cluster) -> None:
    cluster.service("m1")
    refused = cluster.model_pod(
        "m1", phase="Failed", reason="UnexpectedAdmissionError", message="Allocate failed due to no healthy devices"
    )
    model = seen(cluster).models["m1"]
    assert model.phase is ModelPhase.STARTING
    assert model.wait is not None
    assert "UnexpectedAdmissionError: Allocate failed due to no healthy devices; see what" in model.wait.message
    cluster.pods["first"] = {**refused, "metadata": {**refused["metadata"], "name": "first"}}
    cluster.model_pod("m1", phase="Running", **PLACED)
    assert seen(cluster).models["m1"].wait is None
