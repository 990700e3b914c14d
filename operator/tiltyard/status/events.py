"""Every event of a Tournament: reasons, messages, and when each is written. No other module makes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tiltyard.api import ModelStatus, TournamentStatus
from tiltyard.plan.observed import Observed, Wait, WaitReason
from tiltyard.plan.planner import TournamentState
from tiltyard.status import conditions

# Reasons of events about the tournament; `EVENTS` says what they mean.
PREFLIGHT_PASSED: Final = "PreflightPassed"
DATASET_READY: Final = "DatasetReady"
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
PHASE_CHANGED: Final = "PhaseChanged"
TOO_LARGE: Final = "TooLarge"
NO_MEMORY: Final = "NoMemory"
NO_GPU: Final = "NoGpu"
KSERVE_UNSUPPORTED: Final = "KServeUnsupported"
WAITING: Final = "Waiting"
REFUSED: Final = "Refused"
DOWNLOADING: Final = "Downloading"
QUEUED: Final = "Queued"
GIVES_WAY: Final = "GivesWay"
# Reasons of events about one model.
MODEL_STARTING: Final = "ModelStarting"
MODEL_READY: Final = "ModelReady"
MODEL_LOST: Final = "ModelLost"
MODEL_STOPPED: Final = "ModelStopped"
MODEL_FAILED: Final = "ModelFailed"


class Kind(NamedTuple):
    """Events of one reason.

    Attributes:
        meaning: what has happened.
        warning: they are of type Warning: somebody should act. All others are Normal.
    """

    meaning: str
    warning: bool = False


_SAME_NAME: Final = "the condition of the same name has become `True`"

EVENTS: Final[Mapping[str, Kind]] = {
    PREFLIGHT_PASSED: Kind("the condition `Preflighted` has become `True`"),
    DATASET_READY: Kind(_SAME_NAME),
    COMPLETE: Kind(_SAME_NAME),
    FAILED: Kind(_SAME_NAME, warning=True),
    SUSPENDED: Kind(_SAME_NAME),
    PHASE_CHANGED: Kind("another stage is running"),
    TOO_LARGE: Kind("a spec was accepted though one of its pods asks for more than any node has", warning=True),
    NO_MEMORY: Kind("a spec was accepted though one of its pods asks for GPUs and no memory", warning=True),
    NO_GPU: Kind(
        "a spec was accepted though a model is trained on the CPU, or served on it by a pod that holds GPUs",
        warning=True,
    ),
    KSERVE_UNSUPPORTED: Kind("a spec was accepted though the installed KServe is too old", warning=True),
    WAITING: Kind("a Job or a model cannot go on: its pod fits no node, does not start, or stays", warning=True),
    REFUSED: Kind("a Job or a model cannot be made, or its pods: a quota, a policy, a webhook", warning=True),
    DOWNLOADING: Kind("nodes do not have a model's weights yet"),
    QUEUED: Kind("a queue has not admitted a Job"),
    GIVES_WAY: Kind(
        "the tournament gives way to another one, which needs the resources that it holds, or writes where only one may"
    ),
    MODEL_STARTING: Kind("a model was started"),
    MODEL_READY: Kind("a model answers"),
    MODEL_LOST: Kind("a model answered and does not any more", warning=True),
    MODEL_STOPPED: Kind("a model's pods are gone"),
    MODEL_FAILED: Kind("a model was not ready in time", warning=True),
}
"""Every event by its reason; users read it in docs/cluster.md (`hack/generate_tables.py`)."""

ON_CONDITION: Final[Mapping[str, str]] = {
    conditions.PREFLIGHTED: PREFLIGHT_PASSED,
    conditions.DATASET_READY: DATASET_READY,
    conditions.COMPLETE: COMPLETE,
    conditions.FAILED: FAILED,
    conditions.SUSPENDED: SUSPENDED,
}
"""Conditions whose becoming True is an event, with the event's reason. Its message is the condition's."""

ON_WAIT: Final[Mapping[WaitReason, str]] = {
    WaitReason.REFUSED: REFUSED,
    WaitReason.NOT_STARTING: WAITING,
    WaitReason.NOT_ENDING: WAITING,
    WaitReason.UNSCHEDULABLE: WAITING,
    WaitReason.DOWNLOADING: DOWNLOADING,
    WaitReason.QUEUED: QUEUED,
    WaitReason.GIVES_WAY: GIVES_WAY,
}
"""Why something waits, with the reason of its event. Its message is that of the wait."""

_ENDS: Final = frozenset({TournamentState.COMPLETE, TournamentState.FAILED, TournamentState.SUSPENDED})
"""Phases that have their condition's event and no PhaseChanged."""

