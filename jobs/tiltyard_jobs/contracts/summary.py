"""What a shard tells its owner when it ends: small enough for a pod's termination message (4,096 bytes).

The worker writes it to `$TILTYARD_SUMMARY` (a pod: /dev/termination-log). The owner never reads the store.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.recipes import ArtifactRef

MAX_BYTES = 4096


class Standing(Contract):
    """One row of the leaderboard, as small as it can be."""

    name: str
    rating: float
    low: float | None = None
    high: float | None = None
    win_rate: float | None = None


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
        exit_code: `errors.ExitCode`.
        message: one sentence for people, empty when all is well.
        rows: rows in the parts made.
        reused: rows in the parts that were there already.
        voids: void rows by reason.
        seconds: time that the model was used.
        leaderboard: from the rate stage alone; top rows.
        outputs: URIs by name, from the last stages alone.
        done: preflight's bitmap, see `pack_bits`.
        agreement: from a comparison of two runs.
    """

    exit_code: int
    message: str = ""
    rows: int = 0
    reused: int = 0
    voids: dict[str, int] = Field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0
    leaderboard: tuple[Standing, ...] = ()
    outputs: dict[str, str] = Field(default_factory=dict)
    done: str = ""
    agreement: Agreement | None = None

    def to_message(self) -> str:
        """JSON of at most `MAX_BYTES` bytes; the sentence, then the leaderboard's tail, give way."""
        document = self
        text = document.model_dump_json(by_alias=True, exclude_defaults=True)
        while len(text.encode()) > MAX_BYTES and (document.leaderboard or len(document.message) > 200):
            document = document.model_copy(
                update={"leaderboard": document.leaderboard[:-1], "message": document.message[:1000]}
                if len(document.message) > 1000 or document.leaderboard
                else {"message": document.message[:200]}
            )
            text = document.model_dump_json(by_alias=True, exclude_defaults=True)
        return text


def pack_bits(bits: Iterable[bool]) -> str:
    """A bitmap as text: bits to bytes (least significant first), deflated, base 85."""
    values = list(bits)
    data = bytearray(-(-len(values) // 8))
    for position, bit in enumerate(values):
        if bit:
            data[position // 8] |= 1 << (position % 8)
    return base64.b85encode(zlib.compress(bytes(data), 9)).decode()


def unpack_bits(text: str, count: int) -> list[bool]:
    """The inverse of `pack_bits` for `count` bits.

    Raises:
        ValueError: the text is no bitmap of that length.
    """
    data = zlib.decompress(base64.b85decode(text)) if text else b""
    if len(data) != -(-count // 8):
        raise ValueError(f"a bitmap of {len(data)} bytes cannot hold {count} bits")
    return [bool(data[i // 8] >> (i % 8) & 1) for i in range(count)]


def parts_done(artifacts: Sequence[ArtifactRef], bits: str) -> dict[str, frozenset[int]]:
    """Preflight's bitmap by artifact key: which parts exist."""
    flags = iter(unpack_bits(bits, sum(a.shards for a in artifacts)))
    return {a.key: frozenset(i for i in range(a.shards) if next(flags)) for a in artifacts}
