"""Where the weights of a served model come from: claims that are filled once, KServe's cache, mirrors and tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tiltyard.api import (
    KeyReference,
    ModelSource,
    Participant,
    Resources,
    Tournament,
    Weights,
    WeightsClaim,
    secret_variable,
)
from tiltyard.api.weights import HUB
from tiltyard.plan.participants import token_references
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.names import MODEL, child_metadata, child_name, labels
from tiltyard.render.pods import CONTAINER_SECURITY, NOBODY, POD_SECURITY, container_fields, resource_fields
from tiltyard_jobs.contracts.frozen import digest

VOLUME: Final = "weights"
FOLDER: Final = "/weights"
"""Where the container that downloads finds the volume."""
OWN_PATHS: Final = (FOLDER, "/tmp")  # noqa: S108 - the container's own mounts, whatever the model's has there
FILLER: Final = "storage-initializer"
"""The container that downloads: a pod that has one of this name gets none of KServe's."""
REQUESTS, LIMITS = {"cpu": "100m", "memory": "256Mi"}, {"cpu": "4", "memory": "2Gi"}
CACHE_API: Final = "serving.kserve.io/v1alpha1"
CACHE_KIND: Final = "LocalModelNamespaceCache"
CLAIM_NAME_LENGTH: Final = 50
_OF_DOWNLOADS = re.compile(r"HF_.+|.*_proxy|.*_PROXY|SSL_CERT_FILE")
"""Variables of `serving.pod.env` that whoever downloads gets too."""


def storage_uri(model: ModelSource) -> str:
    """Where KServe is told that the weights are; its own download takes a revision on the hub after a colon."""
    revision = f":{model.revision}" if model.revision and model.is_on_hub else ""
    return f"{model.source}{revision}"


def hub_variables(weights: Weights) -> Iterator[dict[str, Any]]:
    """Environment variables of a container that downloads weights from the hub.

    A Secret that is missing is the hub's refusal then, which a sentence explains, and no pod that hangs.
    """
    if weights.token_secret_ref is not None:
        yield secret_env("HF_TOKEN", weights.token_secret_ref)
    if weights.endpoint is not None:
        yield {"name": "HF_ENDPOINT", "value": weights.endpoint}


def secret_env(variable: str, reference: KeyReference) -> dict[str, Any]:
    """A secret by reference. It is optional so that a missing one is a worker's sentence and not a pod that hangs."""
    selector = {"name": reference.name, "key": reference.key, "optional": True}
    return {"name": variable, "valueFrom": {"secretKeyRef": selector}}


def tokens_of(tournament: Tournament) -> dict[str, KeyReference]:
    """The tokens with which weights are downloaded, by the variable in which preflight finds them."""
    return {secret_variable(reference): reference for _, reference in token_references(tournament)}


def folder_of(model: ModelSource) -> str:
    """A model's folder on a claim: other weights or another revision have another one."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "--", model.source.removeprefix(HUB))
    return f"{readable[:64]}-{digest(storage_uri(model).encode())[:8]}"


def held_name(tournament: str, model: str) -> str:
    """The name of the claim or the cache that is made for a model's weights."""
    return child_name(tournament, model, "weights", length=CLAIM_NAME_LENGTH)


def claim_name(tournament: Tournament, model: str, claim: WeightsClaim) -> str:
    """The claim that holds a model's weights."""
    return claim.name or held_name(tournament.metadata.name, model)


