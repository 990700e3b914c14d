"""Models as LLMInferenceServices, with KServe's own CRDs, webhooks and controller of them."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
import yaml

from support.arena import SMALL, Arena, condition
from support.waiting import until
from tiltyard.cluster.client import Client
from tiltyard.cluster.kserve import KServe
from tiltyard.observe.kinds import EVENTS, LLM_SERVICES, SERVICES, Kind, Object

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(600), pytest.mark.usefixtures("llms")]

DEPLOYMENTS = Kind("apps/v1", "Deployment", "deployments")
LEADER_WORKER_SETS = Kind("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets")
LLM = {"kind": "LLMInferenceService"}
GPUS = {"limits": {"nvidia.com/gpu": "8", "memory": "64Gi"}}


def large(arena: Arena, serving: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A manifest of simulated experts, the first of whom is real and served so."""
    document = arena.manifest(2, **SMALL, **spec)
    document["spec"]["competitors"][0] |= {"model": {"uri": "pvc://models/a"}, "serving": {**LLM, **serving}}
    return document


def wait_of(tournament: Object) -> str:
    """What the status says that the first model waits for."""
    messages = [one["message"] for one in tournament.get("status", {}).get("conditions", ())]
    return next((message for message in messages if "model m0" in message), "")


async def child(arena: Arena, kind: Kind) -> Object:
    """The object of a kind that KServe has made for an LLMInferenceService."""

    async def made() -> Object | None:
        found = (await arena.kube.list(kind, arena.namespace, ""))[0]
        return next((one for one in found if "-llm-" in one["metadata"]["name"]), None)

    return await until(made)


async def test_a_tournament_whose_models_are_served_so_runs_to_its_end(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    for player in (*document["spec"]["competitors"], *document["spec"].get("judges", ())):
        player["serving"] = LLM
    await arena.apply(document)
    up = await arena.wait(lambda one: any(model.get("url") for model in one.get("status", {}).get("models", ())))
    url = next(model["url"] for model in up["status"]["models"] if model.get("url"))
    assert url.endswith(f"-kserve-workload-svc.{arena.namespace}.svc.cluster.local:8000/v1")
    done = await arena.wait_for_phase("Complete", "Failed", limit=200)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert await arena.children(SERVICES) == []
    stops = [one["metadata"]["annotations"]["serving.kserve.io/stop"] for one in await arena.children(LLM_SERVICES)]
    assert stops
    assert set(stops) == {"true"}


async def test_one_that_is_larger_than_a_node_is_made_as_far_as_there_are_no_gpus(arena: Arena) -> None:
    parallelism = {"tensor": 8, "data": 16, "dataLocal": 8, "expert": True}
    args = ['--override-generation-config={"temperature": 0}']
    await arena.apply(large(arena, {"parallelism": parallelism, "resources": GPUS, "args": args}))
    template = (await child(arena, LEADER_WORKER_SETS))["spec"]["leaderWorkerTemplate"]
    assert template["size"] == 2
    for pod in (template["leaderTemplate"], template["workerTemplate"]):
        (container,) = pod["spec"]["containers"]
        assert container["args"] == ["--enable-prompt-tokens-details", f"'{args[0]}'"]
        assert container["resources"]["limits"] == GPUS["limits"]
        assert "--enable-expert-parallel" in container["command"][2]
        assert pod["metadata"]["labels"]["tiltyard.dev/model"] == "m0"
    told = await arena.told(
        partial(child, arena, LEADER_WORKER_SETS), lambda one: "has no pods yet" in wait_of(one), "Waiting"
    )
    assert "LeaderWorkerSets are running" in wait_of(told)
    # Another kind in the manifest: the object of the first goes.
    await arena.patch(competitors=arena.manifest(2)["spec"]["competitors"])
    await arena.gone(LLM_SERVICES)
    assert (await arena.wait_for_phase("Complete", "Failed", limit=300))["status"]["phase"] == "Complete"


async def test_pods_that_fit_no_node_are_waited_for(arena: Arena) -> None:
    arena.player.never_starts(
        lambda pod: "kserve.io/component" in pod["metadata"]["labels"],
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient nvidia.com/gpu"}
            ],
        },
    )
    await arena.apply(large(arena, {"resources": GPUS}))
    (container,) = (await child(arena, DEPLOYMENTS))["spec"]["template"]["spec"]["containers"]
    assert "llm-d-cuda" in container["image"]
    told = await arena.told(arena.unschedulable, lambda one: "fits no node" in wait_of(one), "Waiting")
    assert "Insufficient nvidia.com/gpu" in wait_of(told)


