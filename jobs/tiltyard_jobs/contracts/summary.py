"""What a shard tells its owner when it ends: small enough for a pod's termination message (4,096 bytes).

The worker writes it to `$TILTYARD_SUMMARY` (a pod: /dev/termination-log). The owner never reads the store.
"""

from __future__ import annotations

import base64
import zlib
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.reported import Number, Points, Seconds

MAX_BYTES = 4096
CUT = "… (cut: fix what is named so far, or see the worker's log)"


class Standing(Contract):
    """One row of the leaderboard, as small as it can be."""

    name: str
    rating: Points | None = None
    low: Points | None = None
    high: Points | None = None
    best_rank: Number | None = None
    worst_rank: Number | None = None
    gap: Points | None = None
    gap_low: Points | None = None
    gap_high: Points | None = None
    win_rate: Points | None = None
    answered: Points | None = None


class Agreement(Contract):
    """How far two runs agree, over the players and the instructions that both have.

    Attributes:
        players: in both.
        kendall: tau-b of the ratings, in [-1, 1]; None where one of them sees no difference.
        spearman: rank correlation of the ratings, likewise.
        same_leader: the same player is on top.
        gold_same: instructions with the same gold answer in both.
        gold_compared: instructions with a gold answer in both.
    """

    players: int
    kendall: float | None
    spearman: float | None
    same_leader: bool
    gold_same: int
    gold_compared: int


class Summary(Contract):
    """The end of a shard.

    Attributes:
        exit_code: see `contracts.exit_codes`.
        message: one sentence for people, empty when all is well.
        rows: rows in the parts made.
        reused: rows in the parts that were there already.
        fresh: records that this attempt has done, whatever became of them.
        voids: void rows by reason.
        seconds: time that the model was used.
        warnings: sentences for people about what did not end it.
        leaderboard: from the rate stage alone; top rows.
        notes: from the rate stage and the last one; a sentence for each thing that a reader of the results should know.
        outputs: URIs by name, from the last stages alone.
        instructions: one line: how many there are, how many are used, and why the others are not; from preflight and
            the last stage alone.
        longest_given: bytes of UTF-8 of the longest given instruction, with the turns before it; from preflight alone.
        done: preflight's bitmap, see `pack_bits`.
        agreement: from a comparison of two runs.
        weights: bytes of the weights that it was asked for, by model, as far as the hub says.
    """

    exit_code: int
    message: str = ""
    rows: Number = 0
    reused: Number = 0
    fresh: Number = 0
    voids: dict[str, Number] = Field(default_factory=dict)
    requests: Number = 0
    retries: Number = 0
    prompt_tokens: Number = 0
    cached_tokens: Number = 0
    completion_tokens: Number = 0
    seconds: Seconds = 0
    warnings: tuple[str, ...] = ()
    leaderboard: tuple[Standing, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: dict[str, str] = Field(default_factory=dict)
    instructions: str = ""
    longest_given: Number = 0
    done: str = ""
    agreement: Agreement | None = None
    weights: dict[str, Number] = Field(default_factory=dict)

    def to_message(self) -> str:
        """JSON of at most `MAX_BYTES` bytes of UTF-8.

        The leaderboard's tail gives way first, then the notes', the warnings' and the sentence's. The bitmap of a very
        large tournament, half made without any order, may be too long by itself: its beginning is told, and who reads
        it takes the other parts for missing. That is safe, since a worker looks for its parts before it makes them.
        """
        if self._fits():
            return self._json()
        bitmap = _inflated(self.done)
        document = self._cut("leaderboard", len(self.leaderboard), lambda size: self.leaderboard[:size])
        document = document._cut("notes", len(self.notes), lambda size: self.notes[:size])
        document = document._cut("warnings", len(self.warnings), lambda size: self.warnings[:size])
        document = document._cut("message", len(self.message), lambda size: _beginning(self.message, size))
        document = document._cut("done", len(bitmap), lambda size: _deflated(bitmap[:size]))
        return document._json()

    def _cut(self, name: str, whole: int, beginning: Callable[[int], Any]) -> Self:
        """The document with as much of a field as there is room for.

        Args:
            name: of the field.
            whole: the field's size.
            beginning: the field cut to a size.
        """
        if self._fits():
            return self

        def is_too_large(size: int) -> bool:
            return not self.model_copy(update={name: beginning(size)})._fits()

        size = bisect(range(whole), False, lo=1, key=is_too_large) - 1
        return self.model_copy(update={name: beginning(size)})

    def _fits(self) -> bool:
        return len(self._json().encode()) <= MAX_BYTES

    def _json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


def _beginning(text: str, size: int) -> str:
    """At most `size` characters of a text and a mark; a sentence that ends in the last half of them is the last one."""
    piece = text[:size]
    end = max(piece.rfind("\n"), piece.rfind(". ") + 1)
    return piece[: end if end > size // 2 else size].rstrip() + CUT if size else ""


def pack_bits(bits: Iterable[bool]) -> str:
    """A bitmap as text: bits to bytes (least significant first), deflated, base 85."""
    values = list(bits)
    data = bytearray(-(-len(values) // 8))
    for position, bit in enumerate(values):
        if bit:
            data[position // 8] |= 1 << (position % 8)
    return _deflated(bytes(data))


def unpack_bits(text: str, count: int) -> list[bool]:
    """The inverse of `pack_bits` for `count` bits; those beyond the end of a shorter bitmap are False.

    Raises:
        ValueError: the text is no bitmap, or one of more bits.
    """
    data = _inflated(text)
    size = -(-count // 8)
    if len(data) > size:
        raise ValueError(f"a bitmap of {len(data)} bytes holds more than {count} bits")
    data = data.ljust(size, b"\0")
    return [bool(data[i // 8] >> (i % 8) & 1) for i in range(count)]


def parts_done(artifacts: Sequence[ArtifactRef], bits: str) -> dict[str, frozenset[int]]:
    """Preflight's bitmap by artifact key: which parts exist. A part beyond the bitmap's end counts as missing."""
    flags = iter(unpack_bits(bits, sum(a.shards for a in artifacts)))
    return {a.key: frozenset(i for i in range(a.shards) if next(flags)) for a in artifacts}


def _deflated(data: bytes) -> str:
    return base64.b85encode(zlib.compress(data, 9)).decode() if data else ""


def _inflated(text: str) -> bytes:
    try:
        return zlib.decompress(base64.b85decode(text)) if text else b""
    except zlib.error as error:
        raise ValueError(f"no bitmap: {error}") from error
