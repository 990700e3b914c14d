"""The journal of one index: what is done already of the parts that it makes.

Each part has a log of its own, so that a part finds its work again whichever index it comes back in.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from tiltyard_jobs.shard.checkpoints import Checkpoints
from tiltyard_jobs.shard.recordlog import RecordLog, RowState


class PartLog(NamedTuple):
    """A part's log, and where its checkpoints lie; None where the local file is enough."""

    log: RecordLog
    checkpoints: Checkpoints | None = None


class Journal:
    """Finished records by (part, row), where `part` is the part's position in the index.

    A record survives the death of the process as soon as it is appended, and that of the machine once it is exported.
    `export` may run in a thread beside appends; everything else is for one thread.
    """

    def __init__(self, parts: Sequence[PartLog]) -> None:
        self._logs = [part.log for part in parts]
        self._checkpoints = [part.checkpoints for part in parts]
        self._unexported = [array("I", part.log) for part in parts]
        self._swap = threading.Lock()
        self.exports = any(self._checkpoints)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __contains__(self, key: tuple[int, int]) -> bool:
        part, row = key
        return row in self._logs[part]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """All (part, row) held, ascending."""
        return ((part, row) for part, log in enumerate(self._logs) for row in log)

    def append(self, part: int, row: int, payload: bytes) -> None:
        """Keep a finished record; see `RecordLog.append`."""
        self._logs[part].append(row, payload)
        self._changed(part, row)

    def get(self, part: int, row: int) -> bytes:
        """The payload of a record; see `RecordLog.get`."""
        return self._logs[part].get(row)

    def forget(self, part: int, row: int) -> None:
        """Take a record back, so that it is made again: now, and by any later attempt."""
        if row in self._logs[part]:
            self._logs[part].forget(row)
            self._changed(part, row)

    def done(self, part: int) -> int:
        """How many rows of the part are held."""
        return len(self._logs[part])

    def restore(self) -> None:
        """Take from the checkpoints the rows of which the local file knows nothing (another machine made them)."""
        for part, checkpoints in enumerate(self._checkpoints):
            if checkpoints is not None:
                self._unexported[part] = _restore(self._logs[part], checkpoints)

    def export(self) -> None:
        """Write what has changed since the last export to the checkpoints. On failure it stays to be exported."""
        for part, checkpoints in enumerate(self._checkpoints):
            if checkpoints is None:
                continue
            log = self._logs[part]
            with self._swap:
                rows, self._unexported[part] = self._unexported[part], array("I")
            try:
                checkpoints.write(log.frame(row) for row in rows)
            except BaseException:
                with self._swap:
                    self._unexported[part] = rows + self._unexported[part]
                raise

    def discard(self, part: int) -> None:
        """Delete the checkpoints of a part that is sealed. Its log goes with its folder."""
        checkpoints = self._checkpoints[part]
        if checkpoints is not None:
            checkpoints.delete()

    def close(self) -> None:
        """Close the logs; the files stay."""
        for log in self._logs:
            log.close()

    def _changed(self, part: int, row: int) -> None:
        if self.exports:
            with self._swap:
                self._unexported[part].append(row)


def _restore(log: RecordLog, checkpoints: Checkpoints) -> array[int]:
    """Complete `log` from the checkpoints; returns the rows that they lack, or know otherwise."""
    local = [log.state(row) for row in range(log.span)]
    saved = bytearray(log.span)  # the state of each row as the checkpoints have it
    for record in checkpoints.read():
        if record.row >= len(saved):
            saved.extend(bytes(record.row + 1 - len(saved)))
        saved[record.row] = RowState.HELD if record.payload else RowState.FORGOTTEN
        if record.row >= len(local) or local[record.row] == RowState.ABSENT:
            if record.payload:
                log.append(record.row, record.payload)
            else:
                log.forget(record.row)
    return array("I", (row for row, state in enumerate(local) if state not in (RowState.ABSENT, saved[row])))
