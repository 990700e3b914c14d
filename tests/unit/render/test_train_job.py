"""A training on many nodes: what our Job would be, told to a runtime."""

from __future__ import annotations

from typing import Any

from support.cluster_objects import SETTINGS, Cluster, cluster_tournament
from tiltyard.api import Tournament
from tiltyard.plan.planner import JobOrder
from tiltyard.render.jobs import bundle_objects
from tiltyard.render.tasks import bundle_task, trainer_ref
from tiltyard.render.train_job import runtime_of, train_job_objects
from tiltyard.render.worker_pod import store_ref

TRAINING: dict[str, Any] = {
    "baseModel": {"uri": "pvc://models/base"},
    "trainer": {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 3},
    "resources": {"limits": {"nvidia.com/gpu": "2"}},
    "pod": {
        "nodeSelector": {"pool": "gpu"},
        "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    },
}


def objects_of(tournament: Tournament) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The ConfigMap, the TrainJob, and the Job that one node would have had."""
    bundle = Cluster(tournament).graph.by_name["train"]
    order = JobOrder(bundle, bundle.missing({}))
    task = bundle_task(tournament, order, store_ref(tournament), None)
    assert runtime_of(tournament, bundle) is not None
    _, job = bundle_objects(tournament, order, task, SETTINGS)
    return *train_job_objects(tournament, order, task, SETTINGS), job


def test_all_that_our_job_has_is_in_it() -> None:
    config_map, train_job, job = objects_of(cluster_tournament(3, training=TRAINING))
    pod = job["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    spec = train_job["spec"]
    assert train_job["metadata"] == job["metadata"]
    assert spec["runtimeRef"] == {
        "apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime", "name": "torch-distributed",
    }  # fmt: skip
    trainer = spec["trainer"]
    assert trainer["command"] == [*worker["command"], "--index", "0"]
    assert (trainer["image"], trainer["env"]) == (worker["image"], worker["env"])
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (3, 2)
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "2"
    assert trainer["resourcesPerNode"] == job["spec"]["template"]["spec"]["containers"][0]["resources"]
    (override,) = spec["podTemplateOverrides"]
    assert override["targetJobs"] == [{"name": "node"}]
    assert override["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert override["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert override["spec"]["volumes"] == pod["volumes"]
    assert override["spec"]["containers"] == [{"name": "node", "volumeMounts": worker["volumeMounts"]}]
    assert {"name": "task", "configMap": {"name": config_map["metadata"]["name"]}} in override["spec"]["volumes"]
    assert "suspend" not in spec


def test_a_queue_starts_it() -> None:
    tournament = cluster_tournament(3, training=TRAINING)
    metadata = tournament.metadata.model_copy(update={"labels": {"kueue.x-k8s.io/queue-name": "team"}})
    _, train_job, _ = objects_of(tournament.model_copy(update={"metadata": metadata}))
    assert train_job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert train_job["spec"]["suspend"] is True


def test_its_name_is_a_label_of_rfc_1035_with_room_for_its_nodes() -> None:
    _, train_job, _ = objects_of(cluster_tournament(3, training=TRAINING, name="2" * 63))
    name = train_job["metadata"]["name"]
    assert name[0].isalpha()
    assert len(f"{name}-node-0-1023-abcde") <= 63


def test_a_worker_is_told_how_many_train_with_it() -> None:
    ref = trainer_ref(cluster_tournament(3, training=TRAINING), None)
    assert (ref.nodes, ref.devices) == (3, 2)


def test_one_pod_needs_no_runtime() -> None:
    tournament = cluster_tournament(3, training={"baseModel": {"uri": "pvc://models/base"}})
    graph = Cluster(tournament).graph
    assert runtime_of(tournament, graph.by_name["train"]) is None
    assert runtime_of(cluster_tournament(3, training=TRAINING), graph.by_name["report"]) is None
