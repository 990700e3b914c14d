"""What events say of pods that do not start: an autoscaler's, where no node takes one; its node's, where one has."""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard.observe.diagnose import shorten
from tiltyard.observe.kinds import Object
from tiltyard.observe.records import PodRecord
from tiltyard.observe.refusal import last_seen
from tiltyard.observe.snapshot import PATIENCE_SECONDS, Snapshot

AUTOSCALERS = ("cluster-autoscaler", "karpenter", "eks-auto-mode/compute")
"""How they name themselves in events."""
FAILURES = (
    "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "FailedPrepareDynamicResources",
)  # fmt: skip
"""Reasons of the events by which a node says why it starts no container of a pod."""
PASSED = ("Pulling", "Pulled", "Created", "Started")
"""Reasons of those by which it says that the pod's volumes and network are there."""


def waiting_pods(snapshot: Snapshot, now: float) -> list[PodRecord]:
    """Pods that do not start, those that wait for longest first: of those that no node takes one of each Job and model.

    A scheduler says the same of all of them, whereas each node has its own reason not to start a pod.
    """
    found: dict[tuple[str, str, str], PodRecord] = {}
    for pod in sorted(snapshot.pods.values(), key=lambda pod: (pod.created, pod.name)):
        since = pod.created if pod.scheduled is None else pod.scheduled
        if (pod.fits_no_node or pod.unstarted) and not pod.deleting and now - since >= PATIENCE_SECONDS:
            found.setdefault(pod.asked_as, pod)
    return list(found.values())


def words_of(pod: PodRecord, events: Iterable[Object]) -> str | None:
    """What was said of such a pod last, and by whom; None: nothing was.

    Args:
        pod: one of `waiting_pods`.
        events: of it, as `events.k8s.io/v1` has them.
    """
    reasons = (*FAILURES, *PASSED)
    said = [event for event in events if (event.get("reason") in reasons if pod.unstarted else _author(event))]
    if not said:
        return None
    last = max(said, key=lambda event: (last_seen(event), event.get("reason") in PASSED))
    if pod.unstarted and last["reason"] in PASSED:
        return None
    words = shorten(last.get("note", ""))
    return words if pod.unstarted else f"{_author(last)} says: {words}"


def _author(event: Object) -> str:
    """The autoscaler that wrote an event; empty: another has."""
    names = (event.get("reportingController", ""), event.get("deprecatedSource", {}).get("component", ""))
    return next((name for name in names if name in AUTOSCALERS), "")
