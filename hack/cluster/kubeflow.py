"""Kubeflow Trainer (v2) on a cluster, with JobSet, which it builds upon: their CRDs and managers, and a runtime."""

from __future__ import annotations

from typing import Any

from cluster import managers
from cluster.api import ClusterApi

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
    served = managers.start_configured(
        plane, "jobset", address, "config.jobset.x-k8s.io/v1alpha1", "internalCertManagement"
    )
    managers.install_webhooks(plane, config / "webhook" / "manifests.yaml", "jobset-", served, _of_job_sets)


def _of_job_sets(hook: dict[str, Any]) -> dict[str, Any]:
    """A webhook with the selector that the module's kustomization adds: other pods are none of its business."""
    return {**hook, "objectSelector": OF_JOB_SETS} if hook["rules"][0]["resources"] == ["pods"] else hook


def _install_trainer(plane: ClusterApi, address: str) -> None:
    base = managers.module_folder("trainer", "github.com/kubeflow/trainer/v2") / "manifests" / "base"
    for file in sorted((base / "crds").glob("trainer.kubeflow.org_*.yaml")):
        managers.apply_crd(plane, file)
    for plural in ("trainjobs", "clustertrainingruntimes"):
        plane.wait_for_resource("trainer.kubeflow.org/v1alpha1", plural)
    served = managers.start_configured(
        plane, "trainer", address, "config.trainer.kubeflow.org/v1alpha1", "certManagement"
    )
    managers.install_webhooks(plane, base / "webhook" / "manifests.yaml", "trainer-", served)
    runtime = managers.load(base / "runtimes" / "torch_distributed.yaml")
    plane.apply(f"{RUNTIME_PATH}/{runtime['metadata']['name']}", runtime)
