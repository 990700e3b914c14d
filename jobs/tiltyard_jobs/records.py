"""A record's id, and the seed that follows from it: the same on any machine and in any order of work."""

from __future__ import annotations

import hashlib


def instruction_id(source_key: str, row: int) -> str:
    """The id of the instruction in row `row` of a mined (or read) artifact: 20 hex digits."""
    return hashlib.sha256(f"{source_key}/{row}".encode()).hexdigest()[:20]


def seed_of(*parts: str | int) -> int:
    """A seed from a record's identity: 31 bits, as servers accept; the same on any machine and in any order of work."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF
