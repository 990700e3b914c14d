"""Kueue on a cluster: its CRDs and its manager, for namespaces with a label of ours, so that others are left alone."""

from __future__ import annotations

from typing import Any

import yaml

from cluster import managers
from cluster.api import ClusterApi

MANAGED = {"tiltyard.dev/queues": "kueue"}
"""The label of the namespaces whose Jobs and pods Kueue admits."""
WITHOUT_NAMESPACE = ("clusterqueues", "cohorts", "resourceflavors", "workloads", "localqueues")
"""Kueue's own kinds: their webhooks are called wherever they are."""
FRAMEWORKS = ("batch/job", "pod", "deployment", "trainer.kubeflow.org/trainjob")
API = "kueue.x-k8s.io/v1beta2"


def install(plane: ClusterApi, *, address: str = "127.0.0.1") -> None:
    """Install Kueue with fair shares and start its manager; returns once its webhooks answer.

    Args:
        plane: the API of a cluster that is up.
        address: by which the API server reaches this machine.
    """
    config = managers.module_folder("kueue", "sigs.k8s.io/kueue") / "config" / "components"
    files = sorted((config / "crd" / "bases").glob("kueue.x-k8s.io_*.yaml"))
    for file in files:
        # Nobody converts: without its webhook for that an older version would lose fields of the one that is stored.
        stored = file.read_text().replace("served: true\n    storage: false", "served: false\n    storage: false")
        plane.apply(f"{managers.CRD_PATH}/{file.stem.partition('_')[2]}.kueue.x-k8s.io", stored.encode())
    for file in files:
        plane.wait_for_resource(API, file.stem.partition("_")[2])
    settings = {
        "managedJobsNamespaceSelector": {"matchLabels": MANAGED},
        "integrations": {"frameworks": list(FRAMEWORKS)},
        "fairSharing": {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]},
        "featureGates": {"VisibilityOnDemand": False},  # an API server of its own
    }
    served = managers.start_configured(
        plane, "kueue", address, "config.kueue.x-k8s.io/v1beta2", "internalCertManagement", settings,
        names_folder=True, metrics_certificate="/etc/kueue/metrics/certs",
    )  # fmt: skip
    manifest = plane.folder / "kueue" / "webhooks.yaml"
    documents = list(filter(None, yaml.safe_load_all((config / "webhook" / "manifests.yaml").read_text())))
    for document in documents:
        document["webhooks"] = [_hook(hook) for hook in document["webhooks"] if _is_used(hook)]
    manifest.write_text(yaml.safe_dump_all(documents))
    managers.install_webhooks(plane, manifest, "kueue-", served)


def _is_used(hook: dict[str, Any]) -> bool:
    resources = hook["rules"][0]["resources"]
    return resources[0] in ("jobs", "pods", "deployments", "trainjobs") or _is_own(resources)


def _is_own(resources: list[str]) -> bool:
    return resources[0].partition("/")[0] in WITHOUT_NAMESPACE


def _hook(hook: dict[str, Any]) -> dict[str, Any]:
    selected = {} if _is_own(hook["rules"][0]["resources"]) else {"namespaceSelector": {"matchLabels": MANAGED}}
    return {**hook, **selected}
