"""Objects are believed by who controls them, and not by their labels, which anybody in the namespace may set."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster_objects import Cluster, cluster_tournament
from tiltyard.observe.records import JobRecord

OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "any", "uid": "j-1", "controller": True}


@pytest.mark.parametrize(
    ("owners", "believed"),
    [
        ([OWNER], True),
        ([], False),
        ([OWNER | {"uid": "j-0"}], False),  # of a Job of the same name before
        ([OWNER | {"controller": False}], False),
        ([OWNER | {"kind": "CronJob"}], False),
        ([OWNER | {"apiVersion": "batch.volcano.sh/v1alpha1"}], False),
    ],
)
def test_a_pod_of_a_job(owners: list[dict[str, Any]], believed: bool) -> None:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    job = cluster.job("mine/m0")
    job["metadata"]["uid"] = "j-1"
    cluster.worker_pod(job, phase="Running")["metadata"]["ownerReferences"] = owners
    snapshot = cluster.snapshot()
    assert bool(snapshot.pods_of(snapshot.jobs[job["metadata"]["name"]])) is believed


@pytest.mark.parametrize("change", [{"apiVersion": "other.example/v1"}, {"kind": "Tournaments"}, {"controller": False}])
def test_a_job_of_a_tournament(change: dict[str, Any]) -> None:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    job = cluster.job("mine/m0")
    assert JobRecord.of(job) is not None
    job["metadata"]["ownerReferences"][0] |= change
    assert JobRecord.of(job) is None
