"""What of a pod a manifest may set: a restricted patch instead of a whole PodTemplate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, JsonValue

from tiltyard.api.base import MAP_BY_MOUNT_PATH, MAP_BY_NAME, ApiModel
from tiltyard.api.rules import Rule, Violation, repeated
from tiltyard.api.scalars import (
    ANNOTATION_KEY,
    LABEL_KEY,
    AnnotationKey,
    EntryKey,
    LabelKey,
    LabelValue,
    Line,
    LooseLine,
    Message,
    ObjectName,
    OpaqueObject,
    Seconds,
    VariableName,
)
from tiltyard.api.shapes import Text


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


def _two_values(variable: EnvironmentVariable) -> Iterator[Violation]:
    if variable.value and variable.value_from is not None:
        yield Violation(("value",), "both")


ONE_VALUE: Rule[EnvironmentVariable] = Rule(
    "must not be set beside valueFrom: remove one of the two",
    _two_values,
    cel="!has(self.valueFrom) || !has(self.value) || self.value == ''",
    field_path=".value",
)


class EnvironmentVariable(ApiModel):
    """An environment variable of the pod's main container."""

    RULES = (ONE_VALUE,)

    name: VariableName
    """The variable's name."""
    value: Message | None = None
    """The variable's value. Use `valueFrom` for a secret."""
    value_from: OpaqueObject | None = None
    """A Kubernetes EnvVarSource, for example `secretKeyRef`."""


class VolumeMount(ApiModel):
    """A mount of a volume in the pod's main container."""

    name: ObjectName
    """The volume's name: of one of `volumes`, of Tiltyard's own, or of one that the chart, the runtime or the base
    brings."""
    mount_path: Line
    """The path in the container."""
    sub_path: LooseLine | None = None
    """The path in the volume. Absent: the volume's root."""
    read_only: bool = False
    """Whether the mount is read-only. Default: false."""


def _variables(patch: PodPatch) -> Iterator[Violation]:
    return repeated("env", "name", (variable.name for variable in patch.env))


def _mounts(patch: PodPatch) -> Iterator[Violation]:
    return repeated("volumeMounts", "mountPath", (mount.mount_path for mount in patch.volume_mounts))


def _volumes(patch: PodPatch) -> Iterator[Violation]:
    names = (volume.get("name") for volume in patch.volumes)
    return repeated("volumes", "name", (name if isinstance(name, str) else None for name in names))


# The CRD says the first two by the type of the list, and cannot look into volumes, which are Kubernetes' own.
ONE_VARIABLE: Rule[PodPatch] = Rule("must be set once: remove the other variable of this name", _variables)
ONE_MOUNT: Rule[PodPatch] = Rule("must be the path of one mount: give each a path of its own", _mounts)
ONE_VOLUME: Rule[PodPatch] = Rule("must be the name of one volume: give each a name of its own", _volumes)


# A schema has no words for keys: the rule says in the CRD what their type says here.
def _keyed_by(key: Text) -> Any:
    cel = f"self.all(key, key.size() <= {key.max_length} && key.matches('^{key.pattern}$'))".replace("\\", "\\\\")
    rule: JsonValue = {"rule": cel, "message": f"must be {key.allowed}"}
    return Field(max_length=32, json_schema_extra={"x-kubernetes-validations": [rule]})


_BY_LABEL, _BY_ANNOTATION = _keyed_by(LABEL_KEY), _keyed_by(ANNOTATION_KEY)


