"""Every condition of a Tournament: types, reasons, messages, and when each is set. No other module makes one.

To add a condition: a type, its reason and message where no other fits, a function from a `Situation` to its
`Statement`, and a row of `CONDITIONS`, whose meaning users read in docs/cluster.md (`hack/generate_tables.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, NamedTuple

from tiltyard.api import Condition, Problem
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import ModelPhase, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Plan, TournamentState
from tiltyard.plan.weights import bytes_text
from tiltyard_jobs.contracts.recipe import Milestone
from tiltyard_jobs.contracts.recipes import RECIPES

# Types; `CONDITIONS` says what they mean. Milestones: they become True once, and are never negative.
ACCEPTED: Final = "Accepted"
PREFLIGHTED: Final = "Preflighted"
DATASET_READY: Final = "DatasetReady"
# Trained, Evaluated: `MILESTONE` of a stage's recipe.
# Ends, as a Job has them.
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
# What holds it up.
WAITING: Final = "Waiting"
# What kstatus, Flux and Argo CD read.
READY: Final = "Ready"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"

# Reasons. The ends, Ready, Reconciling, Stalled and DatasetReady have `Plan.phase` as theirs, which is also
# status.phase: Preflight, Mining, Judging …, Complete, Failed or Suspended.
VALID: Final = "Valid"  # of Accepted, True
INVALID: Final = "Invalid"  # of Accepted, Suspended, Ready, Reconciling, Stalled: the spec cannot run; also the phase
PREFLIGHT: Final = {  # of Preflighted: how far preflight is
    PreflightPhase.PENDING: "PreflightPending",
    PreflightPhase.ACTIVE: "PreflightActive",
    PreflightPhase.PASSED: "PreflightPassed",
    PreflightPhase.FAILED: "PreflightFailed",
}
MADE: Final = "Made"  # of a stage's milestone, True: all artifacts of the milestone are there
NOT_YET: Final = "NotYet"  # of a stage's milestone, False: at least one is missing

NOTHING_WAITS: Final = "NothingWaits"  # of Waiting, False; True has a `WaitReason`: of what waits, the first of these

# Messages. Those of the ends, Ready, Reconciling and Stalled begin with `Plan.message`.
ACCEPTED_MESSAGE: Final = "the manifest is valid"
# Behind what is wrong with a spec whose suspend is true.
INVALID_SUSPENDED_MESSAGE: Final = "spec.suspend is true: its Jobs and models are stopped"
INVALID_STOPPING_MESSAGE: Final = "spec.suspend is true: its Jobs and models are being stopped"
INVALID_RUNNING_MESSAGE: Final = "spec.suspend is true, and not everything could be stopped: {refused}"
PREFLIGHT_MESSAGES: Final = {  # where preflight itself has said nothing
    PreflightPhase.PENDING: "preflight has not started",
    PreflightPhase.ACTIVE: "preflight is in progress",
    PreflightPhase.PASSED: "preflight has passed",
    PreflightPhase.FAILED: "preflight has failed",
}
NOT_YET_MESSAGE: Final = "{made} of {all} bundles are complete"
WAITING_MESSAGE: Final = "{message}; waiting: {waits}"  # of Ready and Reconciling, while something waits
WAITS_MESSAGE: Final = "{what}: {why}"  # of Waiting, and in WAITING_MESSAGE: one of them
WEIGHTS_MESSAGE: Final = "{message}; weights: {there} of {all} models are there, {size}"  # of Reconciling
GIVES_WAY_MESSAGE: Final = (
    "this tournament and {other}, which was created before it, each held resources and waited for more: this one has"
    " released its own, and starts again automatically once {other} has ended, or after a while; add nodes, or lower"
    " serving.maxActive"
)
ONE_WRITER_MESSAGE: Final = (
    "spec.output.s3.singleWriter is true, and tournament {other} writes below the same URI: this one starts once that"
    " one has ended; suspend or delete one of them, or give it another URI"
)
WRITERS_UNKNOWN_MESSAGE: Final = (
    "spec.output.s3.singleWriter is true, and the operator has not seen yet which tournaments of namespace {namespaces}"
    " write below the same URI; if this does not change, the operator's log says what it may not read there"
)
NOTHING_WAITS_MESSAGE: Final = "nothing waits for anything outside of the tournament"
RETRY_MESSAGE: Final = (  # of Stalled, True, on a cluster
    "{message}. To retry after fixing the cause, edit the spec, or set spec.suspend to true and back to false;"
    " complete artifacts are reused"
)
MAX_MESSAGE: Final = 32768  # characters; as metav1.Condition has it
RETRY_ROOM: Final = 768  # of them, kept for RETRY_MESSAGE's own


@dataclass(frozen=True)
class Situation:
    """What conditions are derived from.

    Attributes:
        graph: of the manifest.
        observed: what was seen.
        plan: what was decided upon it.
        waits: why something that is to start or under way waits, by what it is.
        warnings: what the author of a valid manifest should know.
        retry: a failure is left by an edit of the spec: Stalled says so.
        weights: sizes of the weights that are known to be there, where the tournament keeps them.
        kept: how many models have weights that it keeps.
    """

    graph: Graph
    observed: Observed
    plan: Plan
    waits: Mapping[str, Wait] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    retry: bool = False
    weights: Sequence[int] = ()
    kept: int = 0


@dataclass(frozen=True)
class Halt:
    """What has come of it that a Tournament was suspended whose spec cannot run.

    Attributes:
        models: those that were asked to stop: Stopping, or Stopped once their pods are gone.
        ended: no pod is left running.
        refused: what could not be stopped, and why.
    """

    models: Mapping[str, ModelPhase]
    ended: bool
    refused: Sequence[str] = ()

    @property
    def message(self) -> str:
        """Said behind what is wrong with the spec."""
        if self.refused:
            return INVALID_RUNNING_MESSAGE.format(refused="; ".join(self.refused))
        return INVALID_SUSPENDED_MESSAGE if self.ended else INVALID_STOPPING_MESSAGE


class Statement(NamedTuple):
    """What a condition says."""

    status: bool
    reason: str
    message: str


NO_WAIT: Final = Statement(False, NOTHING_WAITS, NOTHING_WAITS_MESSAGE)  # of Waiting


def conditions_of(
    situation: Situation, generation: int | None, now: float, before: Sequence[Condition] = ()
) -> tuple[Condition, ...]:
    """The conditions of a Tournament that is valid.

    Args:
        situation: what they follow from.
        generation: of the spec.
        now: seconds since the epoch.
        before: the conditions until now: one whose status stays keeps the time of its last transition.
    """
    statements = {
        kind: statement for kind, rule in CONDITIONS.items() if (statement := rule.states(situation)) is not None
    }
    return _dated(statements, generation, now, before)


def conditions_of_invalid(
    problems: Iterable[Problem], generation: int, now: float, before: Sequence[Condition], halt: Halt | None
) -> tuple[Condition, ...]:
    """The conditions of a Tournament whose spec cannot run; what else is known of it stays.

    Args:
        problems: what is wrong with the spec.
        generation: of the spec.
        now: seconds since the epoch.
        before: the conditions until now.
        halt: what `spec.suspend` has stopped all the same; None: it is not set.
    """
    words = [str(problem) for problem in problems]
    message = "; ".join(words if halt is None else [*words, halt.message])
    suspended = halt is not None and not halt.refused
    statuses = {ACCEPTED: False, SUSPENDED: suspended, READY: False, RECONCILING: False, STALLED: True}
    statements = {kind: Statement(status, INVALID, message) for kind, status in statuses.items()}
    if suspended:
        statements[WAITING] = NO_WAIT
    return (*_dated(statements, generation, now, before), *(one for one in before if one.type not in statements))


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of a type; None: there is none."""
    return next((condition for condition in conditions if condition.type == kind), None)


