"""A training on many nodes: whose word counts."""

from __future__ import annotations

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, finish
from tiltyard.observe.observation import observe
from tiltyard.plan.observed import JobPhase, Observed
from tiltyard_jobs.contracts.summary import Summary


def seen(cluster: Cluster) -> Observed:
    return observe(cluster.snapshot(), SETTINGS, T0 + 1)


@pytest.fixture
def many_nodes() -> Cluster:
    trainer = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2}
    training = {"baseModel": {"uri": "hf://org/base"}, "trainer": trainer}
    cluster = Cluster(cluster_tournament(3, per_competitor=8, training=training))
    cluster.preflight()
    return cluster


def test_the_first_node_of_a_train_job_speaks_for_all(many_nodes: Cluster) -> None:
    job = many_nodes.job("train")
    job["status"] = {"jobsStatus": [{"name": "node", "active": 1, "succeeded": 0}]}
    (made,) = many_nodes.graph.by_name["train"].makes
    assert (seen(many_nodes).jobs["train"].phase, seen(many_nodes).jobs["train"].active) == (JobPhase.ACTIVE, 1)
    many_nodes.end_pod(job, 1, Summary(exit_code=0))
    finish(job, "Complete")
    assert made.key not in seen(many_nodes).done or seen(many_nodes).done[made.key] == frozenset()
    many_nodes.end_pod(job, 0, Summary(exit_code=0, rows=12))
    observed = seen(many_nodes)
    assert observed.done[made.key] == frozenset({0})
    assert "train" not in observed.jobs


def test_what_no_retry_can_mend_fails_a_train_job_before_its_controller_gives_up(many_nodes: Cluster) -> None:
    job = many_nodes.job("train")
    many_nodes.end_pod(job, 1, Summary(exit_code=75, message="the first node is away"))
    assert seen(many_nodes).jobs["train"].phase is JobPhase.ACTIVE
    many_nodes.end_pod(job, 0, Summary(exit_code=2, message="spec.training: there are no rows"))
    failed = seen(many_nodes).jobs["train"]
    assert failed.phase is JobPhase.FAILED
    assert failed.message.startswith("spec.training: there are no rows; its log: `kubectl -n arena logs test-train-")
