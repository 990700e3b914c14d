"""What could not be done for a Tournament, from the first attempt until one succeeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

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


class _Refused(NamedTuple):
    """What could not be done, after how many attempts, and for lack of which kind of objects."""

    wait: Wait
    attempts: int
    lacking: Kind | None = None


@dataclass
class Refusals:
    """What could not be done at the last attempt, by what it is: refused, or waiting for something else.

    Args:
        generation: of the spec; an edit of it is tried at once.
    """

    generation: int
    _refused: dict[str, _Refused] = field(default_factory=dict)

    def __contains__(self, what: str) -> bool:
        return what in self._refused

    def add(
        self, what: str, status: int, message: str, lacking: Kind | None = None, *, after_seconds: float = 0.0
    ) -> None:
        """An attempt was refused; the kind of objects is lacking where the cluster does not serve it.

        One that was refused only after a while is worth a word at once: a webhook does not answer.
        """
        before = self._refused.get(what)
        lasts = status in FINAL or after_seconds >= PATIENCE_SECONDS
        attempts = (before.attempts if before is not None else 0) + (1 + MOMENTARY if lasts else 1)
        self._refused[what] = _Refused(Wait(WaitReason.REFUSED, message), attempts, lacking)

    def wait(self, what: str, why: Wait) -> None:
        """Something else has to be there first. It is worth a word at once."""
        self._refused[what] = _Refused(why, 1 + MOMENTARY)

    def drop(self, what: str) -> None:
        """An attempt succeeded."""
        self._refused.pop(what, None)

    def keep(self, plan: Plan, jobs: Iterable[JobRecord]) -> None:
        """Forget what is not to be done any more: it is not among `changes_of` these."""
        for what in set(self._refused).difference(changes_of(plan, jobs)):
            self.drop(what)

    def lacks(self, kind: Kind) -> bool:
        """Whether something was refused since the cluster does not serve a kind of objects."""
        return any(one.lacking == kind for one in self._refused.values())

    def waits(self) -> dict[str, Wait]:
        """Those worth a word."""
        return {what: one.wait for what, one in self._refused.items() if one.attempts > MOMENTARY}
