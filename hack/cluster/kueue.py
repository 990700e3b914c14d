"""Kueue on a cluster: its CRDs and its manager, for namespaces with a label of ours, so that others are left alone."""

from __future__ import annotations

from typing import Any

from cluster import managers
from cluster.api import ClusterApi

MANAGED = {"tiltyard.dev/queues": "kueue"}
"""The label of the namespaces whose Jobs and pods Kueue admits."""
OWN_KINDS = ("clusterqueues", "cohorts", "resourceflavors", "workloads", "localqueues")
"""Kueue's own kinds: their webhooks are called wherever they are."""
QUEUED_KINDS = ("jobs", "pods", "deployments", "trainjobs")
FRAMEWORKS = ("batch/job", "pod", "deployment", "trainer.kubeflow.org/trainjob")
FAIR_SHARING = {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]}
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
        "fairSharing": FAIR_SHARING,
        "featureGates": {"VisibilityOnDemand": False},  # an API server of its own
    }
    served = managers.start_configured(
        plane, "kueue", address, "config.kueue.x-k8s.io/v1beta2", "internalCertManagement", settings,
        metrics_certificate="/etc/kueue/metrics/certs",
    )  # fmt: skip
    managers.install_webhooks(plane, config / "webhook" / "manifests.yaml", "kueue-", served, _of_managed)


def _of_managed(hook: dict[str, Any]) -> dict[str, Any] | None:
    """A webhook for the namespaces with the label; None: of a kind that nobody here queues."""
    kind = hook["rules"][0]["resources"][0].partition("/")[0]
    if kind in OWN_KINDS:
        return hook
    return {**hook, "namespaceSelector": {"matchLabels": MANAGED}} if kind in QUEUED_KINDS else None
