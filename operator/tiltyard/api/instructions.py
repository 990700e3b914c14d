"""Where the instructions come from: mined from the competitors, or given."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import ColumnName, PositiveShare, Temperature, TokenLimit
from tiltyard.api.shapes import Distinct, Whole
from tiltyard.api.texts import Texts


class Mine(ApiModel):
    """What each competitor writes when it sees its own chat template's prefix alone (paper, section 3.2)."""

    per_competitor: Annotated[int, Whole(1, 10_000_000)] = 10000
    """Completions asked of each competitor, before curation. Default: 10000."""
    temperatures: Annotated[tuple[Temperature, ...], Field(min_length=1, max_length=16), Distinct()] = (
        Decimal("0.6"),
        Decimal("0.8"),
        Decimal("1.0"),
    )
    """Sampling temperatures; every one is used with every top-p, in turn. Default: 0.6, 0.8, 1.0."""
    top_p: Annotated[tuple[PositiveShare, ...], Field(min_length=1, max_length=16), Distinct()] = (
        Decimal("0.9"),
        Decimal("0.95"),
        Decimal("0.99"),
    )
    """Nucleus sampling's shares of probability. Default: 0.9, 0.95, 0.99."""
    max_tokens: TokenLimit = 512
    """Tokens of one instruction, at most. Default: 512."""


class GivenInstructions(Texts):
    """Instructions from a file instead."""

    per_competitor: Annotated[int, Whole(1, 10_000_000)] = 10000
    """Instructions read for each competitor, at most; a file with more is refused. Default: 10000."""

    attacker_field: ColumnName | None = None
    """The column that names the competitor whose instruction it is; absent: they are dealt out in turn."""


def _one_source(instructions: Instructions) -> Iterator[Violation]:
    given = [
        name for name in ("mine", "from") if getattr(instructions, "given" if name == "from" else name) is not None
    ]
    if len(given) != 1:
        yield Violation((), " and ".join(given) or "neither")


ONE_INSTRUCTION_SOURCE: Rule[Instructions] = Rule(
    sentence="must have exactly one of mine (`mine: {}` takes all defaults) and from",
    check=_one_source,
    cel="has(self.mine) != has(self.from)",
)


class Instructions(ApiModel):
    """Where the instructions come from: exactly one of `mine` and `from`."""

    RULES = (ONE_INSTRUCTION_SOURCE,)

    mine: Mine | None = None
    """Mine them from the competitors; `{}` takes all defaults."""
    given: GivenInstructions | None = Field(default=None, alias="from")
    """Read them from a file."""
