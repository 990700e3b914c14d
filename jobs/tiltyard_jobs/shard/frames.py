"""The frame around a record, in a journal file and in a checkpoint chunk alike.

    crc32 (4 bytes, of all that follows) | row (4) | length (4) | payload

Little-endian. A reader stops at the first frame that is not whole: what was written before it is good, and nothing
after it can be trusted. A frame without payload says that the row was forgotten (no other payload is empty).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from zlib import crc32

HEADER = struct.Struct("<III")
MAX_ROW = 2**31 - 1
MAX_PAYLOAD = 2**32 - 1

_CHECKED = struct.Struct("<II")
_PIECE = 1 << 20


class FrameSpan(NamedTuple):
    """Where a whole frame lies: `offset` is that of its header, `length` that of its payload, in bytes."""

    row: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind the frame."""
        return self.offset + HEADER.size + self.length


def encode(row: int, payload: bytes) -> bytes:
    """The frame of one record."""
    checked = _CHECKED.pack(row, len(payload))
    return HEADER.pack(crc32(payload, crc32(checked)), row, len(payload)) + payload


def decode(frame: bytes) -> tuple[int, bytes] | None:
    """Row and payload of a whole frame; None where its checksum does not hold."""
    check, row, length = HEADER.unpack_from(frame)
    if len(frame) != HEADER.size + length or crc32(memoryview(frame)[4:]) != check:
        return None
    return row, frame[HEADER.size :]


def scan(file: BinaryIO, size: int) -> Iterator[FrameSpan]:
    """The whole frames from the start of a file of `size` bytes, up to the first that is not whole.

    Memory does not grow with the file, nor with a length that a damaged header claims.
    """
    offset = 0
    while offset + HEADER.size <= size:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        check, row, length = HEADER.unpack(header)
        if row > MAX_ROW or length > size - offset - HEADER.size:
            return
        found, left = crc32(header[4:]), length
        while left and (piece := file.read(min(left, _PIECE))):
            found, left = crc32(piece, found), left - len(piece)
        if left or found != check:
            return
        span = FrameSpan(row, offset, length)
        yield span
        offset = span.end
