"""Columns of tables: their kinds, each with what it means, and their numbers as they are written.

A column's meaning is metadata of its field in a schema; files are written without it (`shard.tables`). Users read it in
docs/outputs.md, whose tables are made from the schemas, and in a run's croissant.json; so it is Markdown.

The last bits of a float hang on the order in which a machine adds; a fixed number of digits makes the bytes of a table
the same wherever it is made. What is written is what everything that follows reads, so that nothing contradicts it.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Row = dict[str, Any]
"""A row of any table."""

Column: TypeAlias = "pa.Field[Any]"
"""A kind and a meaning; the field's own name is empty until it is part of a table."""

Columns: TypeAlias = dict[str, "Column"]
"""By name, in order."""

_MEANING = b"meaning"


def table(columns: Columns) -> pa.Schema:
    """The schema of a table. Any column may hold nulls."""
    return pa.schema([kind.with_name(name) for name, kind in columns.items()])


def column(kind: pa.DataType, means: str) -> Column:
    """A column of any kind."""
    return pa.field("", kind, metadata={_MEANING: means.encode()})


def text(means: str) -> Column:
    """A column of texts."""
    return column(pa.string(), means)


def real(means: str) -> Column:
    """A column of 64-bit floats."""
    return column(pa.float64(), means)


def integer(means: str, bits: int = 64) -> Column:
    """A column of signed integers of 8, 32 or 64 bits."""
    return column({8: pa.int8(), 32: pa.int32(), 64: pa.int64()}[bits], means)


def texts(means: str) -> Column:
    """A column of lists of texts."""
    return column(pa.list_(pa.string()), means)


def truth(means: str) -> Column:
    """A column of booleans."""
    return column(pa.bool_(), means)


def meaning(kind: Column) -> str:
    """What a column of a table means."""
    return (kind.metadata or {})[_MEANING].decode()


VOID: Columns = {
    "void": text("why there is no payload; null where there is one"),
    "detail": text("more about the void, where there is more"),
}
TOKENS: Columns = {
    "prompt_tokens": integer("tokens that the model read, as the server counts them"),
    "completion_tokens": integer("tokens that the model wrote, as the server counts them"),
}
FINISH: Columns = {"finish_reason": text("the server's; `length`: cut by the token limit")}
HISTORY = "turns before the instruction: a system message and earlier turns; null where there are none"
ORIGIN: Columns = {
    "source_row": integer("the record's number in the user's file, from 0; null where mined"),
    "source_id": text("its id there; null without `idField`"),
    "kept": text("the record's columns in `keep`, as JSON; null without them"),
}
INSTRUCTION: Columns = {"instruction_id": text("20 hex digits, the same in all tables")}

_TURN = [pa.field("role", pa.string()), pa.field("content", pa.string())]
_CONVERSATION = pa.list_(pa.struct(_TURN))
_THOUGHT = "`reasoning_content`, the thought before an answer, is there only with `battles.answer.thoughts: Keep`"
_CONVERSATION_WITH_THOUGHTS = pa.list_(pa.struct([*_TURN, pa.field("reasoning_content", pa.string())]))


def messages(means: str) -> Column:
    """A column of conversations."""
    return column(_CONVERSATION, means)


def with_thoughts(schema: pa.Schema) -> pa.Schema:
    """The schema of a table in which thoughts are kept: beside an answer, and in the turns of a conversation.

    What came before an instruction was given and has none.
    """
    thinks = {kind.name for kind in schema if kind.type == _CONVERSATION} - {"history"}
    columns = {
        kind.name: column(_CONVERSATION_WITH_THOUGHTS, f"{meaning(kind)}; {_THOUGHT}") if kind.name in thinks else kind
        for kind in schema
    }
    if "answer" in columns:
        columns["thought"] = text(
            "what the model thought before its answer; null where nothing; a column only with "
            "`battles.answer.thoughts: Keep`"
        )
    return table(columns)


POINTS = 3
"""Digits of a rating, in points."""
SHARES = 6
"""Digits of a score, a rate or a sum of votes."""


def fixed(value: float, digits: int = SHARES) -> float:
    """`value` with so many digits after the point, and never -0.0."""
    return round(float(value), digits) + 0.0


def rounded(value: float, digits: int = SHARES) -> float | None:
    """The same; None for what is no number."""
    return fixed(value, digits) if math.isfinite(value) else None


def points(value: float) -> float | None:
    """A rating; None where there is none."""
    return rounded(value, POINTS)


def rounded_column(values: NDArray[np.float64], digits: int = SHARES) -> list[float | None]:
    """A column of a table."""
    return [rounded(value, digits) for value in values.tolist()]
