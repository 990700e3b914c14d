"""A real scheduler and a node with one GPU: models for which there is no room come by turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import tools
from cluster import processes
from cluster.controlplane import ControlPlane
from integration.cluster.conftest import NODES, Arena, condition
from integration.cluster.test_operator import SMALL
from support.podplayer import NODE

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(560)]

GPU = "nvidia.com/gpu"


@pytest.fixture
def scheduler(plane: ControlPlane) -> Iterator[None]:
    """A kube-scheduler for the length of a test, and a node that can give something: one GPU among it."""
    path = NODES.path(None, NODE)
    before = plane.request("GET", path)
    room = {"cpu": "64", "memory": "256Gi", "pods": "200", GPU: "1"}
    ready = {"type": "Ready", "status": "True", "reason": "Played", "message": "",
             "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
    status = {**before.get("status", {}), "capacity": room, "allocatable": room, "conditions": [ready]}
    plane.request("PUT", f"{path}/status", {**before, "status": status})
    there = plane.request("GET", path)
    plane.request("PUT", path, {**there, "spec": {**there.get("spec", {}), "taints": []}})
    flags = [f"--kubeconfig={plane.kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    running = processes.start([tools.ensure("kube-scheduler"), *flags], plane.folder / "kube-scheduler.log")
    yield
    processes.stop(running)
    there = plane.request("GET", path)
    plane.request("PUT", f"{path}/status", {**there, "status": before.get("status", {})})


async def test_three_models_with_a_gpu_for_one_come_by_turns(arena: Arena, scheduler: None) -> None:
    arena.player.binds = False
    document = arena.manifest(2, **SMALL)
    assert "serving" not in document["spec"]  # nobody says how many fit
    for one in (*document["spec"]["competitors"], *document["spec"]["judges"]):
        one["serving"] = {"resources": {"limits": {GPU: "1", "memory": "1Gi"}}}
    await arena.apply(document)
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Unschedulable", limit=120)
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
