"""Kubeflow Trainer (v2) on a cluster, with JobSet, which it builds upon: their CRDs and managers, and a runtime."""

from __future__ import annotations

import yaml

from cluster import managers
from cluster.api import ClusterApi
from cluster.managers import Served

RUNTIME_PATH = "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes"
OF_JOB_SETS = {"matchExpressions": [{"key": "jobset.sigs.k8s.io/jobset-name", "operator": "Exists"}]}


def install(plane: ClusterApi, *, address: str = "127.0.0.1") -> None:
    """Install both and start their managers; returns once their webhooks answer.

    Args:
        plane: the API of a cluster that is up.
        address: by which the API server reaches this machine.
    """
    _install_jobset(plane, address)
    _install_trainer(plane, address)


def _install_jobset(plane: ClusterApi, address: str) -> None:
    config = managers.module_folder("jobset", "sigs.k8s.io/jobset") / "config" / "components"
    managers.apply_crd(plane, config / "crd" / "bases" / "jobset.x-k8s.io_jobsets.yaml")
    plane.wait_for_resource("jobset.x-k8s.io/v1alpha2", "jobsets")
    served = _start(plane, "jobset", address, "config.jobset.x-k8s.io", "internalCertManagement")
    # The module's kustomization adds the selector: other pods are none of its business.
    manifest = plane.folder / "jobset" / "webhooks.yaml"
    documents = list(filter(None, yaml.safe_load_all((config / "webhook" / "manifests.yaml").read_text())))
    for document in documents:
        for hook in document["webhooks"]:
            if hook["rules"][0]["resources"] == ["pods"]:
                hook["objectSelector"] = OF_JOB_SETS
    manifest.write_text(yaml.safe_dump_all(documents))
    managers.install_webhooks(plane, manifest, "jobset-", served)


def _install_trainer(plane: ClusterApi, address: str) -> None:
    base = managers.module_folder("trainer", "github.com/kubeflow/trainer/v2") / "manifests" / "base"
    for file in sorted((base / "crds").glob("trainer.kubeflow.org_*.yaml")):
        managers.apply_crd(plane, file)
    for plural in ("trainjobs", "clustertrainingruntimes"):
        plane.wait_for_resource("trainer.kubeflow.org/v1alpha1", plural)
    served = _start(plane, "trainer", address, "config.trainer.kubeflow.org", "certManagement")
    managers.install_webhooks(plane, base / "webhook" / "manifests.yaml", "trainer-", served)
    runtime = managers.load(base / "runtimes" / "torch_distributed.yaml")
    plane.apply(f"{RUNTIME_PATH}/{runtime['metadata']['name']}", runtime)


def _start(plane: ClusterApi, name: str, address: str, group: str, certificates: str) -> Served:
    """Start a manager that is configured by a file; `certificates` is its field that would have it make its own."""
    scratch, certificate = managers.certify(plane, name, address)
    webhooks, probes = managers.ports(2)
    settings = {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{probes}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"port": webhooks, "host": ""},  # Trainer 2.1 does not start without a host
        "leaderElection": {"leaderElect": False},
        certificates: {"enable": False},
    }
    file = scratch / "config.yaml"
    file.write_text(yaml.safe_dump(settings))
    managers.start(
        plane, f"{name}-manager", [f"--config={file}"], scratch=scratch, namespace=f"{name}-system", probes=probes
    )
    return Served(f"https://{address}:{webhooks}", certificate)
