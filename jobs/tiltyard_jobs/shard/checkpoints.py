"""A part's work so far in the store, so that it outlives the machine that did it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import structlog

from tiltyard_jobs.contracts.layout import checkpoint_key, number_of_checkpoint
from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.shard.frames import HEADER, scan
from tiltyard_jobs.store.base import Store

CHUNK_BYTES = 8 << 20

log = structlog.get_logger(__name__)


class SavedRecord(NamedTuple):
    """A record from a chunk; an empty payload says that the row was forgotten."""

    row: int
    payload: bytes


class Checkpoints:
    """Numbered chunks of frames below one part's checkpoint prefix. A later chunk overrules an earlier one.

    They spare work and decide nothing: a chunk that is damaged is passed over, and what it held is asked again.

    Args:
        store: where they live.
        prefix: of the work on the part's inputs as they are.
        every: of all work on the part, which `delete` removes; absent: `prefix`.
    """

    def __init__(self, store: Store, prefix: str, every: str | None = None) -> None:
        self._store = store
        self._prefix = prefix
        self._every = prefix if every is None else every
        self._next = 0

    def read(self) -> Iterator[SavedRecord]:
        """All records in the order of their chunks; one chunk in memory at a time."""
        for info in self._store.list(self._prefix):
            number = number_of_checkpoint(info.key)
            if number is None:
                continue
            self._next = max(self._next, number + 1)
            try:
                chunk = self._store.get(info.key)
            except PermanentError:
                chunk = b""
            if chunk is None:  # deleted since the listing: the part was sealed by another
                continue
            yield from self._records(info.key, chunk)

    def write(self, frames: Iterable[bytes]) -> None:
        """Add chunks of about `CHUNK_BYTES`; none where there are no frames."""
        chunk = bytearray()
        for frame in frames:
            chunk += frame
            if len(chunk) >= CHUNK_BYTES:
                self._put(bytes(chunk))
                chunk.clear()
        if chunk:
            self._put(bytes(chunk))

    def delete(self) -> None:
        """Remove all chunks."""
        for info in list(self._store.list(self._every)):
            self._store.delete(info.key)

    def _put(self, chunk: bytes) -> None:
        # Another process may be at the same part (a node thought lost): each takes a number that is free.
        while not self._store.put_new(checkpoint_key(self._prefix, self._next), chunk):
            self._next += 1
        self._next += 1

    def _records(self, key: str, chunk: bytes) -> Iterator[SavedRecord]:
        end = 0
        for span in scan(io.BytesIO(chunk), len(chunk)):
            yield SavedRecord(span.row, chunk[span.offset + HEADER.size : span.end])
            end = span.end
        if end != len(chunk) or not chunk:
            log.warning("checkpoint damaged", key=key, bytes=len(chunk), good_bytes=end)
