"""A real scheduler and a node with one GPU: models for which there is no room come by turns."""

from __future__ import annotations

import asyncio
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
}


@pytest.mark.parametrize("scheduler", [{}], indirect=True)
async def test_what_keeps_a_pod_from_every_node_is_told(arena: Arena, scheduler: None) -> None:
    arena.player.binds = False
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "nowhere",
             "resources": {"requests": {"storage": "1Gi"}}}  # fmt: skip
    meta = {"name": "unbound", "namespace": arena.namespace}
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


def waits_with(words: str, tournament: Any) -> bool:
    return words in condition(tournament, "Waiting").get("message", "")


async def placed_models(arena: Arena) -> set[str]:
    """Tournaments of which a model's pod has a node."""
    labels = [pod["metadata"]["labels"] for pod in await arena.children(PODS) if "nodeName" in pod["spec"]]
    return {its[TOURNAMENT] for its in labels if MODEL in its}
