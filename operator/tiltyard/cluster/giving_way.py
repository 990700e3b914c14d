"""Which tournament gives way to which: to one whose room it holds in vain, or one that writes where only one may."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tiltyard.cluster.cache import Caches
from tiltyard.observe.single_writer import is_single_writer, writer_in_front, writers
from tiltyard.observe.snapshot import Snapshot
from tiltyard.observe.standstill import STANDSTILL_SECONDS, hold_seconds, in_front, next_time, standstill_of
from tiltyard.plan.observed import Wait, WaitReason
from tiltyard.status.conditions import GIVES_WAY_MESSAGE, ONE_WRITER_MESSAGE, WRITERS_UNKNOWN_MESSAGE


class _Yield(NamedTuple):
    """A tournament gave its room to another: to which, when, and how often until now."""

    front: str
    since: float
    times: int


@dataclass
class GivingWay:
    """Who gives way to whom.

    Args:
        caches: of all tournaments and their pods.
    """

    caches: Caches
    _last: dict[str, _Yield] = field(default_factory=dict)  # by key

    def wait_of(self, key: str, snapshot: Snapshot, now: float) -> Wait | None:
        """Why a tournament gives way at this moment; None: it does not.

        Args:
            key: of the tournament.
            snapshot: likewise.
            now: seconds since the epoch.
        """
        if (wait := self._writer(key)) is not None:
            return wait
        if front := self._front(key, snapshot, now):
            return Wait(WaitReason.GIVES_WAY, GIVES_WAY_MESSAGE.format(other=front))
        return None

    def forget(self, key: str) -> None:
        """A tournament is gone."""
        self._last.pop(key, None)

    def _writer(self, key: str) -> Wait | None:
        record = self.caches.of(key).tournament(key)
        if record is None or not is_single_writer(record):
            return None
        if unknown := self.caches.unknown():
            return Wait(WaitReason.GIVES_WAY, WRITERS_UNKNOWN_MESSAGE.format(namespaces=", ".join(unknown)))
        active = writers(self.caches.pods(), self.caches.jobs())
        writer = writer_in_front(record, self.caches.tournaments(), active)
        return Wait(WaitReason.GIVES_WAY, ONE_WRITER_MESSAGE.format(other=writer)) if writer else None

    def _front(self, key: str, snapshot: Snapshot, now: float) -> str:
        last = self._last.get(key)
        if last is not None and now - last.since < hold_seconds(last.times) and not self._rests(last.front):
            return last.front
        standstill = standstill_of(snapshot)
        if standstill is None or now - standstill.since < STANDSTILL_SECONDS:
            return ""
        front = in_front(snapshot, standstill, self.caches.tournaments(), self.caches.pods(), now)
        if front:
            self._last[key] = _Yield(front, now, 1 if last is None else next_time(last.times, last.since, now))
        return front

    def _rests(self, key: str) -> bool:
        record = self.caches.of(key).tournament(key)
        return record is None or record.rests
