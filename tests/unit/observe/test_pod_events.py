"""What an autoscaler says of pods that fit no node, and a node of pods that it does not start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import CREATED, SETTINGS, T0, Cluster, cluster_tournament
from tiltyard.observe.observation import AGAIN_SECONDS, observe, requeue_after
from tiltyard.observe.pod_events import waiting_pods, words_of
from tiltyard.plan.observed import JobPhase, ModelPhase, WaitReason

FITS_NONE = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: 1 Insufficient nvidia.com/gpu."}]


WAITS = {"name": "worker", "state": {"waiting": {"reason": "ContainerCreating"}}}
TAKEN: dict[str, Any] = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED}],
    "containerStatuses": [WAITS],
}


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    cluster.preflight()
    return cluster


def event(words: str, at: str = CREATED, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": CREATED}, "eventTime": at, "note": words, **fields}


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ({"reportingController": "karpenter"}, "karpenter"),
        ({"deprecatedSource": {"component": "cluster-autoscaler"}}, "cluster-autoscaler"),
        ({"reportingController": "", "deprecatedSource": {"component": "karpenter"}}, "karpenter"),
    ],
)
def test_the_last_words_of_an_autoscaler_are_told(cluster: Cluster, author: dict[str, Any], name: str) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", conditions=FITS_NONE)
    (pod,) = waiting_pods(cluster.snapshot(), T0 + 11)
    events = [
        event("later\n", "2026-01-01T00:00:02Z", **author),
        event("sooner", "2026-01-01T00:00:01Z", **author),
        event("0/1 nodes are available", "2026-01-01T00:00:03Z", reportingController="default-scheduler"),
    ]
    assert words_of(pod, events) == f"{name} says: later"
    assert words_of(pod, events[2:]) is None
    assert words_of(pod, [event("no such volume", reason="FailedMount")]) is None


def test_one_pod_of_each_model_and_job_is_asked_for_and_the_words_are_in_its_sentence(cluster: Cluster) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", conditions=FITS_NONE)
    job = cluster.job("mine/m0")
    first, second = (cluster.worker_pod(job, index, phase="Pending", conditions=FITS_NONE) for index in range(2))
    second["metadata"]["creationTimestamp"] = "2026-01-01T00:00:01Z"
    snapshot = cluster.snapshot()
    assert waiting_pods(snapshot, T0 + 9) == []
    asked = [pod.name for pod in waiting_pods(snapshot, T0 + 11)]
    assert sorted(asked) == sorted([first["metadata"]["name"], "m1-pod"])
    said = replace(snapshot, pod_events={("", "m1", ""): "karpenter says: no"})
    seen = observe(said, SETTINGS, T0 + 11)
    wait, other = seen.models["m1"].wait, seen.jobs["mine/m0"].wait
    assert wait is not None
    assert wait.message.endswith("lower serving.resources; karpenter says: no")
    assert other is not None
    assert other.message.endswith("lower jobs.resources")
    assert requeue_after(snapshot, seen, T0 + 11) == AGAIN_SECONDS


def test_a_pod_that_its_node_does_not_start_waits_with_the_words_of_the_node(
    cluster: Cluster,
) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", **TAKEN)
    job = cluster.job("mine/m0")
    name = cluster.worker_pod(job, **TAKEN)["metadata"]["name"]
    snapshot = cluster.snapshot()
    assert waiting_pods(snapshot, T0 + 9) == []
    assert requeue_after(snapshot, observe(snapshot, SETTINGS, T0 + 1), T0 + 1) == 9
    asked = {pod.name: pod for pod in waiting_pods(snapshot, T0 + 10)}
    assert set(asked) == {name, "m1-pod"}
    events = [
        event("0/1 nodes are available", reason="FailedScheduling"),
        event('MountVolume.SetUp failed for volume "ca" : configmap "ca" not found', reason="FailedMount"),
        event("cannot scale", "2026-01-01T00:00:03Z", reportingController="karpenter"),
    ]
    words = words_of(asked[name], events)
    assert words_of(asked[name], [*events, event("Pulling image", "2026-01-01T00:01:00Z", reason="Pulling")]) is None
    assert words == 'MountVolume.SetUp failed for volume "ca" : configmap "ca" not found'
    said = replace(snapshot, pod_events={pod.asked_as: words for pod in asked.values()})
    seen = observe(said, SETTINGS, T0 + 10)
    for waits in (seen.models["m1"], seen.jobs["mine/m0"]):
        assert waits.wait is not None
        assert waits.wait.reason is WaitReason.NOT_STARTING
        assert waits.wait.message.endswith(
            f"is not started by its node: {words}; create what it names, or change the manifest's field that names it"
        )
    assert requeue_after(said, seen, T0 + 10) == AGAIN_SECONDS
    late = observe(said, SETTINGS, T0 + 1801)
    assert (late.models["m1"].phase, late.jobs["mine/m0"].phase) == (ModelPhase.FAILED, JobPhase.ACTIVE)
    assert words in late.models["m1"].message


def test_of_several_pods_that_are_not_started_the_one_with_a_reason_is_told(cluster: Cluster) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", **TAKEN)
    stuck = cluster.model_pod("m1", **TAKEN)
    stuck["metadata"] = {**stuck["metadata"], "name": "m1-stuck", "creationTimestamp": "2026-01-01T00:00:01Z"}
    cluster.pods["m1-stuck"] = stuck
    cluster.model_pod("m1", **TAKEN)  # its image is being pulled
    snapshot = cluster.snapshot()
    assert [pod.name for pod in waiting_pods(snapshot, T0 + 11)] == ["m1-pod", "m1-stuck"]
    said = replace(snapshot, pod_events={("", "m1", "m1-stuck"): "no such volume"})
    wait = observe(said, SETTINGS, T0 + 11).models["m1"].wait
    assert wait is not None
    assert wait.message.startswith("pod m1-stuck is not started by its node: no such volume; ")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ('Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) a',
         "the volume is free once the pods on the other node are gone"),
        ("Failed to create pod sandbox: plugin type calico failed (add)", "ask who manages the node"),
    ],
)  # fmt: skip
def test_what_to_do_about_a_pod_that_is_not_started(cluster: Cluster, words: str, advice: str) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", **TAKEN)
    snapshot = replace(cluster.snapshot(), pod_events={("", "m1", "m1-pod"): words})
    wait = observe(snapshot, SETTINGS, T0 + 10).models["m1"].wait
    assert wait is not None
    assert wait.message == f"pod m1-pod is not started by its node: {words}; {advice}"


@pytest.mark.parametrize(
    "status",
    [
        {"initContainerStatuses": [{"name": "fetch", "state": {"running": {}}}]},  # it downloads weights
        {"initContainerStatuses": [{"name": "fetch", "state": {"terminated": {"exitCode": 0}}}]},
        {"containerStatuses": [{**WAITS, "restartCount": 1}]},
        {"containerStatuses": [{"name": "worker", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
        {"phase": "Running", "containerStatuses": [{"name": "worker", "state": {"running": {}}}]},
        {"conditions": []},
    ],
)
def test_a_pod_of_which_a_container_was_started_or_tells_more_itself_is_not_asked_about(
    cluster: Cluster, status: dict[str, Any]
) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", **(TAKEN | status))
    assert waiting_pods(cluster.snapshot(), T0 + 3600) == []
