"""A tournament on a real API server with KServe: each model's bytes are downloaded once, however often it is loaded.

The init containers are real processes, and so is the hub that they ask; simulated experts stand for vLLM.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
import yaml

from cluster import kserve
from cluster.controlplane import ControlPlane
from support.arena import SMALL, Arena, Configure, condition, pods_ended
from support.hub_server import LARGE, HubServer
from support.podfolders import MODEL_LABEL
from support.waiting import until
from tiltyard.observe.kinds import CACHES, CLAIMS, CLUSTER_CACHES, PODS, SERVICES, TOURNAMENTS, Kind
from tiltyard.render.names import service_name

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(240)]

NAMES = ("a", "b")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    noise = random.Random(0)
    server = HubServer(
        {f"org/{name}": {"config.json": b"{}", "model.safetensors": noise.randbytes(4 * LARGE)} for name in NAMES}
    )
    yield server
    server.stop()


CACHED = ("hf://org/a", "hf://org/b")


@pytest.fixture
def caches(plane: ControlPlane, configure: Configure) -> Iterator[Callable[..., None]]:
    """KServe's local model cache is enabled. Makes LocalModelCaches, which are of the whole cluster."""
    kserve.install_caches(plane)
    configure("localModel", {"enabled": True})
    made = list[str]()

    def make(name: str, uri: str, *groups: str) -> None:
        spec = {"sourceModelUri": uri, "modelSize": "1Gi", "nodeGroups": groups}
        body = {"apiVersion": CLUSTER_CACHES.api, "kind": CLUSTER_CACHES.kind, "metadata": {"name": name}, "spec": spec}
        made.append(CLUSTER_CACHES.path(None, name))
        plane.apply(made[-1], body)

    yield make
    for path in made:
        plane.request("DELETE", path)


def downloads(plane: ControlPlane, kind: Kind, namespace: str | None, name: str, **nodes: str) -> None:
    """Play KServe's agents on nodes."""
    path, content = kind.path(namespace, name, "status"), "application/merge-patch+json"
    plane.request("PATCH", path, {"status": {"nodeStatus": nodes}}, content)


async def test_a_cache_is_made_or_matched_and_a_model_waits_until_nodes_have_its_weights(
    arena: Arena, plane: ControlPlane, caches: Callable[..., None]
) -> None:
    arena.player.never_starts(lambda pod: MODEL_LABEL in pod["metadata"].get("labels", {}), {"phase": "Pending"})
    theirs = f"theirs-{arena.namespace}"
    caches(theirs, "hf://org/a:v1", "gpus", "others")
    caches(f"{theirs}-2", "hf://org/b:v2", "gpus")  # another revision
    caches(f"{theirs}-3", "hf://org/b:v1", "others")  # other nodes
    document = arena.manifest(2, **SMALL)
    document["spec"] |= {
        "competitors": [
            {"name": name, "model": {"uri": uri, "revision": "v1"}} for name, uri in zip(NAMES, CACHED, strict=True)
        ],
        "serving": {"weights": {"cache": {"nodeGroup": "gpus", "size": "1Gi"}}},
    }
    await arena.apply(document)

    def waits(one: Any) -> bool:
        message: str = condition(one, "Waiting").get("message", "")
        return message.count("Cache ") == len(NAMES)

    told = await arena.wait(waits)
    assert condition(told, "Waiting")["reason"] == "Downloading"
    assert f"model a: LocalModelCache {theirs} names no node that is ready yet" in condition(told, "Waiting")["message"]
    (ours,) = await arena.children(CACHES)
    name = ours["metadata"]["name"]
    assert f"model b: LocalModelNamespaceCache {name} names" in condition(told, "Waiting")["message"]
    assert ours["spec"] == {"sourceModelUri": "hf://org/b:v1", "modelSize": "1Gi", "nodeGroups": ["gpus"]}
    assert sorted(await arena.notes("Downloading"))[0].startswith("model a: ")
    assert "tiltyard_reconcile_errors_total 0.0" in (await arena.operator.metrics()).splitlines()

    async def served() -> dict[str, str]:
        """The caches that KServe's own webhook has matched, by models."""
        services = [one["metadata"]["labels"] for one in await arena.children(SERVICES)]
        return {one["tiltyard.dev/model"]: one.get("internal.serving.kserve.io/localmodel", "") for one in services}

    assert not {*NAMES} & set(await served())
    downloads(plane, CACHES, arena.namespace, name, one="NodeDownloaded", two="NodeDownloading")
    await arena.wait(lambda one: "(two: NodeDownloading)" in condition(one, "Waiting").get("message", ""))
    assert not {*NAMES} & set(await served())
    downloads(plane, CACHES, arena.namespace, name, two="NodeDownloaded", three="NodeNotReady")
    downloads(plane, CLUSTER_CACHES, None, theirs, one="NodeDownloaded")

    async def both() -> dict[str, str]:
        found = await served()
        return found if {*NAMES} <= set(found) else {}

    found = await until(both, 90)
    assert (found["a"], found["b"]) == (theirs, name)
    await arena.kube.delete(TOURNAMENTS, arena.namespace, "test")
    await arena.gone(CACHES, 60)
    assert plane.request("GET", CLUSTER_CACHES.path(None, theirs))["metadata"]["name"] == theirs