# Messages; those that are not here are the condition's.
PHASE_CHANGED_MESSAGE: Final = "{phase}: {message}"
MODEL_STARTING_MESSAGE: Final = "model {name} is starting (load {loads})"
MODEL_READY_MESSAGE: Final = "model {name} is ready at {url}"
MODEL_LOST_MESSAGE: Final = "model {name} no longer answers; its shards wait for it"
MODEL_STOPPED_MESSAGE: Final = "model {name} has stopped"
MODEL_FAILED_MESSAGE: Final = "model {name}: {why}"


class Event(NamedTuple):
    """An event.

    Attributes:
        reason: one of the constants above.
        message: a sentence.
    """

    reason: str
    message: str

    @property
    def warning(self) -> bool:
        """Whether it is of type Warning."""
        return EVENTS[self.reason].warning


def events_of(
    before: TournamentStatus,
    after: TournamentStatus,
    observed: Observed,
    *,
    warnings: Sequence[Event] = (),
    waiting: Mapping[str, Wait] | None = None,
) -> Iterator[Event]:
    """What has changed between two states that is worth an event.

    Args:
        before: the status until now.
        after: the status that takes its place.
        observed: what it was made of.
        warnings: what the author of a valid manifest should know; reported once for each generation of the spec.
        waiting: waits that were not reported yet, by what waits.
    """
    yield from _condition_events(before, after)
    if before.phase != after.phase and after.phase not in _ENDS:
        reconciling = conditions.find(after.conditions, conditions.RECONCILING)
        message = "" if reconciling is None else reconciling.message
        yield Event(PHASE_CHANGED, PHASE_CHANGED_MESSAGE.format(phase=after.phase, message=message))
    yield from _models_events(before, after, observed)
    accepted = conditions.find_true(before.conditions, conditions.ACCEPTED)
    if accepted is None or accepted.observed_generation != after.observed_generation:
        yield from warnings
    for what, wait in (waiting or {}).items():
        yield Event(ON_WAIT[wait.reason], conditions.WAITS_MESSAGE.format(what=what, why=wait.message))


def events_of_invalid(before: TournamentStatus, after: TournamentStatus) -> Iterator[Event]:
    """What has changed of a Tournament whose spec cannot run: that it is suspended, and models with it.

    Args:
        before: the status until now.
        after: the status that takes its place.
    """
    yield from _condition_events(before, after)
    yield from _models_events(before, after, Observed())


def _condition_events(before: TournamentStatus, after: TournamentStatus) -> Iterator[Event]:
    for condition in after.conditions:
        reason = ON_CONDITION.get(condition.type)
        became_true = condition.status == "True" and not conditions.find_true(before.conditions, condition.type)
        if reason is not None and became_true:
            yield Event(reason, condition.message or condition.type)


def _models_events(before: TournamentStatus, after: TournamentStatus, observed: Observed) -> Iterator[Event]:
    states = {model.name: model.state for model in before.models}
    for model in after.models:
        if states.get(model.name) != model.state:
            yield from _model_events(model, states.get(model.name), observed)


def _model_events(model: ModelStatus, before: str | None, observed: Observed) -> Iterator[Event]:
    """A model that is in another state than before; None: it was in none."""
    if model.state == "Ready":
        yield Event(MODEL_READY, MODEL_READY_MESSAGE.format(name=model.name, url=model.url))
    elif model.state == "Starting" and before == "Ready":
        yield Event(MODEL_LOST, MODEL_LOST_MESSAGE.format(name=model.name))
    elif model.state == "Starting":
        yield Event(MODEL_STARTING, MODEL_STARTING_MESSAGE.format(name=model.name, loads=model.loads))
    elif model.state == "Stopped":
        yield Event(MODEL_STOPPED, MODEL_STOPPED_MESSAGE.format(name=model.name))
    elif model.state == "Failed":
        why = observed.models[model.name].message
        yield Event(MODEL_FAILED, MODEL_FAILED_MESSAGE.format(name=model.name, why=why))
