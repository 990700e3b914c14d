"""Status and events as the Kubernetes API has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from tiltyard.api import TournamentStatus
from tiltyard.status.events import Event

REPORTER = "tiltyard.dev/operator"
MAX_NOTE = 1024  # bytes of an event's note: the API server refuses a longer one, and calls them characters


def status_of(tournament: Mapping[str, Any]) -> TournamentStatus:
    """The status that an object carries. What this version does not understand counts as absent."""
    try:
        return TournamentStatus.model_validate_json(json.dumps(tournament.get("status") or {}), extra="ignore")
    except ValidationError:
        return TournamentStatus()


def status_object(tournament: Mapping[str, Any], status: TournamentStatus) -> dict[str, Any]:
    """A Tournament with nothing but its status, to be applied."""
    meta = tournament["metadata"]
    return {
        "apiVersion": tournament["apiVersion"],
        "kind": tournament["kind"],
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "status": status.model_dump(mode="json", exclude_none=True),
    }


def event_object(tournament: Mapping[str, Any], event: Event, moment: datetime) -> dict[str, Any]:
    """An event as `events.k8s.io/v1` has it.

    Args:
        tournament: the object that it is about.
        event: what has happened.
        moment: when, in UTC.
    """
    meta = tournament["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name'][:50]}-", "namespace": meta["namespace"]},
        "eventTime": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": REPORTER,
        "reportingInstance": "tiltyard",
        "action": "Reconcile",
        "reason": event.reason,
        "type": "Warning" if event.warning else "Normal",
        "note": _note(event.message),
        "regarding": {
            "apiVersion": tournament["apiVersion"],
            "kind": tournament["kind"],
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
    }


def _note(message: str) -> str:
    """A message as an event takes it: its end is in the status' conditions."""
    data = message.encode()
    if len(data) <= MAX_NOTE:
        return message
    return data[: MAX_NOTE - len("…".encode())].decode(errors="ignore") + "…"
