"""A real scheduler and a node with one GPU: models for which there is no room come by turns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from support.arena import SMALL, TOLD_SECONDS, Arena, condition
from support.podplayer import NODE
from support.waiting import until
from tiltyard.observe.kinds import CLAIMS, NODES, PODS
from tiltyard.render.names import MODEL, TOURNAMENT

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(900)]

GPU = "nvidia.com/gpu"


@pytest.mark.parametrize("scheduler", [{GPU: "1"}], indirect=True)
async def test_three_models_with_a_gpu_for_one_come_by_turns(arena: Arena, scheduler: None) -> None:
    arena.player.binds = False
    document = arena.manifest(2, **SMALL)
    assert "serving" not in document["spec"]  # nobody says how many fit
    for one in (*document["spec"]["competitors"], *document["spec"]["judges"]):
        one["serving"] = {"resources": {"limits": {GPU: "1", "memory": "1Gi"}}}
    await arena.apply(document)
    told = await arena.told(
        arena.unschedulable, lambda one: condition(one, "Waiting").get("reason") == "Unschedulable", "Waiting"
    )
    assert f"Insufficient {GPU}" in condition(told, "Waiting")["message"]
    most = 0

    def is_at_its_end(one: Any) -> bool:
        nonlocal most
        models = one["status"].get("models", ())
        most = max(most, sum(model["state"] == "Ready" for model in models))
        return one["status"].get("phase") in ("Complete", "Failed")

    done = await arena.wait(is_at_its_end, limit=500)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert most <= 1


@pytest.mark.parametrize("scheduler", [{GPU: "1"}], indirect=True)
async def test_two_tournaments_that_hold_each_others_room_get_free_of_it(
    arena: Arena, scheduler: None, plane: ControlPlane
) -> None:
    arena.player.binds = False
    one = {"requests": {"cpu": "1", "memory": "64Mi"}}
    for name in ("first", "second"):
        document = arena.manifest(2, **SMALL | {"jobs": {"resources": one, "parallelism": 1}}, name=name)
        document["spec"]["serving"] = {"maxActive": 1}
        document["spec"]["output"]["s3"]["uri"] += f"/{name}"
        for player in (*document["spec"]["competitors"], *document["spec"]["judges"]):
            player["serving"] = {"resources": one}
        await arena.apply(document)
        await asyncio.sleep(1.1)  # their ages are whole seconds

    async def have_models() -> bool:
        return len(await placed_models(arena)) == 2

    await until(have_models, 120)
    # Each has a model, and from now on no room for the pods that would ask it.
    path = NODES.path(None, NODE)
    there = plane.request("GET", path)
    room = {**there["status"]["allocatable"], "cpu": "2"}
    plane.request("PUT", f"{path}/status", {**there, "status": {**there["status"], "allocatable": room}})
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "GivesWay", "second", limit=240)
    assert f"and {arena.namespace}/first" in condition(told, "Waiting")["message"]
    for name in ("first", "second"):
        done = await arena.wait_for_phase("Complete", "Failed", name=name, limit=450)
        assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert all(f"{arena.namespace}/first" in note for note in await arena.notes("GivesWay"))


NO_NODE: dict[str, tuple[dict[str, Any], str]] = {
    "selector": ({"nodeSelector": {"disk": "fast"}}, "label nodes as jobs.pod requires, or change it"),
    "claim": (
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "nowhere"}}]},
        'persistentvolumeclaim "nowhere" not found',
    ),
    "unbound": (
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "unbound"}}]},
        "check the volume claim that it mounts",
    ),
    # The scheduler says nothing of a claim whose volume is made once the node is known, and waits.
    "late": (
        {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "late"}}]},
        "check that it is running, and that the volume claims that the pod mounts get a volume (late): `kubectl"
        " describe pvc` says more",
    ),
    "apart": (
        {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "nowhere"}}}]}}},
        "change jobs.pod.affinity, or see to the pods that it is about",
    ),
}  # fmt: skip


@pytest.fixture
def late(plane: ControlPlane) -> Iterator[str]:
    """The name of a class of storage that makes volumes once the node is known, and whose provisioner is away."""
    path = "/apis/storage.k8s.io/v1/storageclasses"
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "late"},
            "provisioner": "example.org/away", "volumeBindingMode": "WaitForFirstConsumer"}  # fmt: skip
    plane.request("POST", path, body)
    yield "late"
    plane.request("DELETE", f"{path}/late")


@pytest.mark.parametrize("scheduler", [{}], indirect=True)
async def test_what_keeps_a_pod_from_every_node_is_told(arena: Arena, scheduler: None, late: str) -> None:
    arena.player.binds = False
    for name, storage_class in (("unbound", "nowhere"), ("late", late)):
        claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class,
                 "resources": {"requests": {"storage": "1Gi"}}}  # fmt: skip
        meta = {"name": name, "namespace": arena.namespace}
        await arena.kube.create(CLAIMS, {"apiVersion": "v1", "kind": CLAIMS.kind, "metadata": meta, "spec": claim})
    for name, (pod, _) in NO_NODE.items():
        document = arena.manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "pod": pod}}, name=name)
        document["spec"]["output"]["s3"]["uri"] += f"/{name}"
        await arena.apply(document)

    async def are_made() -> bool:
        return {pod["metadata"]["labels"][TOURNAMENT] for pod in await arena.children(PODS)} == {*NO_NODE}

    await until(are_made, 60)
    for name, (_, words) in NO_NODE.items():
        told = await arena.wait(partial(waits_with, words), name, TOLD_SECONDS)
        assert condition(told, "Waiting")["reason"] == "Unschedulable"
        assert condition(told, "Waiting")["message"].startswith(f"preflight: pod {name}-preflight-")


@pytest.mark.parametrize("scheduler", [{}], indirect=True)
async def test_a_taint_that_keeps_pods_from_every_node_is_told(
    arena: Arena, plane: ControlPlane, scheduler: None
) -> None:
    arena.player.binds = False
    path = NODES.path(None, NODE)
    taints = [{"key": "example.org/team", "value": "other", "effect": "NoSchedule"}]
    there = plane.request("GET", path)
    plane.request("PUT", path, {**there, "spec": {**there["spec"], "taints": taints}})
    await arena.apply(arena.manifest(2, **SMALL))
    words = (
        "untolerated taint(s); it starts automatically once it fits a node: see the taints in `kubectl describe nodes`"
    )
    told = await arena.wait(partial(waits_with, words), "test", TOLD_SECONDS)
    assert "jobs.pod.tolerations, or have the nodes made ready" in condition(told, "Waiting")["message"]
    plane.request("PUT", path, {**plane.request("GET", path), "spec": {**there["spec"], "taints": []}})
    await arena.wait_for_phase("Complete", limit=120)


def waits_with(words: str, tournament: Any) -> bool:
    return words in condition(tournament, "Waiting").get("message", "")


async def placed_models(arena: Arena) -> set[str]:
    """Tournaments of which a model's pod has a node."""
    labels = [pod["metadata"]["labels"] for pod in await arena.children(PODS) if "nodeName" in pod["spec"]]
    return {its[TOURNAMENT] for its in labels if MODEL in its}
