"""What Prometheus reads, and that it is documented."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from support.cluster_objects import CREATED, Cluster, cluster_tournament, finish
from tiltyard.cluster import metrics
from tiltyard.observe.records import TournamentRecord

DOCS = Path(__file__).parents[3] / "docs" / "cluster.md"
ROW = re.compile(r"^\| `(tiltyard_\w+)`(?: by ([a-z, ]+))? \|", re.MULTILINE)


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


def test_every_metric_and_its_labels_are_documented() -> None:
    declared = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
            declared[name] = metric._labelnames
    documented = {name: tuple(labels.split(", ")) if labels else () for name, labels in ROW.findall(DOCS.read_text())}
    assert documented == declared
    assert len(declared) == 13
