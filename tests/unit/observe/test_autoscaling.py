"""What an autoscaler says of pods that fit no node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import CREATED, SETTINGS, T0, Cluster, cluster_tournament
from tiltyard.observe.autoscaling import autoscalers_words, without_room
from tiltyard.observe.observation import AGAIN_SECONDS, observe, requeue_after

FITS_NONE = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: 1 Insufficient nvidia.com/gpu."}]


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
def test_its_last_words_are_told(author: dict[str, Any], name: str) -> None:
    events = [
        event("later\n", "2026-01-01T00:00:02Z", **author),
        event("sooner", "2026-01-01T00:00:01Z", **author),
        event("0/1 nodes are available", "2026-01-01T00:00:03Z", reportingController="default-scheduler"),
    ]
    assert autoscalers_words(events) == f"{name} says: later"
    assert autoscalers_words(events[2:]) is None


def test_one_pod_of_each_model_and_job_is_asked_for_and_the_words_are_in_its_sentence() -> None:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    cluster.preflight()
    cluster.service("m1")
    cluster.model_pod("m1", conditions=FITS_NONE)
    job = cluster.job("mine/m0")
    first, second = (cluster.worker_pod(job, index, phase="Pending", conditions=FITS_NONE) for index in range(2))
    second["metadata"]["creationTimestamp"] = "2026-01-01T00:00:01Z"
    snapshot = cluster.snapshot()
    assert without_room(snapshot, T0 + 9) == []
    asked = [pod.name for pod in without_room(snapshot, T0 + 11)]
    assert sorted(asked) == sorted([first["metadata"]["name"], "m1-pod"])
    said = replace(snapshot, autoscaling={("", "m1"): "karpenter says: no"})
    seen = observe(said, SETTINGS, T0 + 11)
    wait, other = seen.models["m1"].wait, seen.jobs["mine/m0"].wait
    assert wait is not None
    assert wait.message.endswith("lower serving.resources; karpenter says: no")
    assert other is not None
    assert other.message.endswith("lower jobs.resources")
    assert requeue_after(snapshot, seen, T0 + 11) == AGAIN_SECONDS
