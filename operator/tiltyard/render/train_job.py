"""A training on many nodes: the pod of our Job, told to a runtime of Kubeflow Trainer (v2, `trainer.kubeflow.org`).

The runtime says what Trainer alone can: how nodes find each other, which image policies hold, how often a group is
started again. All that our own Job has goes on top of it.
"""

from __future__ import annotations

from typing import Any, Final

from tiltyard.api import RuntimeReference, Tournament
from tiltyard.plan.graph import Bundle
from tiltyard.plan.planner import JobOrder
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import bundle_objects
from tiltyard.render.tasks import trainer_ref
from tiltyard_jobs.contracts.tasks import BundleTask

GROUP: Final = "trainer.kubeflow.org"
API: Final = f"{GROUP}/v1alpha1"
KIND: Final = "TrainJob"
NODE: Final = "node"
"""Trainer's name for the replicated job, and for its container, that trains: in all of its own runtimes."""

OVERRIDABLE: Final = (
    "serviceAccountName", "nodeSelector", "affinity", "tolerations", "volumes", "imagePullSecrets",
)  # fmt: skip
"""Fields of a pod that a TrainJob may set; the others are its runtime's."""


def runtime_of(tournament: Tournament, bundle: Bundle) -> RuntimeReference | None:
    """The runtime that runs a bundle; None: a Job of ours does."""
    training = tournament.spec.training
    return training.trainer.runtime_ref if bundle.engine == "Trl" and training is not None else None


def train_job_objects(
    tournament: Tournament, order: JobOrder, task: BundleTask, settings: ClusterSettings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A training's ConfigMap and TrainJob; `spec.training.trainer` names a runtime."""
    assert tournament.spec.training is not None
    trainer = tournament.spec.training.trainer
    assert trainer.runtime_ref is not None
    config_map, job = bundle_objects(tournament, order, task, settings)
    template = job["spec"]["template"]
    pod = template["spec"]
    (worker,) = pod["containers"]
    container = {"name": NODE, "volumeMounts": worker["volumeMounts"]}
    return config_map, {
        "apiVersion": API,
        "kind": KIND,
        "metadata": job["metadata"],
        "spec": {
            "runtimeRef": {"apiGroup": GROUP, **trainer.runtime_ref.model_dump(mode="json")},
            **({"suspend": True} if job["spec"].get("suspend") else {}),
            "trainer": {
                "image": worker["image"],
                # The completion index is the node's number here.
                "command": [*worker["command"], "--index", "0"],
                "env": worker["env"],
                "numNodes": trainer.num_nodes,
                "numProcPerNode": max(1, trainer_ref(tournament, None).devices),
                "resourcesPerNode": worker["resources"],
            },
            "podTemplateOverrides": [
                {
                    "targetJobs": [{"name": NODE}],
                    "metadata": template["metadata"],
                    "spec": {
                        **{field: pod[field] for field in OVERRIDABLE if field in pod},
                        "containers": [container],
                    },
                }
            ],
        },
    }