@pytest.mark.parametrize(
    ("serving", "words"),
    [
        ({"parallelism": {"tensor": 1, "pipeline": 2}}, "kserve-config-llm-worker-pipeline-parallel"),
        ({"baseRefs": [{"name": "own"}]}, 'LLMInferenceServiceConfig "own" not found'),
        ({"router": {"scheduler": {}, "route": {}, "gateway": {}}}, "non-existent Gateway"),
    ],
)
async def test_what_kserve_cannot_make_is_told(arena: Arena, serving: dict[str, Any], words: str) -> None:
    arena.player.never_starts(lambda pod: "kserve.io/component" in pod["metadata"]["labels"], {"phase": "Pending"})
    await arena.apply(large(arena, serving))

    async def says_so() -> bool:
        services = await arena.children(LLM_SERVICES)
        return any(words in yaml.safe_dump(one.get("status", {}), width=9999) for one in services)

    told = await arena.told(says_so, lambda one: words in wait_of(one), "Refused")
    assert "KServe cannot set up LLMInferenceService" in wait_of(told)


async def test_a_quota_that_refuses_its_pods_is_told_and_passes(arena: Arena) -> None:
    quotas, hard = Kind("v1", "ResourceQuota", "resourcequotas"), {"requests.nvidia.com/gpu": "4"}
    meta = {"name": "team", "namespace": arena.namespace}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    await arena.kube.apply(quotas, body)
    arena.player.never_starts(lambda pod: "kserve.io/component" in pod["metadata"]["labels"], {"phase": "Pending"})
    await arena.apply(large(arena, {"resources": GPUS}))

    async def are_refused() -> bool:
        events, _ = await arena.kube.list(EVENTS, arena.namespace, "")
        return any(event["reason"] == "FailedCreate" for event in events)

    told = await arena.told(are_refused, lambda one: condition(one, "Waiting").get("reason") == "Refused", "Refused")
    sentence = (
        r"model m0: no pod of LLMInferenceService test-m0-llm-[\w-]+ can be created: exceeded quota: team,"
        r" requested: requests.nvidia.com/gpu=8, used: requests.nvidia.com/gpu=0, limited: requests.nvidia.com/gpu=4;"
        r" raise the namespace's ResourceQuota, or lower serving.resources; it is retried automatically"
    )
    assert re.search(sentence, condition(told, "Waiting")["message"])
    assert len(await arena.notes("Refused")) == 1
    await arena.kube.delete(quotas, arena.namespace, "team")
    await arena.wait(lambda one: condition(one, "Waiting")["reason"] == "NothingWaits", limit=90)


async def test_what_the_webhook_refuses_is_told_before_anything_starts(arena: Arena) -> None:
    await arena.apply(large(arena, {"worker": {}}))
    told = await arena.wait(
        lambda one: (
            "when worker is specified, parallelism must be" in yaml.safe_dump(one.get("status", {}), width=9999)
        ),
        limit=40,
    )
    assert condition(told, "Accepted")["status"] == "True"
    assert await arena.children(LLM_SERVICES) == []


async def test_those_that_are_installed_are_supported(kube: Client) -> None:
    async def are_published() -> bool:
        return await KServe(kube, lambda: 0.0).llm_warning() is None

    await until(are_published)
    assert await KServe(kube, lambda: 0.0).serves(LLM_SERVICES, "default")