def weights_object(
    tournament: Tournament, name: str, model: ModelSource, settings: ClusterSettings
) -> dict[str, Any] | None:
    """The claim or the cache of a model, to be applied before it starts; None: it needs none.

    Args:
        tournament: the manifest.
        name: of the participant.
        model: its model.
        settings: of the operator.
    """
    kept = tournament.spec.serving.weights
    if kept is None or not model.is_on_hub:
        return None
    meta = tournament.metadata
    copied = settings.children.labels_of(meta.labels)
    its_labels = {**copied, **labels(tournament, "weights", **{MODEL: name})}
    its_name = held_name(meta.name, name)
    common = {
        "metadata": child_metadata(tournament, its_name, its_labels, settings.children.annotations_of(meta.annotations))
    }
    if kept.cache is not None:
        cache = kept.cache
        account = {"serviceAccountName": cache.service_account_name} if cache.service_account_name else {}
        source = {"sourceModelUri": storage_uri(model), "modelSize": cache.size, "nodeGroups": [cache.node_group]}
        return {"apiVersion": CACHE_API, "kind": CACHE_KIND, **common, "spec": {**source, **account}}
    assert kept.claim is not None, "there is a claim or a cache"
    if kept.claim.size is None:
        return None
    storage_class = {"storageClassName": kept.claim.storage_class_name} if kept.claim.storage_class_name else {}
    space = {"accessModes": [kept.claim.access_mode], "resources": {"requests": {"storage": kept.claim.size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **common, "spec": {**space, **storage_class}}


def notes_of(tournament: Tournament, model: ModelSource | None) -> Mapping[str, str]:
    """Annotations of an InferenceService by which KServe's cache is used, or left alone."""
    kept = tournament.spec.serving.weights
    if kept is None or model is None or not model.is_on_hub:
        return {}
    if kept.cache is not None:
        return {"serving.kserve.io/nodegroup": kept.cache.node_group}
    return {"serving.kserve.io/disable-localmodel": "true"}


class Brought(NamedTuple):
    """What a model's pod has where an init container of ours brings its weights.

    Attributes:
        fields: of the pod's spec; they take the place of those that were there.
        mount: of the server's container.
    """

    fields: dict[str, Any]
    mount: dict[str, Any]


def bring_weights(
    pod: Mapping[str, Any], tournament: Tournament, participant: Participant, settings: ClusterSettings
) -> Brought | None:
    """How a model's weights come where KServe's own download would not do; None: KServe brings them.

    That is where a claim is to be filled once, and where a token or a mirror is the model's own: KServe knows those of
    service accounts and of the whole cluster.

    Args:
        pod: what the pod's spec has without.
        tournament: the manifest.
        participant: whose model it is.
        settings: of the operator.
    """
    model, kept = participant.model, tournament.spec.serving.weights
    if model is None or not model.is_on_hub or (kept is not None and kept.cache is not None):
        return None
    claim = kept.claim if kept is not None else None
    if claim is None and not any(hub_variables(model)):
        return None
    volume: dict[str, Any] = {"name": VOLUME, "emptyDir": {}}
    fields: dict[str, Any] = {}
    if claim is not None:
        volume = {
            "name": VOLUME,
            "persistentVolumeClaim": {"claimName": claim_name(tournament, participant.name, claim)},
        }
        # A new volume is root's: its group may write.
        group: dict[str, Any] = {"fsGroupChangePolicy": "OnRootMismatch"}
        if not settings.children.assigned_users:
            group["fsGroup"] = NOBODY
        fields["securityContext"] = {**group, **pod.get("securityContext", {})}
    pull = [*pod.get("imagePullSecrets", []), *({"name": secret} for secret in settings.pull_secrets)]
    if pull:
        fields["imagePullSecrets"] = pull
    fields["initContainers"] = [_filler(participant, model, settings)]
    fields["volumes"] = [*pod.get("volumes", []), volume, {"name": "weights-tmp", "emptyDir": {}}]
    mount = {"name": VOLUME, "mountPath": "/mnt/models", "subPath": folder_of(model), "readOnly": True}
    return Brought(fields, mount)


def _filler(participant: Participant, model: ModelSource, settings: ClusterSettings) -> dict[str, Any]:
    own = container_fields(participant.serving_or_default.pod)
    ours = list(hub_variables(model))
    taken = {variable["name"] for variable in ours}
    theirs = [one for one in own.get("env", []) if _OF_DOWNLOADS.fullmatch(one["name"]) and one["name"] not in taken]
    revision = ["--revision", model.revision] if model.revision else []
    return {
        "name": FILLER,
        "image": settings.worker_image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["python", "-m", "tiltyard_jobs.weights", model.source, *revision],
        "args": ["--folder", f"{FOLDER}/{folder_of(model)}", "--report", "/dev/termination-log"],
        "env": [*ours, *theirs],
        "resources": resource_fields(Resources(), requests=REQUESTS, limits=LIMITS),
        "securityContext": {**CONTAINER_SECURITY, **POD_SECURITY},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": VOLUME, "mountPath": FOLDER},
            {"name": "weights-tmp", "mountPath": "/tmp"},  # noqa: S108
            *(one for one in own.get("volumeMounts", []) if one["mountPath"].rstrip("/") not in OWN_PATHS),
        ],
    }
