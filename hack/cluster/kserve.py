"""KServe in Standard mode on a cluster: its CRDs, its configuration, and its manager. No Istio, no Knative.

`TILTYARD_KSERVE` names a variant of it, or of the cluster that it runs on, see `VARIANTS`; unset: the newest, without
ingress, on a node that enforces no NetworkPolicies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster import llmisvc, managers
from cluster.api import ClusterApi
from cluster.managers import Served
from cluster.processes import ClusterError

NAMESPACE = "kserve"
CRDS = (
    "serving.kserve.io_inferenceservices.yaml",
    "serving.kserve.io_servingruntimes.yaml",
    "serving.kserve.io_clusterservingruntimes.yaml",
    "serving.kserve.io_inferencegraphs.yaml",
    "serving.kserve.io_trainedmodels.yaml",
    "serving.kserve.io_clusterstoragecontainers.yaml",
)


@dataclass(frozen=True)
class Variant:
    """A KServe as people have it.

    Attributes:
        lock: of its manager.
        configuration: what is set otherwise in its parts.
        llms: with LLMInferenceServices.
        policies: on a node that enforces NetworkPolicies.
    """

    lock: str = "kserve"
    configuration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    llms: bool = False
    policies: bool = False

    @property
    def tools(self) -> tuple[str, ...]:
        """Binaries that it needs."""
        return (
            f"{self.lock}-manager",
            *(("kserve-llmisvc-manager",) if self.llms else ()),
            *(("kube-router",) if self.policies else ()),
        )


VARIANTS = {
    "": Variant(),
    "ingress": Variant(configuration={"ingress": {"disableIngressCreation": False, "ingressClassName": "any"}}),
    "headless": Variant(configuration={"service": {"serviceClusterIPNone": True}}),
    "oldest": Variant(lock="kserve-0.16"),
    "llm": Variant(llms=True),
    "policies": Variant(policies=True),
}


def chosen() -> Variant:
    """The variant that is asked for."""
    name = os.environ.get("TILTYARD_KSERVE", "")
    if name not in VARIANTS:
        raise ClusterError(f"TILTYARD_KSERVE is {name!r}: allowed are {', '.join(filter(None, VARIANTS))}")
    return VARIANTS[name]


SERVING_PATH = "/apis/serving.kserve.io/v1alpha1"


def install(plane: ClusterApi, *, address: str = "127.0.0.1", vllm_image: str = "vllm/vllm-openai:latest") -> None:
    """Install KServe and start its manager; returns once its webhooks answer.

    Args:
        plane: the API of a cluster that is up.
        address: by which the API server reaches this machine.
        vllm_image: of the ClusterServingRuntime `kserve-vllmserver`.
    """
    variant = chosen()
    config = _config(variant)
    install_crds(plane)
    plane.apply(f"/api/v1/namespaces/{NAMESPACE}", managers.named("v1", "Namespace", NAMESPACE))
    plane.apply(f"/api/v1/namespaces/{NAMESPACE}/configmaps/inferenceservice-config", _configuration(config, variant))
    scratch, certificate = managers.certify(plane, "kserve", address)
    webhooks, probes = managers.ports(2)
    arguments = [
        f"--webhook-port={webhooks}", "--metrics-addr=127.0.0.1:0", f"--health-probe-addr=127.0.0.1:{probes}",
        "--leader-elect=false",
    ]  # fmt: skip
    managers.start(plane, f"{variant.lock}-manager", arguments, scratch=scratch, namespace=NAMESPACE, probes=probes)
    served = Served(f"https://{address}:{webhooks}", certificate)
    managers.install_webhooks(plane, config / "webhook" / "manifests.yaml", "", served)
    vllm = config / "runtimes" / "kserve-vllmserver.yaml"
    if vllm.exists():  # from 0.20 on
        runtime = managers.load(vllm)
        runtime["spec"]["containers"][0]["image"] = vllm_image
        install_runtime(plane, runtime)
    storage = managers.load(config / "storagecontainers" / "default.yaml")
    storage["spec"]["container"]["image"] = "kserve/storage-initializer:latest"
    plane.apply(f"{SERVING_PATH}/clusterstoragecontainers/{storage['metadata']['name']}", storage)
    if variant.llms:
        llmisvc.install(plane, address=address)


def install_crds(plane: ClusterApi) -> None:
    """Apply KServe's CRDs; returns once they are served."""
    folder = _config(chosen()) / "crd" / "full"
    for name in CRDS:
        managers.apply_crd(plane, next(folder.rglob(name)))
    for version, plural in (("v1beta1", "inferenceservices"), ("v1alpha1", "clusterstoragecontainers")):
        plane.wait_for_resource(f"serving.kserve.io/{version}", plural)


def install_caches(plane: ClusterApi) -> None:
    """Apply the CRDs of KServe's local model cache; returns once they are served."""
    folder = _config(chosen()) / "crd" / "full" / "localmodel"
    for file in sorted(folder.glob("serving.kserve.io_*.yaml")):
        managers.apply_crd(plane, file)
    for plural in ("localmodelcaches", "localmodelnamespacecaches"):
        plane.wait_for_resource("serving.kserve.io/v1alpha1", plural)


def _config(variant: Variant) -> Path:
    """The manifests of a variant's module."""
    return managers.module_folder(variant.lock, "github.com/kserve/kserve") / "config"


def install_runtime(plane: ClusterApi, runtime: dict[str, Any]) -> None:
    """Apply a ClusterServingRuntime."""
    plane.apply(f"{SERVING_PATH}/clusterservingruntimes/{runtime['metadata']['name']}", runtime)


def _configuration(config: Path, variant: Variant) -> dict[str, Any]:
    """The manager's configuration: plain Deployments and Services, no ingress, unless the variant has one."""
    document = managers.load(config / "configmap" / "inferenceservice.yaml")
    data: dict[str, str] = document["data"]
    data.pop("_example", None)
    data["deploy"] = json.dumps({"defaultDeploymentMode": "Standard"})
    data["ingress"] = json.dumps({**json.loads(data["ingress"]), "disableIngressCreation": True})
    for part, values in variant.configuration.items():
        data[part] = json.dumps({**json.loads(data.get(part, "{}")), **values})
    document["metadata"] = {"name": "inferenceservice-config", "namespace": NAMESPACE}
    return document
