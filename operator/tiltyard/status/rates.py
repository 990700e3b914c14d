"""How fast a run is: the growth of its counts over the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from tiltyard.api import StageStatus
from tiltyard_jobs.contracts.durations import seconds_left

WINDOW_SECONDS: Final = 60.0
_SHORTEST: Final = 2.0  # a rate over less says little
_BETWEEN: Final = 1.0  # two looks that are kept
_STALLED: Final = 30.0  # without any growth: from then on there is no pace to go by
_JUST_NOW: Final = 10.0  # since the last growth: longer than a shard takes to begin after another


class Rates:
    """Rates of counts that only grow."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque()
        self._last: tuple[float, Mapping[str, float]] | None = None

    def note(self, now: float, counts: Mapping[str, float]) -> None:
        """A look at the counts.

        Args:
            now: seconds from any start.
            counts: by name.
        """
        self._last = (now, counts)
        if not self._looks or now - self._looks[-1][0] >= _BETWEEN:
            self._looks.append(self._last)
        while len(self._looks) > 1 and now - self._looks[1][0] >= WINDOW_SECONDS:  # one that is older is the beginning
            self._looks.popleft()

    def of(self, name: str) -> float | None:
        """How much a count grows in a second; None: it does not, or nobody knows yet."""
        if self._last is None or (span := self._last[0] - self._looks[0][0]) < _SHORTEST:
            return None
        grown = self._last[1].get(name, 0) - self._looks[0][1].get(name, 0)
        return grown / span if grown > 0 else None

    def stalled(self, name: str) -> bool:
        """Whether a count has not grown for a while."""
        seconds = self._seconds_since_growth(name)
        return seconds is not None and seconds >= _STALLED

    def grew_just_now(self, name: str) -> bool:
        """Whether a count was seen to grow in the last seconds."""
        if self._last is None or all(seen.get(name, 0) >= self._last[1].get(name, 0) for _, seen in self._looks):
            return False
        seconds = self._seconds_since_growth(name)
        return seconds is None or seconds < _JUST_NOW

    def _seconds_since_growth(self, name: str) -> float | None:
        """How long a count has been what it is; None: nobody knows yet, or only the last look has seen it so."""
        if self._last is None:
            return None
        now, counts = self._last
        same = [moment for moment, seen in self._looks if seen.get(name, 0) >= counts.get(name, 0)]
        return now - same[0] if same else None


def stage_seconds_left(stage: StageStatus) -> float | None:
    """How long a stage's records take at its rate; None: none are left, or nobody knows."""
    if stage.records is None or stage.records_per_second is None:
        return None
    return seconds_left(stage.records.done, stage.records.total, float(stage.records_per_second))
