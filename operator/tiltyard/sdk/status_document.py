"""The document of `tiltyard status` and `tiltyard run`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime

from tiltyard.api import TournamentStatus
from tiltyard.render.names import MANAGER
from tiltyard.sdk.documents import API_VERSION, Spending
from tiltyard.status.held import seconds_up
from tiltyard.status.objects import status_of

_ENDS = {"Complete", "Failed", "Suspended"}

Activity = Literal["Running", "Interrupted", "Ended"]


class Status(TournamentStatus):
    """`tiltyard status` and `tiltyard run`: the Tournament's status, and whether a process works on it."""

    api_version: Literal["cli.tiltyard.dev/v1alpha1"] = API_VERSION
    """The version of the document's schema."""
    kind: Literal["Status"] = "Status"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    activity: Activity
    """Running: a process works on it. Interrupted: none does, and the run has not ended. Ended: the run is complete,
    has failed or is suspended."""
    wrong_input: bool = False
    """Whether the run failed because of what it was given (the manifest, a file, an endpoint): it fails again until
    that changes. Always false on a cluster."""
    generation: int | None = None
    """The generation of the Tournament's spec: above `observedGeneration`, the operator has not acted on the last edit.
    Absent on one machine."""
    written: AwareDatetime | None = None
    """When the operator last changed the status. Absent on one machine."""
    spending: Spending | None = None
    """What the run took, beside what was planned, by the prices that `tiltyard status` was given. Absent on a cluster,
    whose `usage` has both, of `tiltyard run`, and of each change but the last that `--watch` prints."""


def status_document(
    status: TournamentStatus, name: str, *, at_work: bool, written: float = 0.0, wrong_input: bool = False
) -> Status:
    """A status as a document.

    Args:
        status: as it was written last.
        name: of the tournament.
        at_work: whether a process is working on it now.
        written: where none is: when it was written, in seconds since the epoch.
        wrong_input: whether a failure is of what the run was given.
    """
    ends = {condition.type for condition in status.conditions if condition.status == "True"} & _ENDS
    activity: Activity = "Ended" if ends else "Running" if at_work else "Interrupted"
    if not at_work:
        status = _at_rest(status, written)
    fields = {field: getattr(status, field) for field in TournamentStatus.model_fields}
    return Status(tournament=name, activity=activity, wrong_input=wrong_input and "Failed" in ends, **fields)


def cluster_status_document(tournament: Mapping[str, Any]) -> Status:
    """The document of a Tournament of a cluster, of which nothing but the object itself is known.

    Args:
        tournament: the object, as the API server gives it.
    """
    meta = tournament["metadata"]
    writes = (
        entry["time"]
        for entry in meta.get("managedFields", ())
        if entry["manager"] == MANAGER and entry.get("subresource") == "status" and "time" in entry
    )
    written = max(map(datetime.fromisoformat, writes), default=None)
    document = status_document(status_of(tournament), meta["name"], at_work=True)
    return document.model_copy(update={"generation": meta.get("generation"), "written": written})


def _at_rest(status: TournamentStatus, written: float) -> TournamentStatus:
    """A status that nobody will write again: what it said of the moment in which it was written holds no more.

    A model was up until then, as far as anybody knows.
    """
    gone = {"activity": None, "asking": None, "url": None, "up_since": None}
    models = (
        one.model_copy(
            update=gone
            | {
                "state": "Failed" if one.state == "Failed" else "Stopped",
                "up_seconds": round(seconds_up(one, written)),
            }
        )
        for one in status.models
    )
    stages = (
        one.model_copy(
            update={
                "state": "Pending" if one.state == "Running" else one.state,
                "shards": one.shards.model_copy(update={"active": 0}),
                "records_per_second": None,
                "asking": None,
            }
        )
        for one in status.stages
    )
    usage = {"prompt_tokens_per_second": None, "completion_tokens_per_second": None}
    return status.model_copy(
        update={
            "eta": None,
            "step": None,
            "stages": tuple(stages),
            "models": tuple(models),
            "usage": status.usage.model_copy(update=usage) if status.usage is not None else None,
        }
    )
