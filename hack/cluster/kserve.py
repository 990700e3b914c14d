"""KServe in Standard mode on a control plane: its CRDs, its configuration, and its manager as a process of the host.

Nothing of Istio, Knative or cert-manager is needed: the webhooks are called by URL, with a certificate made here. The
manifests are those of the Go module that the manager is built from.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import yaml

import tools
from cluster.controlplane import ControlPlane
from cluster.processes import free_port, wait_for

NAMESPACE = "kserve"
CRDS = (
    "serving.kserve.io_inferenceservices.yaml",
    "serving.kserve.io_servingruntimes.yaml",
    "serving.kserve.io_clusterservingruntimes.yaml",
    "serving.kserve.io_inferencegraphs.yaml",
    "serving.kserve.io_trainedmodels.yaml",
    "clusterstoragecontainer/serving.kserve.io_clusterstoragecontainers.yaml",
)
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOK_PATH = "/apis/admissionregistration.k8s.io/v1"


def module_folder() -> Path:
    """The Go module's folder, in the module cache."""
    lock = tools.LOCKS / "kserve"
    go = str(tools._go(lock))
    version = re.search(r"github.com/kserve/kserve (v\S+)", (lock / "go.mod").read_text())
    assert version is not None
    command = [go, "mod", "download", "-json", f"github.com/kserve/kserve@{version[1]}"]
    answer = subprocess.run(command, cwd=lock, capture_output=True, text=True, check=True)
    return Path(json.loads(answer.stdout)["Dir"])


def install(plane: ControlPlane, *, vllm_image: str = "vllm/vllm-openai:latest") -> None:
    """Install KServe and start its manager; returns once its webhooks answer.

    Args:
        plane: a control plane that is up.
        vllm_image: of the ClusterServingRuntime `kserve-vllmserver`.
    """
    config = module_folder() / "config"
    for name in CRDS:
        text = (config / "crd" / "full" / name).read_bytes()
        found = re.search(rb"^  name: (\S+)$", text, re.MULTILINE)
        assert found is not None
        plane.apply(f"{CRD_PATH}/{found[1].decode()}", text)
    for version, plural in (("v1beta1", "inferenceservices"), ("v1alpha1", "clusterstoragecontainers")):
        plane.wait_for_resource(f"serving.kserve.io/{version}", plural)
    plane.apply(f"/api/v1/namespaces/{NAMESPACE}", _object("v1", "Namespace", NAMESPACE))
    plane.apply(f"/api/v1/namespaces/{NAMESPACE}/configmaps/inferenceservice-config", _configuration(config))
    certificate = _start_manager(plane)
    _install_webhooks(plane, config, *certificate)
    runtime = _load(config / "runtimes" / "kserve-vllmserver.yaml")
    runtime["spec"]["containers"][0]["image"] = vllm_image
    storage = _load(config / "storagecontainers" / "default.yaml")
    storage["spec"]["container"]["image"] = "kserve/storage-initializer:latest"
    for plural, body in (("clusterservingruntimes", runtime), ("clusterstoragecontainers", storage)):
        plane.apply(f"/apis/serving.kserve.io/v1alpha1/{plural}/{body['metadata']['name']}", body)


def _configuration(config: Path) -> dict[str, Any]:
    """The manager's configuration: plain Deployments and Services, no ingress."""
    document = _load(config / "configmap" / "inferenceservice.yaml")
    data: dict[str, str] = document["data"]
    data.pop("_example", None)
    data["deploy"] = json.dumps({"defaultDeploymentMode": "Standard"})
    data["ingress"] = json.dumps({**json.loads(data["ingress"]), "disableIngressCreation": True})
    document["metadata"] = {"name": "inferenceservice-config", "namespace": NAMESPACE}
    return document


def _start_manager(plane: ControlPlane) -> tuple[int, str]:
    """Start the manager; returns its webhooks' port and the certificate that signs them."""
    scratch = plane.folder / "kserve"
    served = scratch / "k8s-webhook-server" / "serving-certs"  # where controller-runtime looks below TMPDIR
    served.mkdir(parents=True)
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "3650"]
    files = ["-keyout", str(served / "tls.key"), "-out", str(served / "tls.crt")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], check=True, capture_output=True
    )
    webhooks, probes = free_port(), free_port()
    manager, log = plane.run(
        "kserve-manager", "env", f"TMPDIR={scratch}", f"KUBECONFIG={plane.kubeconfig}", f"POD_NAMESPACE={NAMESPACE}",
        tools.ensure("kserve-manager"), f"--webhook-port={webhooks}", "--metrics-addr=127.0.0.1:0",
        f"--health-probe-addr=127.0.0.1:{probes}", "--leader-elect=false",
    )  # fmt: skip

    def listening() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{probes}/readyz"):
                return True
        except OSError:
            return False

    wait_for("kserve-manager", listening, manager, log)
    return webhooks, (served / "tls.crt").read_text()


def _install_webhooks(plane: ControlPlane, config: Path, port: int, certificate: str) -> None:
    text = re.sub(r"\$\((\w+)\)", r"\1", (config / "webhook" / "manifests.yaml").read_text())
    for document in filter(None, yaml.safe_load_all(text)):
        for hook in document["webhooks"]:
            path = hook["clientConfig"].pop("service")["path"]
            hook["clientConfig"] |= {
                "url": f"https://127.0.0.1:{port}{path}",
                "caBundle": base64.b64encode(certificate.encode()).decode(),
            }
            hook["admissionReviewVersions"] = ["v1", "v1beta1"]
        plural = document["kind"].lower() + "s"
        document["metadata"].pop("creationTimestamp", None)
        plane.apply(f"{HOOK_PATH}/{plural}/{document['metadata']['name']}", document)


def _load(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


def _object(api: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}}