def competitors(hub: HubServer) -> list[dict[str, Any]]:
    served_from = {name: f"hf://org/{name}?endpoint={hub.url}" for name in NAMES}
    return [
        {"name": name, "model": {"uri": f"hf://org/{name}", "revision": "v1", "servedFrom": served_from[name]}}
        for name in NAMES
    ]


def play_vllm(arena: Arena) -> None:
    """Pods of models from the hub run simulated experts under the names that KServe gives them."""
    for name in NAMES:
        service = service_name("test", name)
        command = ["python", "-m", "tiltyard_jobs.sim", "--uri", f"sim://{name}", "--served-model-name", service]
        arena.player.runs(
            lambda pod, service=service: pod["metadata"].get("labels", {}).get(MODEL_LABEL) == service,  # type: ignore[misc]
            [*command, "--host", "127.0.0.1", "--port", "{port}"],
        )


async def test_each_models_bytes_are_downloaded_once_in_a_tournament_with_many_loads(
    arena: Arena, hub: HubServer
) -> None:
    play_vllm(arena)
    document = arena.manifest(2, **SMALL)
    document["spec"] |= {
        "competitors": competitors(hub),
        "serving": {"maxActive": 1, "weights": {"claim": {"size": "1Gi"}}},
    }
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed", limit=200)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    models = {one["name"]: one for one in done["status"]["models"]}
    loads = sum(models[name]["loads"] for name in NAMES)
    assert loads >= 2 * len(NAMES), models
    expected = {f"org/{name}/{path}": len(data) for name in NAMES for path, data in hub.models[f"org/{name}"].items()}
    assert hub.sent == expected  # each byte once
    assert all(count == 1 for count in hub.listed.values())
    for name in NAMES:
        assert models[name]["weightsBytes"] == hub.size(f"org/{name}")
        assert "downloadSeconds" in models[name]
    claims = {one["metadata"]["labels"]["tiltyard.dev/model"]: one for one in await arena.children(CLAIMS)}
    assert set(claims) == set(NAMES)
    assert claims["a"]["spec"]["resources"]["requests"]["storage"] == "1Gi"
    for service in await arena.children(SERVICES):
        assert service["metadata"]["labels"]["tiltyard.dev/model"] in {*NAMES, "j0"}


async def test_a_model_that_the_hub_refuses_is_told_with_what_to_do(arena: Arena, hub: HubServer) -> None:
    hub.token = "hf_secret"
    play_vllm(arena)
    document = arena.manifest(2, **SMALL)
    document["spec"] |= {"competitors": competitors(hub), "serving": {"weights": {"claim": {"size": "1Gi"}}}}
    await arena.apply(document)

    async def has_failed() -> bool:
        pods = await arena.children(PODS)
        inits = [one for pod in pods for one in pod.get("status", {}).get("initContainerStatuses", ())]
        return any(one["state"].get("terminated", {}).get("exitCode") for one in inits)

    told = await arena.told(
        has_failed, lambda one: "tokenSecretRef" in condition(one, "Waiting").get("message", ""), "Waiting"
    )
    assert "the model's source refused access: check the token" in condition(told, "Waiting")["message"]
    assert hub.sent.total() == 0


async def test_a_download_is_ended_with_its_pod_and_continued_by_the_next(arena: Arena, hub: HubServer) -> None:
    play_vllm(arena)
    held = "org/a/model.safetensors"
    hub.held[held] = Event()
    document = arena.manifest(2, **SMALL)
    weights = {"maxActive": 1, "weights": {"claim": {"size": "1Gi"}}}
    document["spec"] |= {"competitors": competitors(hub), "serving": weights}
    await arena.apply(document)
    assert await asyncio.to_thread(hub.reached.wait, 60)
    await arena.patch(suspend=True)
    await arena.wait_for_phase("Suspended")
    await pods_ended(arena)
    hub.held.pop(held).set()
    await arena.patch(suspend=False)
    done = await arena.wait_for_phase("Complete", "Failed", limit=200)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
