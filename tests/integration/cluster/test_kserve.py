"""KServe as it is installed: its Services with and without an address, published or not, and one that is too old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import kserve, managers
from cluster.controlplane import ControlPlane
from integration.chart.helm import CHART, Helm
from support.arena import SMALL, Arena, Configure, condition
from support.cluster_objects import cluster_tournament
from support.documents import ROOT
from support.waiting import until
from tiltyard.api import tournament_from_object
from tiltyard.api.serving import KSERVE_RUNTIME
from tiltyard.cluster.client import Client
from tiltyard.cluster.kserve import KServe
from tiltyard.observe.kinds import CONFIG_MAPS, EVENTS, SERVICES, Kind, Object
from tiltyard.observe.kserve import TOO_OLD
from tiltyard.plan.build import build_graph
from tiltyard.render.children import NO_TIME
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.names import service_name
from tiltyard.render.serving import inference_service

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

DEPLOYMENTS = Kind("apps/v1", "Deployment", "deployments")
INGRESSES = Kind("networking.k8s.io/v1", "Ingress", "ingresses")


async def test_models_behind_headless_services_are_asked_at_the_port_of_their_pods(
    arena: Arena, configure: Configure
) -> None:
    configure("service", {"serviceClusterIPNone": True})
    await arena.apply(arena.manifest(2, **SMALL))
    seen = await arena.wait(lambda one: any(model.get("url") for model in one.get("status", {}).get("models", ())))
    up = next(model for model in seen["status"]["models"] if model.get("url"))
    host = f"{service_name('test', up['name'])}-predictor.{arena.namespace}.svc.cluster.local"
    assert up["url"] == f"http://{host}:8080/v1"
    # Who names it as an endpoint finds it there too, while it is up.
    service = (arena.namespace, service_name("test", up["name"]))
    found = await KServe(arena.kube, lambda: 0.0).addresses([service, (arena.namespace, "none"), ("nowhere", "none")])
    assert found == {service: f"http://{host}:8080"}
    await arena.wait_for_phase("Judging", "Rating", "Complete")
    tasks = [one["data"]["task.json"] for one in await arena.children(CONFIG_MAPS)]
    asked = [json.loads(task)["endpoint"]["url"] for task in tasks if json.loads(task).get("endpoint")]
    assert asked
    assert all(url.endswith(".svc.cluster.local:8080/v1") for url in asked)
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])


async def test_models_are_not_published(arena: Arena, configure: Configure) -> None:
    configure("ingress", {"disableIngressCreation": False, "ingressClassName": "any"})
    await arena.apply(arena.manifest(2, **SMALL))
    await arena.wait(lambda one: any(model["state"] == "Ready" for model in one.get("status", {}).get("models", ())))
    (first, *_) = await arena.children(SERVICES)
    assert first["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"
    assert (await arena.kube.list(INGRESSES, arena.namespace, ""))[0] == []


@pytest.mark.parametrize(
    ("runtime", "reason", "advice"),
    [
        (None, "RuntimeNotRecognized", "; install the ServingRuntime"),
        ({"disabled": True}, "RuntimeDisabled", "; set the runtime's spec.disabled to false, or name another one"),
        ({"supportedModelFormats": [{"name": "other"}]}, "NoSupportingRuntime", "; add the model format vLLM to"),
    ],
)
async def test_a_runtime_that_serves_no_model_is_told_in_kserves_words(
    arena: Arena, runtime: dict[str, Any] | None, reason: str, advice: str
) -> None:
    if runtime is not None:
        kind = Kind("serving.kserve.io/v1alpha1", "ServingRuntime", "servingruntimes")
        meta = {"name": "own", "namespace": arena.namespace}
        spec = {"containers": [{"name": "kserve-container", "image": "any"}], **runtime}
        await arena.kube.apply(kind, {"apiVersion": kind.api, "kind": kind.kind, "metadata": meta, "spec": spec})
    document = arena.manifest(2, **SMALL)
    document["spec"]["competitors"][0] |= {"model": {"uri": "pvc://models/a"}, "serving": {"runtime": "own"}}
    await arena.apply(document)

    async def says_so() -> bool:
        states = [one.get("status", {}).get("modelStatus", {}) for one in await arena.children(SERVICES)]
        return any(one.get("lastFailureInfo", {}).get("reason") == reason for one in states)

    told = await arena.told(says_so, lambda one: reason in condition(one, "Waiting").get("message", ""), "Refused")
    waiting = condition(told, "Waiting")
    assert (waiting["status"], waiting["reason"]) == ("True", "Refused")
    name = service_name("test", document["spec"]["competitors"][0]["name"])
    assert f"no pod of InferenceService {name} can be created: {reason}: " in waiting["message"]
    assert advice in waiting["message"]
    assert condition(told, "Failed")["status"] == "False"
    assert len(await arena.notes("Refused")) == 1


async def test_a_deployment_that_kserve_cannot_make_is_told_with_what_is_wrong(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    mount = {"name": "nowhere", "mountPath": "/data"}
    pod = {"volumeMounts": [mount]}  # which the named runtime might bring
    document["spec"]["competitors"][0]["serving"] = {"runtime": KSERVE_RUNTIME, "pod": pod}
    await arena.apply(document)

    async def says_so() -> bool:
        events, _ = await arena.kube.list(EVENTS, arena.namespace, "")
        return any('Not found: "nowhere"' in event["note"] for event in events)

    told = await arena.told(
        says_so, lambda one: 'Not found: "nowhere"' in condition(one, "Waiting").get("message", ""), "Refused"
    )
    message = condition(told, "Waiting")["message"]
    name = service_name("test", document["spec"]["competitors"][0]["name"])
    assert message.startswith(f"model m0: no pod of InferenceService {name} can be created: ")
    assert message.endswith("; change what it names in the manifest's pod; it is retried automatically")
    assert len(await arena.notes("Refused")) == 1


@pytest.mark.parametrize("example", ["one-gpu", "warriorcoder"])
async def test_what_kserve_makes_of_the_examples_has_what_vllm_needs(
    kube: Client, namespace: str, example: str
) -> None:
    document = yaml.safe_load((ROOT / "examples" / f"{example}.yaml").read_text())
    document["metadata"] |= {"namespace": namespace, "uid": "u", "generation": 1}
    document["spec"].setdefault("output", {"s3": {"uri": "s3://bucket"}})
    tournament = tournament_from_object(document)
    settings = ClusterSettings(worker_image="tiltyard/worker")
    asked = {}
    for model in build_graph(tournament).models:
        if model.artifact is not None:  # it is served as the base model is, and there is no bucket here
            continue
        body = inference_service(tournament, model, settings, loads=1, started=NO_TIME)
        del body["metadata"]["ownerReferences"]
        await kube.apply(SERVICES, body)
        asked[body["metadata"]["name"]] = int(model.resources["nvidia.com/gpu"])
    for name, gpus in asked.items():

        async def deployments(name: str = name) -> list[Object]:
            return (await kube.list(DEPLOYMENTS, namespace, "", f"metadata.name={name}-predictor"))[0]

        pod = (await until(deployments))[0]["spec"]["template"]["spec"]
        container = next(one for one in pod["containers"] if one["name"] == "kserve-container")
        assert container["image"] == "vllm/vllm-openai:latest"  # and not its sibling for CPUs
        for resources in (container["resources"]["requests"], container["resources"]["limits"]):
            assert int(resources["nvidia.com/gpu"]) == gpus
            assert int(resources["memory"].removesuffix("Gi")) >= 32 * gpus
            assert int(resources["cpu"]) >= 4 * gpus
        (shared,) = (mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/dev/shm")
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == shared)
        assert volume["emptyDir"]["medium"] == "Memory"


@pytest.fixture
def chart_runtimes(plane: ControlPlane, tmp_path: Path) -> Iterator[None]:
    """The chart's runtimes of vLLM, which KServe's webhook has accepted."""
    values = {"runtimes": {"vllm": {"install": True}}}
    documents = yaml.safe_load_all(Helm(tmp_path)("template", "tiltyard", CHART, values=values))
    runtimes = [one for one in documents if one["kind"] == "ClusterServingRuntime"]
    for runtime in runtimes:
        kserve.install_runtime(plane, runtime)
    yield
    for runtime in runtimes:
        plane.request("DELETE", f"{kserve.SERVING_PATH}/clusterservingruntimes/{runtime['metadata']['name']}")


@pytest.mark.parametrize(
    ("resources", "image", "memory"),
    [
        ({"limits": {"nvidia.com/gpu": "1"}}, "vllm/vllm-openai:", "32Gi"),
        ({"limits": {"nvidia.com/gpu": "1", "memory": "80Gi"}}, "vllm/vllm-openai:", "80Gi"),
        ({}, "vllm/vllm-openai-cpu:", "24Gi"),
    ],
)
async def test_what_kserve_makes_of_the_charts_runtimes(
    kube: Client, namespace: str, chart_runtimes: None, resources: dict[str, Any], image: str, memory: str
) -> None:
    players = [
        {"name": name, "model": {"uri": f"hf://org/{name}"}, "serving": {"resources": resources}} for name in "abc"
    ]
    tournament = cluster_tournament(3, players=players)
    settings = ClusterSettings(worker_image="tiltyard/worker", runtime="tiltyard-vllm", cpu_runtime="tiltyard-vllm-cpu")
    body = inference_service(tournament, build_graph(tournament).model["a"], settings, loads=1, started=NO_TIME)
    del body["metadata"]["ownerReferences"]
    body["metadata"]["namespace"] = namespace
    await kube.apply(SERVICES, body)
    name = body["metadata"]["name"]

    async def deployments() -> list[Object]:
        return (await kube.list(DEPLOYMENTS, namespace, "", f"metadata.name={name}-predictor"))[0]

    pod = (await until(deployments))[0]["spec"]["template"]["spec"]
    container = next(one for one in pod["containers"] if one["name"] == "kserve-container")
    assert container["image"].startswith(image)
    assert {"--model=/mnt/models", f"--served-model-name={name}"} <= set(container["args"])
    assert container["resources"]["limits"]["memory"] == memory
    assert container["resources"]["limits"].get("nvidia.com/gpu") == resources.get("limits", {}).get("nvidia.com/gpu")
    (shared,) = (mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/dev/shm")
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == shared)
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}


@pytest.fixture
def old_kserve(plane: ControlPlane) -> Iterator[None]:
    """The CRD of InferenceServices without what came with the oldest KServe that is supported."""
    file = managers.module_folder("kserve", "github.com/kserve/kserve") / "config" / "crd" / "full"
    text = (file / "serving.kserve.io_inferenceservices.yaml").read_text()
    crd = yaml.safe_load(text)
    (version,) = (one for one in crd["spec"]["versions"] if one["name"] == "v1beta1")
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["predictor"]["properties"]["storageUris"]
    path = f"{managers.CRD_PATH}/inferenceservices.serving.kserve.io"
    plane.apply(path, crd)
    yield
    plane.apply(path, text.encode())


async def test_a_kserve_that_is_too_old_is_told(arena: Arena, old_kserve: None) -> None:
    async def is_told() -> bool:
        return await KServe(arena.kube, lambda: 0.0).warning() == TOO_OLD

    await until(is_told)  # a schema is published later
    await arena.operator.stop()  # it keeps what it has read
    await arena.operator.start()
    assert TOO_OLD in arena.operator.log.read_text()
    await arena.apply(arena.manifest(2, **SMALL, suspend=True))
    assert await arena.notes("KServeUnsupported") == [TOO_OLD]
    assert TOO_OLD in condition(await arena.get(), "Accepted")["message"]


async def test_the_one_that_is_installed_is_supported(kube: Client) -> None:
    async def is_supported() -> bool:
        return await KServe(kube, lambda: 0.0).warning() is None

    await until(is_supported)
