"""How long served models were up in a run, from one status to the next.

The status is the only memory: of a model that is up it holds since when, and how long it was up before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from tiltyard.api import ModelStatus, TournamentStatus
from tiltyard.plan.observed import ModelPhase, Observed


def time_up(status: TournamentStatus, run: str, now: float) -> dict[str, float]:
    """Seconds that each model was up in a run, by its last status; nothing of another run counts."""
    if status.run != run:
        return {}
    return {model.name: seconds_up(model, now) for model in status.models if model.up_seconds or model.up_since}


def with_time_up(
    models: Iterable[ModelStatus], before: TournamentStatus | None, observed: Observed, now: float
) -> Iterator[ModelStatus]:
    """Models with the time that they were up.

    Args:
        models: without it.
        before: the status until now, of the same run; None: there is none.
        observed: what was seen, with `Observed.held`.
        now: seconds since the epoch.
    """
    known: Mapping[str, ModelStatus] = {} if before is None else {model.name: model for model in before.models}
    for model in models:
        seen, last = observed.models[model.name], known.get(model.name)
        # One that waits takes no GPU, unless a node holds a pod of it.
        is_free = seen.wait is not None and not seen.placed
        up = seen.phase in (ModelPhase.STARTING, ModelPhase.READY, ModelPhase.STOPPING) and not is_free
        if up and last is not None and last.up_since is not None:
            yield model.model_copy(update={"up_seconds": last.up_seconds, "up_since": last.up_since})
        else:
            since = datetime.fromtimestamp(round(now), UTC) if up else None
            yield model.model_copy(update={"up_seconds": round(observed.held.get(model.name, 0)), "up_since": since})


def with_halt(model: ModelStatus, phase: ModelPhase | None, now: float) -> ModelStatus:
    """A model of a tournament that is suspended; it is up until its pods are gone, when its phase is Stopped.

    Args:
        model: as it was.
        phase: Stopping or Stopped; None: it was not stopped.
        now: seconds since the epoch.
    """
    update: dict[str, object] = {"queued": None}
    if phase is not None:
        update |= {"state": phase.value, "activity": None, "asking": None, "url": None}
    if phase is ModelPhase.STOPPED:
        update |= {"up_seconds": round(seconds_up(model, now)), "up_since": None}
    return model.model_copy(update=update)


def seconds_up(model: ModelStatus, now: float) -> float:
    """Seconds that a model was up in its run, by its last status."""
    since = 0.0 if model.up_since is None else max(0.0, now - model.up_since.timestamp())
    return model.up_seconds + since
