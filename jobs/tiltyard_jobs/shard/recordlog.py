"""The records of one part in a local file: appended as they finish, read back by row."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

from tiltyard_jobs.errors import TransientError
from tiltyard_jobs.shard.frames import HEADER, MAX_PAYLOAD, MAX_ROW, decode, encode, scan


class RowState(IntEnum):
    """What a log knows of a row."""

    ABSENT = 0  # never written
    HELD = 1
    FORGOTTEN = 2  # written, then taken back


class RecordLog:
    """An append-only file of framed records, and where each row's newest one lies.

    A record is with the operating system when `append` returns: it survives the death of the process at any moment.
    (It need not survive the machine's: there is no fsync, and checkpoints serve for that.) A tail that was torn is cut
    off on opening. In memory there are twelve bytes for each row up to the highest, and no payload.

    One process alone may have a log open: see `folders.PartFolder`. Reads may come from any thread, writes from one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._offsets = array("q")  # of the frame; -1 - state where the row is not held
        self._lengths = array("I")
        self._held = 0
        self._end = 0
        try:
            self._open()
        except BaseException:
            os.close(self._fd)
            raise

    def __len__(self) -> int:
        return self._held

    def __contains__(self, row: int) -> bool:
        return row < len(self._offsets) and self._offsets[row] >= 0

    def __iter__(self) -> Iterator[int]:
        """The rows held, ascending."""
        return (row for row, offset in enumerate(self._offsets) if offset >= 0)

    @property
    def span(self) -> int:
        """One more than the highest row ever written."""
        return len(self._offsets)

    def state(self, row: int) -> RowState:
        """What is known of `row`."""
        if row >= len(self._offsets):
            return RowState.ABSENT
        offset = self._offsets[row]
        return RowState.HELD if offset >= 0 else RowState(-1 - offset)

    def append(self, row: int, payload: bytes) -> None:
        """Write a record; a row that is held already is replaced.

        Raises:
            ValueError: an empty payload, or one of 4 GiB, or a row out of range.
            OSError: the disk is full, say. The file stays whole.
        """
        if not 0 < len(payload) <= MAX_PAYLOAD or not 0 <= row <= MAX_ROW:
            raise ValueError(f"row {row} with {len(payload)} bytes cannot be written")
        self._write(row, payload)

    def forget(self, row: int) -> None:
        """Take a record back, for good; no error where there is none."""
        if row in self:
            self._write(row, b"")

    def get(self, row: int) -> bytes:
        """The payload of a row.

        Raises:
            KeyError: the row is not held.
            TransientError: the file was damaged since it was opened; the next attempt drops what is damaged.
        """
        if row not in self:
            raise KeyError(row)
        size = HEADER.size + self._lengths[row]
        found = decode(os.pread(self._fd, size, self._offsets[row]))
        if found is None or found[0] != row:
            raise TransientError(f"The journal {self.path} was damaged while it was in use.")
        return found[1]

    def frame(self, row: int) -> bytes:
        """The row's newest frame, as a checkpoint carries it."""
        return encode(row, self.get(row) if row in self else b"")

    def close(self) -> None:
        """Close the file, which stays. Closing twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        size = os.fstat(self._fd).st_size
        with open(self._fd, "rb", closefd=False) as file:
            for span in scan(file, size):
                self._note(span.row, span.offset, span.length)
                self._end = span.end
        if self._end != size:
            os.ftruncate(self._fd, self._end)

    def _write(self, row: int, payload: bytes) -> None:
        # At an explicit offset: where a write fails half-way (a full disk) the next one overwrites what it left.
        frame = memoryview(encode(row, payload))
        written = 0
        while written < len(frame):
            written += os.pwrite(self._fd, frame[written:], self._end + written)
        self._note(row, self._end, len(payload))
        self._end += len(frame)

    def _note(self, row: int, offset: int, length: int) -> None:
        missing = row + 1 - len(self._offsets)
        if missing > 0:
            self._lengths.frombytes(bytes(missing * self._lengths.itemsize))
            self._offsets.extend(array("q", [-1 - RowState.ABSENT]) * missing)
        self._held += (length > 0) - (self._offsets[row] >= 0)
        self._lengths[row] = length
        self._offsets[row] = offset if length else -1 - RowState.FORGOTTEN
