"""Curation: instructions of the wanted difficulty, compressed to those that cover the rest (paper, section 3.2)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from tiltyard_jobs.contracts.conversation import whole_text
from tiltyard_jobs.contracts.recipes import CurateRecipe
from tiltyard_jobs.curation.difficulty import combined_score, grade_of
from tiltyard_jobs.curation.kcenter import k_center_greedy
from tiltyard_jobs.curation.random_subset import random_subset
from tiltyard_jobs.curation.task_types import task_type
from tiltyard_jobs.results.origins import COLUMNS
from tiltyard_jobs.results.stage_tables import CURATED, DROPPED
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.stages.embedding import embed_texts
from tiltyard_jobs.stages.leftover import require_grades, require_some

_COLUMNS = ("instruction_id", "attacker_id", "instruction", "history", *COLUMNS)
UNGRADED, DIFFICULTY, DIVERSITY = "Ungraded", "Difficulty", "Diversity"


async def curate(context: ShardContext[CurateRecipe]) -> Outcome:
    """Make `curated[a]`: its `rows` are fought over, its `dropped` says what became of the rest."""
    scores = await asyncio.to_thread(combined_scores, context)
    reasons = [reason_of(score, context.recipe) for score in scores]
    await choose(context, reasons)
    return await asyncio.to_thread(_write, context, scores, reasons)


def combined_scores(context: ShardContext[CurateRecipe]) -> list[int | None]:
    """The difficulty of each instruction; None where nobody graded it."""
    recipe = context.recipe
    if not recipe.grades:
        total = sum(seal.rows for seal in context.artifacts.require(recipe.instructions))
        return [None] * total
    tables = [context.artifacts.rows(ref, columns=["score"]) for ref in recipe.grades]
    return [combined_score(row["score"] for row in rows) for rows in zip(*tables, strict=True)]


def reason_of(score: int | None, recipe: CurateRecipe) -> str | None:
    """Why an instruction is dropped for its difficulty; None where it stays."""
    if not recipe.grades:
        return None
    if score is None:
        return UNGRADED
    return None if grade_of(score) in recipe.keep else DIFFICULTY


async def choose(context: ShardContext[CurateRecipe], reasons: list[str | None]) -> None:
    """Mark what is dropped to keep at most `limit`."""
    recipe = context.recipe
    left = [place for place, reason in enumerate(reasons) if reason is None]
    if recipe.limit is None or len(left) <= recipe.limit:
        return

    def left_rows(*names: str) -> Iterator[dict[str, Any]]:
        rows = context.artifacts.rows(recipe.instructions, columns=names)
        return (row for row, reason in zip(rows, reasons, strict=True) if reason is None)

    if recipe.diversity == "KCenterGreedy":
        assert recipe.embedder is not None
        rows = left_rows("instruction", "history")
        texts = [whole_text(row["instruction"], row.get("history")) for row in rows]
        vectors = await embed_texts(context, recipe.embedder, texts)
        chosen = (await asyncio.to_thread(k_center_greedy, vectors, recipe.limit)).indices
    else:
        ids = [row["instruction_id"] for row in left_rows("instruction_id")]
        chosen = random_subset(ids, recipe.limit, seed=recipe.seed)
    kept = set(np.asarray(left)[chosen].tolist())
    for place in left:
        if place not in kept:
            reasons[place] = DIVERSITY


def _write(context: ShardContext[CurateRecipe], scores: list[int | None], reasons: list[str | None]) -> Outcome:
    """Write both tables and seal the part."""
    recipe, shard = context.recipe, context.shard
    kept_path, dropped_path = context.work_dir / "rows.parquet", context.work_dir / "dropped.parquet"
    counts: Counter[str] = Counter(f"score.{score}" for score in scores if score is not None)
    rows = 0
    with TableWriter(kept_path, CURATED) as kept, TableWriter(dropped_path, DROPPED) as dropped:
        source = context.artifacts.rows(recipe.instructions, columns=_COLUMNS)
        for row, score, reason in zip(source, scores, reasons, strict=True):
            if reason is not None:
                dropped.write({"instruction_id": row["instruction_id"], "reason": reason})
                counts[f"dropped.{reason}"] += 1
                continue
            made = curated_row(row, score)
            kept.write(made)
            counts[f"task.{made['task_type']}"] += 1
            rows += 1
    require_grades(context, counts)
    require_some(context, rows, counts)
    files = {"rows": kept_path, "dropped": dropped_path}
    return Outcome.of([context.artifacts.publish(recipe.ref, shard, files, rows=rows, counts=counts)])


def curated_row(row: dict[str, Any], score: int | None) -> dict[str, Any]:
    """A row of the curated table."""
    grade = None if score is None else grade_of(score)
    return row | {"score": score, "grade": grade, "task_type": str(task_type(row["instruction"]))}