def find_true(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of a type; None: there is none, or it is not True."""
    found = find(conditions, kind)
    return found if found is not None and found.status == "True" else None


def _accepted(situation: Situation) -> Statement:
    return Statement(True, VALID, "; ".join((ACCEPTED_MESSAGE, *situation.warnings)))


def _preflighted(situation: Situation) -> Statement:
    phase = situation.observed.preflight
    wait = situation.observed.preflight_wait
    message = situation.observed.preflight_message or (wait.message if wait is not None else "")
    message = message or PREFLIGHT_MESSAGES[phase]
    return Statement(phase is PreflightPhase.PASSED, PREFLIGHT[phase], message)


def _dataset_ready(situation: Situation) -> Statement:
    uri = situation.observed.outputs.get("dataset")
    return Statement(uri is not None, situation.plan.phase, situation.plan.message if uri is None else uri)


def _milestone(stage: str, milestone: Milestone, situation: Situation) -> Statement | None:
    """All artifacts of a stage are there; None: the manifest does not ask for the stage."""
    bundles = [bundle for bundle in situation.graph.bundles if bundle.stage == stage]
    if not bundles:
        return None
    made = sum(bundle.complete(situation.observed.done) for bundle in bundles)
    if made == len(bundles):
        return Statement(True, MADE, milestone.message)
    return Statement(False, NOT_YET, NOT_YET_MESSAGE.format(made=made, all=len(bundles)))


def _stands_at(state: TournamentState, situation: Situation) -> Statement:
    """Where the tournament stands is this."""
    return Statement(situation.plan.state is state, situation.plan.phase, situation.plan.message)


def _waiting(situation: Situation) -> Statement:
    """What waits, and why."""
    reasons = {wait.reason for wait in situation.waits.values()}
    first = next((reason for reason in WaitReason if reason in reasons), None)
    return NO_WAIT if first is None else Statement(True, first.value, _all_waits(situation))


def _all_waits(situation: Situation) -> str:
    return "; ".join(WAITS_MESSAGE.format(what=what, why=wait.message) for what, wait in situation.waits.items())


def _stands_or_waits(state: TournamentState, situation: Situation) -> Statement:
    """As `_stands_at`; the message also says what waits, and why."""
    statement = _stands_at(state, situation)
    if statement.status and situation.weights and state is TournamentState.RUNNING:
        size, there = bytes_text(sum(situation.weights)), len(situation.weights)
        message = WEIGHTS_MESSAGE.format(message=statement.message, there=there, all=situation.kept, size=size)
        statement = statement._replace(message=message)
    if not situation.waits:
        return statement
    message = WAITING_MESSAGE.format(message=statement.message, waits=_all_waits(situation))
    return statement._replace(message=message)


def _stalled(situation: Situation) -> Statement:
    statement = _stands_at(TournamentState.FAILED, situation)
    if not statement.status or not situation.retry:
        return statement
    why = statement.message[: MAX_MESSAGE - RETRY_ROOM].rstrip(".")
    return statement._replace(message=RETRY_MESSAGE.format(message=why))


class Rule(NamedTuple):
    """When a condition is set.

    Attributes:
        meaning: of `True`.
        states: what the condition says of a situation; None leaves it out.
    """

    meaning: str
    states: Callable[[Situation], Statement | None]


CONDITIONS: Final[Mapping[str, Rule]] = {
    ACCEPTED: Rule("the spec is valid, and this release can run it here", _accepted),
    PREFLIGHTED: Rule("the store, Secrets, files and endpoints of this spec were checked", _preflighted),
    DATASET_READY: Rule("the training data is in the bucket", _dataset_ready),
    **{
        recipe.MILESTONE.condition: Rule(
            f"{recipe.MILESTONE.message}; a condition only where the manifest asks for it",
            partial(_milestone, stage, recipe.MILESTONE),
        )
        for stage, recipe in RECIPES.items()
        if recipe.MILESTONE is not None
    },
    COMPLETE: Rule("every artifact is there; final for this run", partial(_stands_at, TournamentState.COMPLETE)),
    FAILED: Rule(
        "nothing continues until the spec is edited, or suspended and resumed",
        partial(_stands_at, TournamentState.FAILED),
    ),
    SUSPENDED: Rule("`spec.suspend` has stopped the Jobs and models", partial(_stands_at, TournamentState.SUSPENDED)),
    WAITING: Rule("something that is to start cannot, and nothing has failed; its message says what and why", _waiting),
    READY: Rule("as `Complete`", partial(_stands_or_waits, TournamentState.COMPLETE)),
    RECONCILING: Rule(
        "work is under way; its last transition is when the work began",
        partial(_stands_or_waits, TournamentState.RUNNING),
    ),
    STALLED: Rule("as `Failed`, or the spec is invalid", _stalled),
}
"""Each condition by its type, in the order of `status.conditions`."""


def _dated(
    statements: Mapping[str, Statement], generation: int | None, now: float, before: Sequence[Condition]
) -> tuple[Condition, ...]:
    """Conditions with the time of their last transition: now, where the status changes."""
    moment = datetime.fromtimestamp(int(now), UTC)
    dated = []
    for kind, statement in statements.items():
        status, old = _word(statement.status), find(before, kind)
        dated.append(
            Condition(
                type=kind,
                status=status,
                reason=statement.reason,
                message=statement.message[:MAX_MESSAGE],
                last_transition_time=old.last_transition_time if old is not None and old.status == status else moment,
                observed_generation=generation,
            )
        )
    return tuple(dated)


def _word(status: bool) -> Literal["True", "False"]:
    return "True" if status else "False"
