"""What is told of a tournament: its status, written only where it says something new, and events of what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from tiltyard.api import Condition, ManifestError, TournamentStatus
from tiltyard.cluster.client import Object
from tiltyard.plan.observed import JobPhase, ModelPhase, Observed, PreflightPhase

REPORTER = "tiltyard.dev/operator"
MAX_NOTE = 1024
ETA_SLACK = 0.1  # of the time that is left: a smaller change is not worth a write

# Conditions whose change is an event, with the event's reason where it becomes true.
TOLD = {
    "Preflighted": "PreflightPassed",
    "DatasetReady": "DatasetReady",
    "Complete": "Complete",
    "Failed": "Failed",
    "Suspended": "Suspended",
}


GO_ON = (
    "To try again once that is mended, edit the spec, or set spec.suspend to true and back to false;"
    " what is made is kept"
)


class Event(NamedTuple):
    """Something to tell. `warning`: somebody should look."""

    reason: str
    note: str
    warning: bool = False


def worth_writing(before: TournamentStatus, after: TournamentStatus, now: float) -> TournamentStatus | None:
    """The status to write; None where it says nothing new. An ETA that moved a little keeps its place."""
    if before.eta is not None and after.eta is not None:
        left = abs(after.eta.timestamp() - now)
        if abs((after.eta - before.eta).total_seconds()) <= max(60.0, ETA_SLACK * left):
            after = after.model_copy(update={"eta": before.eta})
    return None if after == before else after


def events_of(before: TournamentStatus, after: TournamentStatus, observed: Observed) -> Iterator[Event]:
    """What changed between two states that is worth an event."""
    was = {condition.type: condition for condition in before.conditions}
    for condition in after.conditions:
        old = was.get(condition.type)
        if condition.type in TOLD and condition.status == "True" and (old is None or old.status != "True"):
            yield Event(TOLD[condition.type], condition.message or condition.type, condition.type == "Failed")
    if before.phase != after.phase and after.phase not in TOLD.values():
        yield Event("PhaseChanged", f"{after.phase}: {_message(after, 'Reconciling')}")
    states = {model.name: model.state for model in before.models}
    for model in after.models:
        if states.get(model.name) == model.state:
            continue
        if model.state == "Ready":
            yield Event("ModelReady", f"model {model.name} is ready at {model.url}")
        elif model.state == "Starting":
            again = states.get(model.name) == "Ready"
            words = "does not answer any more; its shards wait for it" if again else f"is starting (load {model.loads})"
            yield Event("ModelLost" if again else "ModelStarting", f"model {model.name} {words}", again)
        elif model.state == "Stopped":
            yield Event("ModelStopped", f"model {model.name} is stopped")
        elif model.state == "Failed":
            yield Event("ModelFailed", f"model {model.name}: {observed.models[model.name].message}", warning=True)


def troubles(observed: Observed) -> dict[str, str]:
    """What keeps work that is under way from going on, by what it keeps."""
    found = {
        f"model {n}": m.message for n, m in observed.models.items() if m.phase is ModelPhase.STARTING and m.message
    }
    at_work = {name: job for name, job in observed.jobs.items() if job.phase is JobPhase.ACTIVE}
    found |= {name: job.message for name, job in at_work.items() if job.message}
    if observed.preflight_message and observed.preflight is PreflightPhase.ACTIVE:
        found["preflight"] = observed.preflight_message
    return dict(sorted(found.items()))


def event_object(tournament: Object, event: Event, moment: datetime) -> dict[str, Any]:
    """An event as `events.k8s.io/v1` has it."""
    meta = tournament["metadata"]
    note = event.note if len(event.note) < MAX_NOTE else f"{event.note[: MAX_NOTE - 2]}…"
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
        "note": note,
        "regarding": {
            "apiVersion": tournament["apiVersion"],
            "kind": tournament["kind"],
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
    }


def refused(before: TournamentStatus, generation: int, error: ManifestError, now: float) -> TournamentStatus:
    """The status of a manifest that cannot run: what is wrong with it, in the sentences of `tiltyard validate`."""
    message = "; ".join(str(problem) for problem in error.problems)
    moment = datetime.fromtimestamp(int(now), UTC)
    old = {condition.type: condition for condition in before.conditions}

    def condition(kind: str, status: str) -> Condition:
        same = old.get(kind)
        since = same.last_transition_time if same is not None and same.status == status else moment
        return Condition(
            type=kind,
            status=status,  # type: ignore[arg-type]
            reason="Invalid",
            message=message,
            last_transition_time=since,
            observed_generation=generation,
        )

    told = {"Accepted": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    rest = [c for c in before.conditions if c.type not in told]
    conditions = (*(condition(kind, status) for kind, status in told.items()), *rest)
    return before.model_copy(
        update={"observed_generation": generation, "phase": "Invalid", "eta": None, "conditions": conditions}
    )


def tell_how_to_go_on(status: TournamentStatus) -> TournamentStatus:
    """The status of a failed tournament with what to do once the reason is mended."""
    conditions = tuple(
        c.model_copy(update={"message": f"{c.message[:32000].rstrip('.')}. {GO_ON}"})
        if c.type == "Stalled" and c.status == "True"
        else c
        for c in status.conditions
    )
    return status.model_copy(update={"conditions": conditions})


def tell_troubles(status: TournamentStatus, found: dict[str, str]) -> TournamentStatus:
    """The status with what keeps the work from going on, beside what is done."""
    if not found:
        return status
    words = "; ".join(f"{what}: {why}" for what, why in found.items())
    conditions = tuple(
        c.model_copy(update={"message": f"{c.message}; waiting: {words}"[:32768]})
        if c.type in ("Ready", "Reconciling")
        else c
        for c in status.conditions
    )
    return status.model_copy(update={"conditions": conditions})


def tell_warnings(status: TournamentStatus, warnings: Sequence[str]) -> TournamentStatus:
    """The status of a manifest that is valid, with what its author should know all the same."""
    if not warnings:
        return status
    conditions = tuple(
        c.model_copy(update={"message": f"{c.message}; {'; '.join(warnings)}"[:32768]}) if c.type == "Accepted" else c
        for c in status.conditions
    )
    return status.model_copy(update={"conditions": conditions})


def warnings_of(before: TournamentStatus, warnings: Sequence[str]) -> Iterator[Event]:
    """An event for each warning that was not told yet."""
    told = _message(before, "Accepted")
    for warning in warnings:
        if warning not in told:
            yield Event("TooLarge", warning, warning=True)


def status_of(tournament: Object) -> TournamentStatus:
    """The status that an object carries. What this version does not understand counts as absent."""
    try:
        return TournamentStatus.model_validate_json(json.dumps(tournament.get("status") or {}), extra="ignore")
    except ValidationError:
        return TournamentStatus()


def is_complete(status: TournamentStatus, run: str) -> bool:
    """Whether the run that the manifest asks for is complete. That is final: no child is ever made again for it."""
    complete = any(condition.type == "Complete" and condition.status == "True" for condition in status.conditions)
    return complete and status.run == run


def status_object(tournament: Object, status: TournamentStatus) -> dict[str, Any]:
    """A Tournament with nothing but its status, to be applied."""
    meta = tournament["metadata"]
    return {
        "apiVersion": tournament["apiVersion"],
        "kind": tournament["kind"],
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "status": status.model_dump(mode="json", exclude_none=True),
    }


def _message(status: TournamentStatus, kind: str) -> str:
    return next((condition.message for condition in status.conditions if condition.type == kind), "")
