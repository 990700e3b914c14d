"""The rows that are trained on, in TRL's form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tiltyard_jobs.contracts.recipes import SelectRecipe
from tiltyard_jobs.records import seed_of

Row = Mapping[str, Any]


def select(rows: Sequence[Row], rule: SelectRecipe | None, seed: int) -> list[Row]:
    """The rows that a rule keeps, in their own order; all of them without a rule.

    Args:
        rows: with `instruction_id` and `margin`.
        rule: keeps `ceil(fraction · rows)`. Ties in the margin are broken by id.
        seed: for the random choice.
    """
    if rule is None:
        return list(rows)
    if rule.by == "Margin":
        ranked = sorted(range(len(rows)), key=lambda at: (-(rows[at]["margin"] or 0.0), rows[at]["instruction_id"]))
    else:
        ranked = sorted(range(len(rows)), key=lambda at: seed_of(seed, "select", rows[at]["instruction_id"]))
    kept = math.ceil(rule.fraction * len(rows))
    return [rows[at] for at in sorted(ranked[:kept])]


def sft_row(row: Row) -> dict[str, Any]:
    """A conversation whose last turn alone is learnt."""
    messages = [_turn(message) for message in row["messages"]]
    return {"prompt": messages[:-1], "completion": messages[-1:]}


def dpo_row(row: Row) -> dict[str, Any]:
    """A prompt, the gold answer, and the worst one."""
    return {name: [_turn(message) for message in row[name]] for name in ("prompt", "chosen", "rejected")}


def _turn(message: Mapping[str, Any]) -> dict[str, str]:
    """A turn; a thought is learnt where the chat template writes `reasoning_content`."""
    return {name: message[name] for name in ("role", "content", "reasoning_content") if message.get(name) is not None}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=True) + "\n")
            count += 1
    return count
