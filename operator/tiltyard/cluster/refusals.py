"""What could not be done for a Tournament, from the first attempt until one succeeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tiltyard.observe.kinds import Kind
from tiltyard.observe.records import JobRecord
from tiltyard.observe.refusal import FINAL
from tiltyard.observe.snapshot import PATIENCE_SECONDS
from tiltyard.plan.observed import Wait, WaitReason
from tiltyard.plan.planner import Plan
from tiltyard.render.jobs import PREFLIGHT

MOMENTARY = 2
"""Attempts in a row at which an API server that is busy is not worth a word."""


def changes_of(plan: Plan, jobs: Iterable[JobRecord]) -> Iterator[str]:
    """What a plan starts and stops, and what may be changed with it, in the words of a status.

    Args:
        plan: what to do.
        jobs: those that are there.
    """
    yield from (f"model {name}" for name in plan.start_models)
    if plan.preflight:
        yield PREFLIGHT
    yield from (order.bundle.name for order in plan.start_jobs)
    yield from (f"stop of model {name}" for name in plan.stop_models)
    yield from (f"stop of {bundle}" for bundle in plan.stop_jobs)
    yield from (f"change of {job.bundle}" for job in jobs)


@dataclass
class Refusals:
    """What could not be done at the last attempt, by what it is: refused, or waiting for something else.

    Args:
        generation: of the spec; an edit of it is tried at once.
    """

    generation: int
    _waits: dict[str, Wait] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)
    _lacking: dict[str, Kind] = field(default_factory=dict)

    def __contains__(self, what: str) -> bool:
        return what in self._waits

    def add(
        self, what: str, status: int, message: str, lacking: Kind | None = None, *, after_seconds: float = 0.0
    ) -> None:
        """An attempt was refused; the kind of objects is lacking where the cluster does not serve it.

        One that was refused only after a while is worth a word at once: a webhook does not answer.
        """
        self._lacking.pop(what, None)
        if lacking is not None:
            self._lacking[what] = lacking
        lasts = status in FINAL or after_seconds >= PATIENCE_SECONDS
        self._attempts[what] = self._attempts.get(what, 0) + (1 + MOMENTARY if lasts else 1)
        self._waits[what] = Wait(WaitReason.REFUSED, message)

    def wait(self, what: str, why: Wait) -> None:
        """Something else has to be there first. It is worth a word at once."""
        self._attempts[what], self._waits[what] = 1 + MOMENTARY, why

    def drop(self, what: str) -> None:
        """An attempt succeeded."""
        self._waits.pop(what, None)
        self._attempts.pop(what, None)
        self._lacking.pop(what, None)

    def keep(self, plan: Plan, jobs: Iterable[JobRecord]) -> None:
        """Forget what is not to be done any more: it is not among `changes_of` these."""
        for what in set(self._waits).difference(changes_of(plan, jobs)):
            self.drop(what)

    def lacks(self, kind: Kind) -> bool:
        """Whether something was refused since the cluster does not serve a kind of objects."""
        return kind in self._lacking.values()

    def waits(self) -> dict[str, Wait]:
        """Those worth a word."""
        return {what: wait for what, wait in self._waits.items() if self._attempts[what] > MOMENTARY}
