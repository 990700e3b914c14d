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
    """The entry in it."""


def secret_variable(reference: KeyReference) -> str:
    """The environment variable in which a worker finds a secret: `TILTYARD_SECRET_NAME_KEY`."""
    return "TILTYARD_SECRET_" + re.sub(r"[^A-Z0-9]", "_", f"{reference.name}_{reference.key}".upper())


class Resources(ApiModel):
    """Resources of one container, as Kubernetes has them."""

    limits: Quantities = Field(default_factory=dict)
    """At most this much, by resource: `nvidia.com/gpu: "4"`."""
    requests: Quantities = Field(default_factory=dict)
    """At least this much; where absent, the limit."""

    def demand(self) -> dict[str, Decimal]:
        """What one replica takes from a budget: its requests, else its limits."""
        return {name: parse_quantity(text) for name, text in {**self.limits, **self.requests}.items()}


class Toleration(ApiModel):
    """A taint that the pod tolerates."""

    key: LooseLine | None = None
    """The taint's key; absent: every key."""
    operator: Literal["Exists", "Equal"] | None = None
    """How key and value are compared; absent: Equal."""
    value: LooseLine | None = None
    """The taint's value, for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; absent: every effect."""
    toleration_seconds: Seconds | None = None
    """How long a NoExecute taint is tolerated; absent: for ever."""


class EnvironmentVariable(ApiModel):
    """An environment variable of the pod's main container."""

    name: Line
    """Its name."""
    value: Message | None = None
    """Its value; for a secret use `valueFrom`."""
    value_from: OpaqueObject | None = None
    """A Kubernetes EnvVarSource, `secretKeyRef` for instance."""


class VolumeMount(ApiModel):
    """A volume's place in the pod's main container."""

    name: ObjectName
    """The volume's name."""
    mount_path: Line
    """Where it is mounted."""
    sub_path: LooseLine | None = None
    """The part of the volume that is mounted; absent: all."""
    read_only: bool = False
    """Mounted without the right to write."""


class PodPatch(ApiModel):
    """What is added to the pods; all else of them is the operator's."""

    node_selector: Annotated[dict[Line, LooseLine], Field(max_length=32)] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the pods tolerate."""
    affinity: OpaqueObject | None = None
    """A Kubernetes Affinity."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64, json_schema_extra=MAP_BY_NAME)] = ()
    """Environment variables of the main container."""
    volumes: Annotated[tuple[OpaqueObject, ...], Field(max_length=32)] = ()
    """Kubernetes Volumes."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32)] = ()
    """Where the volumes stand in the main container."""
    image_pull_secrets: Annotated[tuple[ObjectReference, ...], Field(max_length=16)] = ()
    """Secrets with which images are pulled."""
    priority_class_name: ObjectName | None = None
    """The pods' PriorityClass."""
    service_account_name: ObjectName | None = None
    """A service account of your own; absent: one without rights, and no token mounted."""
