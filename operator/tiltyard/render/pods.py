"""What all pods of ours have in common: the `restricted` Pod Security Standard, and the manifest's patch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tiltyard.api import PodPatch, Resources, parse_quantity

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
WORKER_REQUESTS = {"cpu": "500m", "memory": "512Mi"}
WORKER_LIMITS = {"cpu": "4", "memory": "8Gi"}
NOBODY = 65532  # the user of our own images
_OF_CONTAINER = ("env", "volumeMounts")
_OF_METADATA = ("labels", "annotations")
POD_SECURITY: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}

ENDS_WITH_WORKER = {
    "sidecar.istio.io/nativeSidecar": "true",
    "config.beta.linkerd.io/proxy-enable-native-sidecar": "true",
    "config.alpha.linkerd.io/proxy-enable-native-sidecar": "true",
}
"""Annotations by which Istio and Linkerd inject a sidecar that ends with the main container: one that stays keeps a
Job from its end."""


SKIPPED = "eks.amazonaws.com/skip-containers"


def without_role(containers: Iterable[str]) -> dict[str, str]:
    """The annotation by which containers do not get the role of their pod's service account (AWS), if there are any."""
    names = ",".join(containers)
    return {SKIPPED: names} if names else {}


def pod_fields(patch: PodPatch) -> dict[str, Any]:
    """The fields of a pod's spec that the manifest adds, its containers' apart."""
    document = patch.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in document.items() if name not in (*_OF_CONTAINER, *_OF_METADATA)}


def container_fields(patch: PodPatch) -> dict[str, Any]:
    """The fields of the main container that the manifest adds, its resources apart."""
    document = patch.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in document.items() if name in _OF_CONTAINER}


def resource_fields(
    resources: Resources,
    patch: PodPatch | None = None,
    *,
    requests: Mapping[str, str] | None = None,
    limits: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A container's resources: what has a request has a limit, and the other way round.

    A quota refuses a container that lacks one of them.

    Args:
        resources: as the manifest gives them.
        patch: whose claims the container gets.
        requests: of what the manifest does not name.
        limits: likewise, and of what it only requests: more where it requests more.
    """
    limited = {name: _larger(limit, resources.requests.get(name)) for name, limit in (limits or {}).items()}
    limited = {**resources.requests, **limited, **resources.limits}
    requested = {name: amount for name, amount in (requests or {}).items() if name not in resources.limits}
    fields: dict[str, Any] = {
        "limits": limited,
        "requests": {**limited, **requested, **resources.limits, **resources.requests},
    }
    claims = [{"name": claim["name"]} for claim in (patch.resource_claims if patch else ()) if "name" in claim]
    return {name: value for name, value in (fields | {"claims": claims}).items() if value}


def security_of(patch: PodPatch) -> dict[str, Any]:
    """The security context of a pod of ours."""
    return {**POD_SECURITY, **(patch.security_context or {})}


def _larger(amount: str, other: str | None) -> str:
    return amount if other is None or parse_quantity(other) <= parse_quantity(amount) else other
