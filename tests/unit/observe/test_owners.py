"""Objects are believed by who controls them, and not by their labels, which anybody in the namespace may set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cluster_objects import Cluster, cluster_tournament, made_by_job, made_by_replica_set
from tiltyard.observe.records import JobRecord, PodRecord
from tiltyard.render.names import job_name, job_prefix, service_name


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(cluster_tournament(3, per_competitor=8))


@pytest.mark.parametrize(
    ("change", "believed"),
    [
        ({}, True),
        ({"uid": "j-0"}, False),  # of a Job of the same name before
        ({"name": "test-other"}, False),
        ({"controller": False}, False),
        ({"kind": "CronJob"}, False),
        ({"apiVersion": "batch.volcano.sh/v1alpha1"}, False),
    ],
)
def test_a_pod_of_a_job(cluster: Cluster, change: dict[str, Any], believed: bool) -> None:
    job = cluster.job("mine/m0")
    job["metadata"]["uid"] = "j-1"
    pod = cluster.worker_pod(job, phase="Running")
    pod["metadata"]["ownerReferences"][0] |= change
    snapshot = cluster.snapshot()
    assert bool(snapshot.pods_of(snapshot.jobs[job["metadata"]["name"]])) is believed


NAME = service_name("test", "m0")
LLM_NAME = service_name("test", "m0", llm=True)


@pytest.mark.parametrize(
    ("owners", "believed"),
    [
        (made_by_replica_set(NAME), True),
        (made_by_replica_set(LLM_NAME), True),
        ([made_by_replica_set(LLM_NAME)[0] | {"kind": "StatefulSet", "name": f"{LLM_NAME}-kserve-mn"}], True),
        ([], False),
        (made_by_replica_set(service_name("test", "m1")), False),
        (made_by_replica_set(service_name("other", "m0")), False),
        ([made_by_replica_set(NAME)[0] | {"controller": False}], False),
        ([made_by_replica_set(NAME)[0] | {"apiVersion": "apps.kruise.io/v1"}], False),
        ([made_by_replica_set(NAME)[0] | {"kind": "DaemonSet"}], False),
        (made_by_job(f"{NAME}-x"), False),
    ],
)
def test_a_pod_of_a_model(cluster: Cluster, owners: list[dict[str, Any]], believed: bool) -> None:
    service = cluster.service("m0")
    cluster.model_pod("m0")["metadata"]["ownerReferences"] = owners
    snapshot = cluster.snapshot()
    assert bool(snapshot.pods) is believed
    assert bool(snapshot.pods_of_model(snapshot.services[service["metadata"]["name"]])) is believed


@pytest.mark.parametrize(
    ("job", "owner", "believed"),
    [
        ("test-train-1", "test-train-1-node-0", True),
        ("test-train-1", "test-train-1", False),
        ("test-train-1", "other", False),
        ("other-train-1", "other-train-1-node-0", False),
    ],
)
def test_a_node_of_a_train_job(cluster: Cluster, job: str, owner: str, believed: bool) -> None:
    pod = cluster.worker_pod(cluster.preflight())
    pod["metadata"]["labels"]["jobset.sigs.k8s.io/jobset-name"] = job
    pod["metadata"]["ownerReferences"] = made_by_job(owner)
    assert (PodRecord.of(pod) is not None) is believed


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,80}[a-z0-9])?", fullmatch=True))
@settings(deadline=None)
def test_the_names_of_a_tournaments_jobs_begin_alike(tournament: str) -> None:
    for bundle in ("preflight", "judge/a/b", "mine/" + "x" * 80):
        assert job_name(tournament, bundle, "v").startswith(job_prefix(tournament))


def test_a_pod_without_a_tournament_is_nobodys(cluster: Cluster) -> None:
    pod = cluster.worker_pod(cluster.preflight())
    del pod["metadata"]["labels"]["tiltyard.dev/tournament"]
    pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = "t-job"
    pod["metadata"]["ownerReferences"] = made_by_job("t-job")
    assert PodRecord.of(pod) is None


def test_a_pod_of_a_job_is_no_models(cluster: Cluster) -> None:
    pod = cluster.worker_pod(cluster.preflight())
    pod["metadata"]["labels"]["tiltyard.dev/model"] = "m0"
    record = PodRecord.of(pod)
    assert record is not None
    assert record.model == ""


@pytest.mark.parametrize("change", [{"apiVersion": "other.example/v1"}, {"kind": "Tournaments"}, {"controller": False}])
def test_a_job_of_a_tournament(cluster: Cluster, change: dict[str, Any]) -> None:
    job = cluster.job("mine/m0")
    assert JobRecord.of(job) is not None
    job["metadata"]["ownerReferences"][0] |= change
    assert JobRecord.of(job) is None
