"""KServe in Standard mode on a cluster: its CRDs, its configuration, and its manager. No Istio, no Knative."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster import managers
from cluster.api import ClusterApi
from cluster.managers import Served

NAMESPACE = "kserve"
CRDS = (
    "serving.kserve.io_inferenceservices.yaml",
    "serving.kserve.io_servingruntimes.yaml",
    "serving.kserve.io_clusterservingruntimes.yaml",
    "serving.kserve.io_inferencegraphs.yaml",
    "serving.kserve.io_trainedmodels.yaml",
    "clusterstoragecontainer/serving.kserve.io_clusterstoragecontainers.yaml",
)
SERVING_PATH = "/apis/serving.kserve.io/v1alpha1"


def install(plane: ClusterApi, *, address: str = "127.0.0.1", vllm_image: str = "vllm/vllm-openai:latest") -> None:
    """Install KServe and start its manager; returns once its webhooks answer.

    Args:
        plane: the API of a cluster that is up.
        address: by which the API server reaches this machine.
        vllm_image: of the ClusterServingRuntime `kserve-vllmserver`.
    """
    config = managers.module_folder("kserve", "github.com/kserve/kserve") / "config"
    for name in CRDS:
        managers.apply_crd(plane, config / "crd" / "full" / name)
    for version, plural in (("v1beta1", "inferenceservices"), ("v1alpha1", "clusterstoragecontainers")):
        plane.wait_for_resource(f"serving.kserve.io/{version}", plural)
    plane.apply(f"/api/v1/namespaces/{NAMESPACE}", managers.named("v1", "Namespace", NAMESPACE))
    plane.apply(f"/api/v1/namespaces/{NAMESPACE}/configmaps/inferenceservice-config", _configuration(config))
    scratch, certificate = managers.certify(plane, "kserve", address)
    webhooks, probes = managers.ports(2)
    arguments = [
        f"--webhook-port={webhooks}", "--metrics-addr=127.0.0.1:0", f"--health-probe-addr=127.0.0.1:{probes}",
        "--leader-elect=false",
    ]  # fmt: skip
    managers.start(plane, "kserve-manager", arguments, scratch=scratch, namespace=NAMESPACE, probes=probes)
    served = Served(f"https://{address}:{webhooks}", certificate)
    managers.install_webhooks(plane, config / "webhook" / "manifests.yaml", "", served)
    runtime = managers.load(config / "runtimes" / "kserve-vllmserver.yaml")
    runtime["spec"]["containers"][0]["image"] = vllm_image
    install_runtime(plane, runtime)
    storage = managers.load(config / "storagecontainers" / "default.yaml")
    storage["spec"]["container"]["image"] = "kserve/storage-initializer:latest"
    plane.apply(f"{SERVING_PATH}/clusterstoragecontainers/{storage['metadata']['name']}", storage)


def install_runtime(plane: ClusterApi, runtime: dict[str, Any]) -> None:
    """Apply a ClusterServingRuntime."""
    plane.apply(f"{SERVING_PATH}/clusterservingruntimes/{runtime['metadata']['name']}", runtime)


def _configuration(config: Path) -> dict[str, Any]:
    """The manager's configuration: plain Deployments and Services, no ingress."""
    document = managers.load(config / "configmap" / "inferenceservice.yaml")
    data: dict[str, str] = document["data"]
    data.pop("_example", None)
    data["deploy"] = json.dumps({"defaultDeploymentMode": "Standard"})
    data["ingress"] = json.dumps({**json.loads(data["ingress"]), "disableIngressCreation": True})
    document["metadata"] = {"name": "inferenceservice-config", "namespace": NAMESPACE}
    return document
