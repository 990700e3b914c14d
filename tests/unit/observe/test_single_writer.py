"""Buckets in which one run at a time may write: who goes first."""

from __future__ import annotations

import pytest

from support.cluster_objects import Cluster, cluster_tournament, finish
from tiltyard.observe.records import TournamentRecord
from tiltyard.observe.single_writer import is_single_writer, writer_in_front, writers

BUCKET = {"uri": "s3://bucket/a", "endpoint": "https://gcs", "singleWriter": True}


def record(name: str, hour: int, phase: str = "Mining", **bucket: object) -> TournamentRecord:
    meta = {"namespace": "arena", "name": name, "creationTimestamp": f"2026-01-01T{hour:02}:00:00Z"}
    spec = {"output": {"s3": {**BUCKET, **bucket}}}
    return TournamentRecord(f"arena/{name}", {"metadata": meta, "spec": spec, "status": {"phase": phase}})


def front(one: TournamentRecord, other: TournamentRecord, *active: str) -> str:
    return writer_in_front(one, [one, other], {f"arena/{name}" for name in active})


def test_the_older_writes_first_and_the_other_after_it() -> None:
    old, new = record("old", 1), record("new", 2)
    assert front(new, old, "old") == front(new, old, "old", "new") == front(new, old) == "arena/old"
    assert front(old, new, "old") == front(old, new) == ""
    for phase in ("Complete", "Failed", "Suspended", "Invalid"):
        assert front(new, record("old", 1, phase)) == ""
        assert front(new, record("old", 1, phase), "old") == "arena/old"  # its pods have not ended yet


def test_an_older_one_that_comes_back_waits_for_what_the_newer_has_begun() -> None:
    old, new = record("old", 1), record("new", 2)
    assert front(old, new, "new") == "arena/new"
    assert front(new, old, "new") == ""


@pytest.mark.parametrize("active", [(), ("old",), ("new",), ("old", "new")])
def test_no_two_wait_for_each_other(active: tuple[str, ...]) -> None:
    old, new = record("old", 1), record("new", 2)
    assert sorted([bool(front(old, new, *active)), bool(front(new, old, *active))]) == [False, True]


@pytest.mark.parametrize(
    ("uri", "endpoint", "shared"),
    [
        ("s3://bucket/a/", "https://gcs", True),
        ("s3://bucket", "https://gcs", True),
        ("s3://bucket/a/b", "https://gcs", True),
        ("s3://bucket/ab", "https://gcs", False),
        ("s3://bucket/a", "https://other", False),
    ],
)
def test_what_is_shared(uri: str, endpoint: str, shared: bool) -> None:
    other = record("old", 1, uri=uri, endpoint=endpoint)
    assert bool(front(record("new", 2), other)) is shared


def test_it_is_asked_for() -> None:
    assert is_single_writer(record("a", 1))
    assert not is_single_writer(record("a", 1, singleWriter=False))
    assert not is_single_writer(TournamentRecord("arena/a", {"metadata": {}, "spec": {}}))


def test_a_job_that_has_no_pod_yet_is_about_to_write() -> None:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    job = cluster.job("mine/m0")

    def active() -> set[str]:
        seen = cluster.snapshot()
        return writers(seen.pods.values(), seen.jobs.values())

    assert active() == {"arena/test"}
    job["spec"]["suspend"] = True
    assert active() == set()
    cluster.worker_pod(job, phase="Running")
    assert active() == {"arena/test"}  # it has not ended yet
    cluster.pods.clear()
    job["spec"]["suspend"] = False
    finish(job, "Complete")
    assert active() == set()
