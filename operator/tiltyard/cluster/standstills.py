"""Tournaments that stand still: which of them give their room back, and for how long they leave it to others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tiltyard.cluster.cache import Caches
from tiltyard.observe.snapshot import Snapshot
from tiltyard.observe.standstill import STANDSTILL_SECONDS, hold_seconds, in_front, standstill_of
from tiltyard.plan.planner import TournamentState
from tiltyard.status.conditions import INVALID
from tiltyard.status.objects import status_of

RESTS = frozenset({*TournamentState, INVALID}) - {TournamentState.RUNNING}
"""Phases of a tournament that wants no room."""


class _Yield(NamedTuple):
    """A tournament gave way: to which, when, and the how-manieth time."""

    front: str
    since: float
    times: int


@dataclass
class Standstills:
    """Those that have given way.

    Args:
        caches: of all tournaments and their pods.
    """

    caches: Caches
    _last: dict[str, _Yield] = field(default_factory=dict)  # by key

    def front_of(self, key: str, snapshot: Snapshot, now: float) -> str:
        """The tournament to which this one gives way at this moment; empty: it does not.

        Args:
            key: of the tournament.
            snapshot: likewise.
            now: seconds since the epoch.
        """
        last = self._last.get(key)
        if last is not None and now - last.since < hold_seconds(last.times) and not self._rests(last.front):
            return last.front
        standstill = standstill_of(snapshot)
        if standstill is None or now - standstill.since < STANDSTILL_SECONDS:
            return ""
        front = in_front(snapshot, standstill, self.caches.tournaments(), self.caches.pods(), now)
        if front:
            self._last[key] = _Yield(front, now, last.times + 1 if last is not None else 1)
        return front

    def forget(self, key: str) -> None:
        """A tournament is gone."""
        self._last.pop(key, None)

    def _rests(self, key: str) -> bool:
        record = self.caches.of(key).tournament(key)
        return record is None or status_of(record.document).phase in RESTS
