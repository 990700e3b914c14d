"""What the operator was told of its cluster, as the objects need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from tiltyard.api import PodPatch
from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import Line
from tiltyard.api.serving import KSERVE_RUNTIME, ModelServing
from tiltyard.render.tenants import TenantSettings

GIVE_BACK_SECONDS = 300.0
Keys = Annotated[tuple[Line, ...], Field(max_length=64)]


class PodDefaults(ApiModel):
    """What pods get besides the manifest's own `pod`, whose fields take precedence."""

    models: PodPatch = PodPatch()
    workers: PodPatch = PodPatch()
    training: PodPatch = PodPatch()


class ChildrenSettings(ApiModel):
    """What all children of a cluster's Tournaments have, in the words of the chart's values."""

    pods: PodDefaults = PodDefaults()
    copied_labels: Keys = ()
    copied_annotations: Keys = ()
    assigned_users: bool = False
    """The cluster gives pods their user and group, and refuses those that name another one, as OpenShift does."""

    def labels_of(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Those labels of a Tournament that its children and their pods get too."""
        return _copied(labels, self.copied_labels)

    def annotations_of(self, annotations: Mapping[str, str]) -> dict[str, str]:
        """Likewise, of annotations."""
        return _copied(annotations, self.copied_annotations)


def _copied(given: Mapping[str, str], keys: Keys) -> dict[str, str]:
    """Those whose key is listed; a key that ends in `*` stands for all that begin so."""
    beginnings = tuple(key[:-1] for key in keys if key.endswith("*"))
    return {key: text for key, text in given.items() if key in keys or (beginnings and key.startswith(beginnings))}


@dataclass(frozen=True)
class ClusterSettings:
    """How children are made.

    Attributes:
        worker_image: the image of `tiltyard_jobs`.
        pull_policy: of that image.
        pull_secrets: Secrets with which that image is pulled, in the tournament's namespace.
        domain: the cluster's DNS domain.
        trainer_image: the image of `tiltyard_jobs` with TRL; empty: the worker's.
        trainer_python: the interpreter in it that has TRL; None: the worker's own.
        lm_eval_image: the image of `tiltyard_jobs` with lm-evaluation-harness; empty: the worker's.
        lm_eval_python: the interpreter in it that has the harness; None: the worker's own.
        children: what all children have.
        tenants: what a Tournament may ask for.
        runtime: the serving runtime of models that name none and request a device.
        cpu_runtime: likewise, and request none; empty: the same.
        give_back_seconds: how long a queued model may hold its nodes while none of its Jobs runs.
        reads_queues: Kueue may be asked why it admits nothing.
    """

    worker_image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    domain: str = "cluster.local"
    trainer_image: str = ""
    trainer_python: str | None = None
    lm_eval_image: str = ""
    lm_eval_python: str | None = None
    children: ChildrenSettings = field(default_factory=ChildrenSettings)
    tenants: TenantSettings = field(default_factory=TenantSettings)
    runtime: str = KSERVE_RUNTIME
    cpu_runtime: str = ""
    give_back_seconds: float = GIVE_BACK_SECONDS
    reads_queues: bool = False

    def runtime_for(self, serving: ModelServing) -> str:
        """The serving runtime of a model that names none: one for CPUs only where its pods hold no device of any kind.

        Names of devices have a domain; a server for GPUs that finds none of its own says so and ends, whereas one for
        CPUs would hold it in silence.
        """
        devices = (name for name, amount in serving.resources.demand().items() if "/" in name and amount)
        return self.runtime if any(devices) or serving.pod.resource_claims else self.cpu_runtime or self.runtime
