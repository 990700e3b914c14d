"""The kinds of objects that the operator reads and writes. Objects are plain JSON, as the API server gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiltyard.api import LLM
from tiltyard.render import llm, train_job, weights

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes:
        api: `group/version`, or `v1`.
        kind: its name in a manifest.
        plural: its name in a path.
    """

    api: str
    kind: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The path below the server's address."""
        parts = ["api" if "/" not in self.api else "apis", self.api]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)


TOURNAMENTS = Kind("tiltyard.dev/v1alpha1", "Tournament", "tournaments")
SERVICES = Kind("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices")
LLM_SERVICES = Kind(llm.API_VERSION, LLM, "llminferenceservices")
JOBS = Kind("batch/v1", "Job", "jobs")
TRAIN_JOBS = Kind(train_job.API, train_job.KIND, "trainjobs")
RUNTIMES = {
    kind: Kind(train_job.API, kind, f"{kind.lower()}s") for kind in ("ClusterTrainingRuntime", "TrainingRuntime")
}
CLAIMS = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
CACHES = Kind(weights.CACHE_API, weights.CACHE_KIND, "localmodelnamespacecaches")
CLUSTER_CACHES = Kind(weights.CACHE_API, "LocalModelCache", "localmodelcaches")
"""Those of the whole cluster, which somebody else makes."""
WORKLOADS = Kind("kueue.x-k8s.io/v1beta2", "Workload", "workloads")
"""Kueue's: what it knows of each Job and pod that a queue admits."""
PODS = Kind("v1", "Pod", "pods")
MAKERS_OF_MODELS = (Kind("apps/v1", "ReplicaSet", "replicasets"), Kind("apps/v1", "StatefulSet", "statefulsets"))
"""Who controls the pods of models: of a Deployment of KServe's the first, of a LeaderWorkerSet the second."""
NODES = Kind("v1", "Node", "nodes")
CONFIG_MAPS = Kind("v1", "ConfigMap", "configmaps")
SCHEMAS = Kind("openapi/v3", "OpenAPI", "openapi")
LEASES = Kind("coordination.k8s.io/v1", "Lease", "leases")
EVENTS = Kind("events.k8s.io/v1", "Event", "events")
