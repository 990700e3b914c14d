"""Single facts of the documents that the API server gives of objects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError

from tiltyard.observe.kinds import TOURNAMENTS, Kind, Object
from tiltyard.render.weights import FILLER, VOLUME
from tiltyard_jobs.contracts.weights import Filled

FAILURES_OF_PODS = ("ModelLoadFailed", "RuntimeUnhealthy")
"""KServe's reasons of failures that its pods themselves tell better."""


def namespace_of(key: str) -> str:
    """Of a key, `namespace/name`."""
    return key.partition("/")[0]


def name_of(key: str) -> str:
    """Of a key, likewise."""
    return key.partition("/")[2]


def claim_of(service: Object) -> str:
    """The claim that holds the weights of a service; empty: none does."""
    spec = service.get("spec", {})
    volumes = (spec.get("predictor") or spec.get("template") or {}).get("volumes", ())
    claims = (one.get("persistentVolumeClaim", {}) for one in volumes if one.get("name") == VOLUME)
    return next((str(claim.get("claimName", "")) for claim in claims), "")


def address_of(service: Object) -> str | None:
    """Scheme, host and port of an InferenceService, as KServe has written them; None: it has not.

    The port is there where the Service has no address of its own (a headless one): a pod answers at its own port.
    """
    status = service.get("status", {})
    url = status.get("address", {}).get("url") or status.get("url")
    if not url:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def parse_indexes(text: str) -> frozenset[int]:
    """A Job's `completedIndexes` or `failedIndexes`: `1,3-5`."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(found)


def seconds(time: str) -> float:
    """RFC 3339 as seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp()


class Controller(NamedTuple):
    """The object that controls another: of its owners the one that makes and deletes it."""

    group: str
    kind: str
    name: str
    uid: str

    def is_a(self, kind: Kind) -> bool:
        """By group and kind: another group may have a kind of the same name."""
        return (self.group, self.kind) == (_group(kind.api), kind.kind)


def controller_of(meta: Mapping[str, Any]) -> Controller | None:
    """Who controls an object; None: nobody does."""
    for one in meta.get("ownerReferences", ()):
        if one.get("controller"):
            return Controller(_group(one["apiVersion"]), one["kind"], one["name"], one["uid"])
    return None


def owner_of(meta: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and uid of the Tournament that controls the object."""
    controller = controller_of(meta)
    return (controller.name, controller.uid) if controller is not None and controller.is_a(TOURNAMENTS) else None


def _group(api: str) -> str:
    return api.rpartition("/")[0]


def filled_of(status: Mapping[str, Any]) -> Filled | None:
    """What a pod's init container has said of the model's weights; None: nothing, or none of ours."""
    for container in status.get("initContainerStatuses", ()):
        ended = container.get("state", {}).get("terminated") or {}
        if container["name"] == FILLER and ended.get("exitCode") == 0:
            try:
                return Filled.model_validate_json(ended.get("message", ""))
            except ValidationError:  # KServe's own, or one that brings a trained model
                return None
    return None


def devices_of(pod: Object) -> frozenset[str]:
    """Kinds of GPUs, or of other devices, that a pod asks for: their names have a domain, Kubernetes' own have none."""
    limits = (one.get("resources", {}).get("limits", {}) for one in pod.get("spec", {}).get("containers", ()))
    return frozenset(name for names in limits for name in names if "/" in name)


def scheduled_of(pod: Object) -> float | None:
    """When a node took a pod; None: none has."""
    status = pod.get("status", {})
    condition: Object = next((c for c in status.get("conditions", ()) if c["type"] == "PodScheduled"), {})
    if condition.get("status") == "True" and "lastTransitionTime" in condition:
        return seconds(condition["lastTransitionTime"])
    started = status.get("phase", "Pending") != "Pending" or "nodeName" in pod.get("spec", {})
    return seconds(pod["metadata"]["creationTimestamp"]) if started else None


def is_unstarted(pod: Object) -> bool:
    """Whether a node has a pod and has started none of its containers."""
    status = pod.get("status", {})
    if status.get("phase", "Pending") != "Pending" or scheduled_of(pod) is None:
        return False
    statuses = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    waiting = [one.get("state", {}).get("waiting", {}).get("reason") for one in statuses if not one.get("restartCount")]
    return len(waiting) == len(statuses) and set(waiting) <= {"ContainerCreating", "PodInitializing"}


def refused_of(status: Mapping[str, Any], ready: Object) -> str:
    """KServe's words of an InferenceService that it makes no pods of, or whose pods are refused."""
    if ready.get("reason") == "FailedCreate":
        return str(ready.get("message", ""))
    failure = status.get("modelStatus", {}).get("lastFailureInfo", {})
    if ready.get("status") == "True" or failure.get("reason") in (None, *FAILURES_OF_PODS):
        return ""
    return f"{failure['reason']}: {failure.get('message', '')}"


def suspended_since_of(status: Mapping[str, Any]) -> float | None:
    """When a Job was suspended; None: it is not, or never ran."""
    one: Object = next((c for c in status.get("conditions", ()) if c["type"] == "Suspended"), {})
    return seconds(one["lastTransitionTime"]) if one.get("status") == "True" and "lastTransitionTime" in one else None


def terminal_of(status: Mapping[str, Any]) -> tuple[str, str, float | None]:
    """How a Job ended, why, and when."""
    true = {condition["type"]: condition for condition in status.get("conditions", ()) if condition["status"] == "True"}
    for kind in ("Complete", "Failed", "FailureTarget"):
        if condition := true.get(kind):
            return kind, condition.get("message", ""), seconds(condition["lastTransitionTime"])
    return "", "", None
