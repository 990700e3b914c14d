"""What the operator counts; that it is documented is held by `tests/unit/docs`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from prometheus_client import REGISTRY

from support.cluster_objects import CREATED, Cluster, cluster_tournament, finish
from tiltyard.api import TournamentStatus
from tiltyard.cluster import metrics
from tiltyard.observe.records import TournamentRecord
from tiltyard.status.objects import status_of


def record(name: str, status: dict[str, Any] | None) -> TournamentRecord:
    document = {"metadata": {"namespace": "ns", "name": name}} | ({"status": status} if status is not None else {})
    return TournamentRecord.of(document)


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def count(tournaments: Iterable[TournamentRecord] = (), cluster: Cluster | None = None) -> None:
    it = (cluster or Cluster(cluster_tournament(3))).snapshot()
    metrics.count_objects(tournaments, it.jobs.values(), it.services.values(), it.pods.values())


def test_tournaments_are_counted_by_phase() -> None:
    judging = [record("a", {"phase": "Judging"}), record("b", {"phase": "Judging"})]
    count([*judging, record("c", None)])
    assert (sample("tiltyard_tournaments", phase="Judging"), sample("tiltyard_tournaments", phase="Pending")) == (2, 1)
    count([record("a", {"phase": "Complete"})])
    assert (sample("tiltyard_tournaments", phase="Judging"), sample("tiltyard_tournaments", phase="Complete")) == (
        None,
        1,
    )


def test_models_are_counted_by_their_objects_and_pods() -> None:
    cluster = Cluster(cluster_tournament(5))
    cluster.service("m0", ready=True)
    cluster.service("m1")
    cluster.service("m2", stopped=True)
    cluster.service("m3", stopped=True)
    cluster.model_pod("m3", phase="Running")
    cluster.service("m4")["metadata"]["deletionTimestamp"] = CREATED
    count(cluster=cluster)
    states = {state: sample("tiltyard_models", state=state) for state in ("Ready", "Starting", "Stopping", "Stopped")}
    assert states == {"Ready": 1, "Starting": 1, "Stopping": 1, "Stopped": 2}
    count()
    assert sample("tiltyard_models", state="Ready") is None


def test_jobs_count_while_they_have_a_pod_at_work() -> None:
    cluster = Cluster(cluster_tournament(3))
    cluster.job("mine/m0")["status"] = {"active": 2}
    cluster.job("mine/m1")["status"] = {"active": 0}
    ended = cluster.job("mine/m2")
    finish(ended, "Failed")
    ended["status"]["active"] = 1  # its pods are being deleted
    count(cluster=cluster)
    assert sample("tiltyard_jobs_active") == 1
    count()
    assert sample("tiltyard_jobs_active") == 0


def test_conditions_are_counted_by_type_and_status_and_those_of_others_are_not() -> None:
    waiting, theirs = {"type": "Waiting", "status": "True"}, {"type": "example.com/Audited", "status": "True"}
    count([record(name, {"conditions": [waiting, theirs]}) for name in "ab"])
    assert sample("tiltyard_tournament_conditions", type="Waiting", status="True") == 2
    assert sample("tiltyard_tournament_conditions", type="example.com/Audited", status="True") is None


def test_pods_are_counted_by_what_they_run() -> None:
    cluster = Cluster(cluster_tournament(3))
    cluster.service("m0", ready=True)
    cluster.model_pod("m0", phase="Pending")
    cluster.model_pod("m1", phase="Running")
    count(cluster=cluster)
    assert sample("tiltyard_pods", runs="Model", phase="Pending") == 1
    assert sample("tiltyard_pods", runs="Model", phase="Running") == 1


def test_watched_objects_of_several_namespaces_are_added_up() -> None:
    metrics.count_watched([("jobs", 2), ("pods", 1), ("jobs", 3)])
    assert sample("tiltyard_watched_objects", resource="jobs") == 5
    assert sample("tiltyard_watched_objects", resource="pods") == 1


def test_time_of_models_is_counted_by_what_they_do() -> None:
    cluster = Cluster(cluster_tournament(5))
    for name in ("m0", "m1"):
        cluster.service(name, ready=True)
    cluster.service("m2")
    cluster.service("m3", stopped=True)
    cluster.model_pod("m3", phase="Running")
    cluster.service("m4", stopped=True)
    it = cluster.snapshot()
    services, pods = list(it.services.values()), list(it.pods.values())
    before = {one: sample("tiltyard_model_seconds_total", activity=one) or 0 for one in metrics.ACTIVITIES}
    metrics.add_model_seconds(3, services, pods, {(services[0].owner, "m0")})
    after = {one: sample("tiltyard_model_seconds_total", activity=one) or 0 for one in metrics.ACTIVITIES}
    assert {one: after[one] - before[one] for one in after} == {"Starting": 3, "Busy": 3, "Idle": 3, "Stopping": 3}


def test_progress_is_counted_from_one_status_to_the_next() -> None:
    def status(tokens: int, voids: int, **conditions: str) -> TournamentStatus:
        told = [
            {"type": kind, "status": one, "reason": "Any", "lastTransitionTime": CREATED}
            for kind, one in conditions.items()
        ]
        usage = {"promptTokens": tokens, "cachedTokens": tokens // 2, "completionTokens": 2 * tokens}
        stages = [{"name": "Mining", "void": voids}]
        return status_of({"status": {"conditions": told, "usage": usage, "stages": stages}})

    def counted() -> list[float]:
        return [
            sample("tiltyard_prompt_tokens_total") or 0,
            sample("tiltyard_cached_prompt_tokens_total") or 0,
            sample("tiltyard_completion_tokens_total") or 0,
            sample("tiltyard_voids_total", phase="Mining") or 0,
            sample("tiltyard_tournaments_finished_total", outcome="Complete") or 0,
            sample("tiltyard_tournaments_finished_total", outcome="Failed") or 0,
        ]

    begun = counted()
    steps = [
        TournamentStatus(),
        status(10, 1),
        status(10, 1, Failed="True"),
        status(30, 1, Failed="False"),
        status(4, 0),  # the manifest was edited
        status(14, 2),
        status(14, 2, Complete="True", Failed="False"),
        status(14, 2, Complete="True", Failed="False"),
    ]
    for before, after in pairwise(steps):
        metrics.count_progress(before, after)
    assert [now - old for now, old in zip(counted(), begun, strict=True)] == [40, 20, 80, 3, 1, 1]
