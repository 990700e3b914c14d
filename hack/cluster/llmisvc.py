"""KServe's LLMInferenceServices on a cluster that has KServe: their CRDs, configurations, webhooks and controller.

The CRDs of what it makes (LeaderWorkerSets, Gateway API, InferencePools) are there too, without their controllers.
"""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from cluster import managers
from cluster.api import ClusterApi
from cluster.managers import Served

LOCK = "kserve-llmisvc"
NAMESPACE = "kserve"
API = "/apis/serving.kserve.io/v1alpha2"
OTHERS = (
    ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml"),
    ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_gateways.yaml"),
    ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"),
    ("sigs.k8s.io/gateway-api-inference-extension", "config/crd/bases/inference.networking.k8s.io_inferencepools.yaml"),
    ("sigs.k8s.io/lws", "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml"),
)
"""Modules of the controller's lock, and their CRDs."""


def install(plane: ClusterApi, *, address: str = "127.0.0.1") -> None:
    """Install them and start the controller; returns once its webhooks answer.

    Args:
        plane: the API of a cluster that is up, with KServe.
        address: by which the API server reaches this machine.
    """
    for module, file in OTHERS:
        managers.apply_crd(plane, managers.module_folder(LOCK, module) / file)
    config = managers.module_folder(LOCK, "github.com/kserve/kserve") / "config"
    scratch, certificate = managers.certify(plane, "kserve-llmisvc", address)
    webhooks, probes = managers.ports(2)
    served = Served(f"https://{address}:{webhooks}", certificate)
    for crd in sorted((config / "crd" / "full" / "llmisvc").glob("serving.kserve.io_*.yaml")):
        _apply_converted(plane, crd, served)
    for plural in ("llminferenceservices", "llminferenceserviceconfigs"):
        plane.wait_for_resource("serving.kserve.io/v1alpha2", plural)
    arguments = [
        f"--webhook-port={webhooks}", "--metrics-addr=0", "--metrics-secure=false",
        f"--health-probe-addr=127.0.0.1:{probes}", "--leader-elect=false",
    ]  # fmt: skip
    managers.start(plane, "kserve-llmisvc-manager", arguments, scratch=scratch, namespace=NAMESPACE, probes=probes)
    managers.install_webhooks(plane, config / "webhook" / "llmisvc" / "manifests.yaml", "", served)
    for preset in sorted((config / "llmisvcconfig").glob("config-llm-*.yaml")):
        document = managers.load(preset)
        document["metadata"]["namespace"] = NAMESPACE
        path = f"{API}/namespaces/{NAMESPACE}/llminferenceserviceconfigs/{document['metadata']['name']}"
        plane.apply(path, document)


def _apply_converted(plane: ClusterApi, file: Path, served: Served) -> None:
    """Apply a CRD whose versions the controller converts."""
    crd = yaml.load(file.read_text(), yaml.CSafeLoader)
    called = {"url": f"{served.url}/convert", "caBundle": base64.b64encode(served.certificate.encode()).decode()}
    webhook = {"conversionReviewVersions": ["v1", "v1beta1"], "clientConfig": called}
    crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    crd.pop("status", None)
    plane.apply(f"{managers.CRD_PATH}/{crd['metadata']['name']}", crd)
