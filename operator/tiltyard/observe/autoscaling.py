"""What an autoscaler says of pods that fit no node."""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard.observe.diagnose import shorten
from tiltyard.observe.kinds import Object
from tiltyard.observe.records import PodRecord
from tiltyard.observe.refusal import last_seen
from tiltyard.observe.snapshot import PATIENCE_SECONDS, Snapshot

AUTOSCALERS = ("cluster-autoscaler", "karpenter", "eks-auto-mode/compute")
"""How they name themselves in events."""


def without_room(snapshot: Snapshot, now: float) -> list[PodRecord]:
    """Of each Job and of each model the pod that has fitted no node for longest, if for a while."""
    found: dict[tuple[str, str], PodRecord] = {}
    for pod in sorted(snapshot.pods.values(), key=lambda pod: (pod.created, pod.name)):
        if pod.fits_no_node and not pod.deleting and now - pod.created >= PATIENCE_SECONDS:
            found.setdefault(pod.group, pod)
    return list(found.values())


def autoscalers_words(events: Iterable[Object]) -> str | None:
    """What an autoscaler said last, and which; None: none said anything.

    Args:
        events: of one pod, as `events.k8s.io/v1` has them.
    """
    theirs = [(last_seen(event), who, event.get("note", "")) for event in events if (who := _author(event))]
    if not theirs:
        return None
    _, who, words = max(theirs)
    return f"{who} says: {shorten(words)}"


def _author(event: Object) -> str:
    """The autoscaler that wrote an event; empty: another has."""
    names = (event.get("reportingController", ""), event.get("deprecatedSource", {}).get("component", ""))
    return next((name for name in names if name in AUTOSCALERS), "")
