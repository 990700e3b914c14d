"""What of a pod a manifest may set: a restricted patch instead of a whole PodTemplate."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from tiltyard.api.base import MAP_BY_NAME, ApiModel
from tiltyard.api.scalars import (
    EntryKey,
    Line,
    LooseLine,
    Message,
    ObjectName,
    OpaqueObject,
    QuantityText,
    Seconds,
    parse_quantity,
)

Quantities = Annotated[dict[Line, QuantityText], Field(max_length=16)]


class ObjectReference(ApiModel):
    """An object in the tournament's namespace."""

    name: ObjectName
    """The object's name."""


class KeyReference(ApiModel):
    """One entry of a Secret or ConfigMap in the tournament's namespace."""

    name: ObjectName
    """The object's name."""
    key: EntryKey
    """The entry's key in the object."""


def secret_variable(reference: KeyReference) -> str:
    """The environment variable in which a worker finds a secret: `TILTYARD_SECRET_NAME_KEY`."""
    return "TILTYARD_SECRET_" + re.sub(r"[^A-Z0-9]", "_", f"{reference.name}_{reference.key}".upper())


_GPU = re.compile(
    r"nvidia\.com/(gpu|gpu\.shared|mig-.+)|amd\.com/gpu.*|habana\.ai/gaudi|intel\.com/gpu"
    r"|gpu\.intel\.com/(?!.*(_monitoring|millicores|memory\.max|tiles)$).+"
)
"""Names of the resources that device plugins give to GPUs. Intel's others are shares of one."""


class Resources(ApiModel):
    """The resources of one container, as in Kubernetes."""

    limits: Quantities = Field(default_factory=dict)
    """The limit of each resource, for example `nvidia.com/gpu: "4"`. Absent: on a cluster, the request."""
    requests: Quantities = Field(default_factory=dict)
    """The request of each resource. Absent: the limit."""

    @property
    def gpus(self) -> dict[str, int]:
        """The GPUs of one replica, by resource name: those of any maker, whole or in parts."""
        return {name: int(amount) for name, amount in self.demand().items() if amount and _GPU.fullmatch(name)}

    def demand(self) -> dict[str, Decimal]:
        """What one replica takes from a budget: its requests, else its limits."""
        return {name: parse_quantity(text) for name, text in {**self.limits, **self.requests}.items()}


class Toleration(ApiModel):
    """A taint that the pod tolerates."""

    key: LooseLine | None = None
    """The taint's key. Absent: every key."""
    operator: Literal["Exists", "Equal"] | None = None
    """How key and value are compared. Absent: Equal."""
    value: LooseLine | None = None
    """The taint's value, if the operator is Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect. Absent: every effect."""
    toleration_seconds: Seconds | None = None
    """How long a NoExecute taint is tolerated. Absent: forever."""


class EnvironmentVariable(ApiModel):
    """An environment variable of the pod's main container."""

    name: Line
    """The variable's name."""
    value: Message | None = None
    """The variable's value. Use `valueFrom` for a secret."""
    value_from: OpaqueObject | None = None
    """A Kubernetes EnvVarSource, for example `secretKeyRef`."""


class VolumeMount(ApiModel):
    """A mount of a volume in the pod's main container."""

    name: ObjectName
    """The volume's name."""
    mount_path: Line
    """The path in the container."""
    sub_path: LooseLine | None = None
    """The path in the volume. Absent: the volume's root."""
    read_only: bool = False
    """Whether the mount is read-only. Default: false."""


class PodPatch(ApiModel):
    """Additions to pods. The operator sets everything else in them."""

    labels: Annotated[dict[Line, LooseLine], Field(max_length=32)] = Field(default_factory=dict)
    """Additional labels. Tiltyard's own take precedence."""
    annotations: Annotated[dict[Line, Message], Field(max_length=32)] = Field(default_factory=dict)
    """Additional annotations. Tiltyard's own take precedence."""
    node_selector: Annotated[dict[Line, LooseLine], Field(max_length=32)] = Field(default_factory=dict)
    """The labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """The taints that the pods tolerate."""
    affinity: OpaqueObject | None = None
    """A Kubernetes Affinity."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64, json_schema_extra=MAP_BY_NAME)] = ()
    """Additional environment variables of the main container."""
    volumes: Annotated[tuple[OpaqueObject, ...], Field(max_length=32)] = ()
    """Additional volumes, as in Kubernetes."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32)] = ()
    """Where the volumes are mounted in the main container."""
    image_pull_secrets: Annotated[tuple[ObjectReference, ...], Field(max_length=16)] = ()
    """The Secrets with which images are pulled."""
    priority_class_name: ObjectName | None = None
    """The pods' PriorityClass."""
    runtime_class_name: ObjectName | None = None
    """The pods' RuntimeClass."""
    scheduler_name: ObjectName | None = None
    """The scheduler of the pods. Absent: the cluster's default."""
    topology_spread_constraints: Annotated[tuple[OpaqueObject, ...], Field(max_length=16)] = ()
    """How the pods are spread over nodes, as in Kubernetes."""
    security_context: OpaqueObject | None = None
    """A Kubernetes PodSecurityContext. What it does not set stays as the `restricted` Pod Security Standard asks."""
    resource_claims: Annotated[tuple[OpaqueObject, ...], Field(max_length=16)] = ()
    """Claims of Dynamic Resource Allocation, as in Kubernetes; the main container gets each of them. In training each
    counts as one GPU."""
    service_account_name: ObjectName | None = None
    """The pods' service account. Absent: the namespace's default, and no token is mounted."""
