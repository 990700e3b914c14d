"""What all pods of ours have in common: the `restricted` Pod Security Standard, and the manifest's patch."""

from __future__ import annotations

from typing import Any

from tiltyard.api import PodPatch, Resources

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
NOBODY = 65532  # the user of our own images
_OF_CONTAINER = ("env", "volumeMounts")
POD_SECURITY: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod_fields(patch: PodPatch) -> dict[str, Any]:
    """The fields of a pod's spec that the manifest adds, its containers' apart."""
    document = patch.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in document.items() if name not in _OF_CONTAINER}


def container_fields(patch: PodPatch) -> dict[str, Any]:
    """The fields of the main container that the manifest adds."""
    document = patch.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in document.items() if name in _OF_CONTAINER}


def resource_fields(resources: Resources) -> dict[str, Any]:
    """A container's resources, empty parts left out."""
    document = resources.model_dump(mode="json")
    return {name: amounts for name, amounts in document.items() if amounts}
