"""Training on many nodes: the controllers of Kubeflow Trainer and JobSet are real, and so is the worker in each pod.

No pod here has TRL: how a training of two nodes ends well is in `tests/e2e`.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.arena import Arena, condition
from support.waiting import until
from tiltyard.observe.kinds import CONFIG_MAPS, JOBS, PODS, TOURNAMENTS, TRAIN_JOBS, Kind

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(560)]

JOB_SETS = Kind("jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets")


def training(arena: Arena, runtime: str = "torch-distributed") -> dict[str, Any]:
    return arena.manifest(
        2,
        per_competitor=12,
        judges=1,
        curation={"decontaminate": [], "diversity": {"perCompetitor": 4}},
        jobs={"shardSize": 12},
        training={
            "baseModel": {"uri": "hf://org/base"},
            "trainer": {"kind": "TrainJob", "runtimeRef": {"name": runtime}, "numNodes": 2},
        },
    )


def is_node(pod: Any) -> bool:
    return "-train-" in pod["metadata"]["name"] and "deletionTimestamp" not in pod["metadata"]


async def test_two_nodes_are_suspended_resumed_and_deleted(trainer: None, arena: Arena) -> None:
    arena.player.runs(is_node, ["sleep", "600"])
    await arena.apply(training(arena))

    pods: list[Any] = []

    async def there_are(count: int) -> bool:
        pods[:] = [pod for pod in await arena.children(PODS) if is_node(pod)]
        return len(pods) == count

    await until(lambda: there_are(2), 300)
    told = [{one["name"]: one for one in pod["spec"]["containers"][0]["env"]} for pod in pods]
    assert all(env["PET_NNODES"]["value"] == "2" for env in told)
    assert all("PET_MASTER_ADDR" in env for env in told)
    await arena.wait(lambda one: one["status"]["phase"] == "Training", limit=240)
    (job,) = await arena.children(TRAIN_JOBS)
    assert job["metadata"]["labels"]["tiltyard.dev/stage"] == "train"

    await arena.patch(suspend=True)
    await until(lambda: there_are(0), 300)
    (job,) = await arena.children(TRAIN_JOBS)
    assert job["spec"]["suspend"] is True
    await arena.patch(suspend=False)
    await until(lambda: there_are(2), 300)

    await arena.kube.delete(TOURNAMENTS, arena.namespace, "test")
    for kind in (TRAIN_JOBS, JOBS, CONFIG_MAPS, PODS):
        await arena.gone(kind)
    left, _ = await arena.kube.list(JOB_SETS, arena.namespace, "")
    assert left == []


async def test_what_no_retry_can_mend_is_told_at_once(trainer: None, arena: Arena) -> None:
    await arena.apply(training(arena))
    failed = await arena.wait_for_phase("Failed", "Complete", limit=300)
    message = condition(failed, "Failed")["message"]
    assert "No module named" in message
    assert "spec.training" in message
    assert "must have TRL: name one that has it in the chart's trainer.image" in message
    nodes = [pod for pod in arena.player.started if "-train-" in pod]
    assert 1 <= len(nodes) <= 3  # two nodes; Trainer may have begun to replace one
    await arena.gone(TRAIN_JOBS)
    # It used all rights that it has for this.
    told = {(resource, verb) for verb, resource, _ in await arena.operator.calls()}
    assert {verb for resource, verb in told if resource == "trainjobs"} == {"list", "watch", "patch", "delete"}
    assert ("clustertrainingruntimes", "get") in told


async def test_a_runtime_that_is_missing_is_named_before_anything_runs(trainer: None, arena: Arena) -> None:
    await arena.apply(training(arena, "no-such-runtime"))
    refused = await arena.wait_for_phase("Invalid")
    message = condition(refused, "Accepted")["message"]
    assert "spec.training.trainer.runtimeRef.name: there is no ClusterTrainingRuntime 'no-such-runtime'" in message
    assert "kubectl get clustertrainingruntimes" in message
    assert await arena.children(JOBS) == []