class PodPatch(ApiModel):
    """Additions to pods. The operator sets everything else in them."""

    RULES = (ONE_VARIABLE, ONE_MOUNT, ONE_VOLUME)

    labels: Annotated[dict[LabelKey, LabelValue], _BY_LABEL] = Field(default_factory=dict)
    """Additional labels. Tiltyard's own take precedence."""
    annotations: Annotated[dict[AnnotationKey, Message], _BY_ANNOTATION] = Field(default_factory=dict)
    """Additional annotations. Tiltyard's own take precedence."""
    node_selector: Annotated[dict[LabelKey, LabelValue], _BY_LABEL] = Field(default_factory=dict)
    """The labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """The taints that the pods tolerate."""
    affinity: OpaqueObject | None = None
    """A Kubernetes Affinity."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64, json_schema_extra=MAP_BY_NAME)] = ()
    """Additional environment variables of the main container."""
    volumes: Annotated[tuple[OpaqueObject, ...], Field(max_length=32)] = ()
    """Additional volumes, as in Kubernetes."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32, json_schema_extra=MAP_BY_MOUNT_PATH)] = ()
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
    """A Kubernetes PodSecurityContext. What it does not set is as the `restricted` Pod Security Standard requires."""
    resource_claims: Annotated[tuple[OpaqueObject, ...], Field(max_length=16)] = ()
    """Claims of Dynamic Resource Allocation, as in Kubernetes; the main container gets each of them. In training each
    counts as one GPU."""
    service_account_name: ObjectName | None = None
    """The pods' service account. Absent: the namespace's default, and no token is mounted."""


class HasPod(Protocol):
    """A model with a patch of its pods."""

    @property
    def pod(self) -> PodPatch:
        """The patch."""
        ...


WORKER_PATHS = ("/etc/tiltyard", "/work", "/tmp")  # noqa: S108
WORKER_VOLUMES = ("task", "work", "tmp")
TRAINING_PATHS, TRAINING_VOLUMES = (*WORKER_PATHS, "/dev/shm"), (*WORKER_VOLUMES, "shm")  # noqa: S108
MODEL_PATHS, MODEL_VOLUMES = ("/mnt/models",), ("weights", "weights-tmp")
"""What every pod of a kind has in its main container; `tests/unit/render/test_pods.py` compares them."""
_OWN_VARIABLES = "TILTYARD_"


def own_paths(paths: tuple[str, ...]) -> Rule[HasPod]:
    """Nothing is mounted where such a pod has a mount already."""

    def check(owner: HasPod) -> Iterator[Violation]:
        for position, mount in enumerate(owner.pod.volume_mounts):
            if (mount.mount_path.rstrip("/") or "/") in paths:
                yield Violation(("pod", "volumeMounts", position, "mountPath"), f'"{mount.mount_path}"')

    return Rule(
        f"must not be {' or '.join(paths)}, where these pods have a mount of Tiltyard's or KServe's: use another path",
        check,
        cel="!has(self.pod) || !has(self.pod.volumeMounts)"
        f" || !self.pod.volumeMounts.exists(m, m.mountPath.matches('^({'|'.join(paths)})/*$'))",
        field_path=".pod.volumeMounts",
    )


def own_volumes(names: tuple[str, ...]) -> Rule[HasPod]:
    """No volume has the name of one that such a pod has already."""

    def check(owner: HasPod) -> Iterator[Violation]:
        for position, volume in enumerate(owner.pod.volumes):
            if volume.get("name") in names:
                yield Violation(("pod", "volumes", position, "name"), f'"{volume["name"]}"')

    return Rule(f"must not be {', '.join(names)}: these are Tiltyard's own; use another name", check)


def _own_variables(owner: HasPod) -> Iterator[Violation]:
    for position, variable in enumerate(owner.pod.env):
        if variable.name.startswith(_OWN_VARIABLES):
            yield Violation(("pod", "env", position, "name"), f'"{variable.name}"')


OWN_VARIABLES: Rule[HasPod] = Rule(
    f"must not begin with {_OWN_VARIABLES}: these variables are Tiltyard's own; remove it",
    _own_variables,
    cel="!has(self.pod) || !has(self.pod.env)"
    f" || !self.pod.env.exists(variable, variable.name.startsWith('{_OWN_VARIABLES}'))",
    field_path=".pod.env",
)
