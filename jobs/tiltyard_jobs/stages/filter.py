"""Filtering: instructions that are none are dropped, and of those that say the same the first one stays."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.conversation import whole_text
from tiltyard_jobs.contracts.recipes import FilterRecipe, MineRecipe
from tiltyard_jobs.contracts.vocabulary import Flag, LintRules
from tiltyard_jobs.curation.dedup import DedupResult, deduplicate
from tiltyard_jobs.curation.exact import deduplicate_exact
from tiltyard_jobs.curation.lint import DROPPED_BY
from tiltyard_jobs.curation.lint import issues as issues_of
from tiltyard_jobs.curation.mined import clean
from tiltyard_jobs.curation.semantic import deduplicate_embeddings
from tiltyard_jobs.results.stage_tables import DROPPED, INSTRUCTIONS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.stages.embedding import embed_texts
from tiltyard_jobs.stages.leftover import require_some

TRUNCATED = "Truncated"  # the token limit cut it: half an instruction is none
DUPLICATE, REPEAT = "Duplicate", "Repeat"  # near to another one; equal to it


async def filter(context: ShardContext[FilterRecipe]) -> Outcome:  # noqa: A001  the stage's name
    """Make `filtered[a]`: its `rows` are what is kept, its `dropped` says what became of the rest."""
    recipe = context.recipe
    found = await asyncio.to_thread(
        lambda: [
            look_at(source.row, recipe.lint, whole="answer" in source.cut_off, drop=recipe.drop_flags)
            for source in sources(context)
        ]
    )
    issues = [one.issue for one in found]
    twins = await find_twins(context, issues)
    noted = Counter(f"lint.{one.noted}" for one in found if one.noted is not None)
    return await asyncio.to_thread(_write, context, issues, twins, noted)


class Source(NamedTuple):
    """A row to look at.

    Attributes:
        row: with the instruction as it may be kept.
        cut_off: what was cut off it, by the names of the counts `cut.*`.
    """

    row: dict[str, Any]
    cut_off: tuple[str, ...] = ()


def sources(context: ShardContext[FilterRecipe]) -> Iterator[Source]:
    """The rows to look at. Of a mined text what is no part of a request is cut off; a given text stays as it is."""
    recipe = context.recipe
    cleans = recipe.source.stage == MineRecipe.STAGE and recipe.lint != "None"
    for row in context.artifacts.rows(recipe.source):
        if not cleans or row["void"] is not None:
            yield Source(row)
            continue
        cleaned = clean(row["instruction"])
        names = (("answer",) if cleaned.answer else ()) + (("mark",) if cleaned.mark else ())
        yield Source(row | {"instruction": cleaned.text}, names)


class Finding(NamedTuple):
    """What was found in one row.

    Attributes:
        issue: why it is dropped; None: it is an instruction.
        noted: what the linter says of one that is not dropped for it; for people alone.
    """

    issue: str | None = None
    noted: str | None = None


def look_at(row: dict[str, Any], rules: LintRules, *, whole: bool = False, drop: Sequence[Flag] = ()) -> Finding:
    """What a mined or given row is worth.

    Args:
        row: with the instruction as it may be kept.
        rules: which issues drop it.
        whole: an answer was cut off it, so that the token limit cut the answer, and the request is whole.
        drop: which flags drop it; without any, none is looked for.
    """
    if row["void"] is not None:
        return Finding(str(row["void"]))
    if row["finish_reason"] == "length" and not whole:
        return Finding(TRUNCATED)
    first = None
    for issue in issues_of(row["instruction"]):
        if issue in DROPPED_BY[rules]:
            return Finding(str(issue))
        first = first or str(issue)
    if drop and (flag := first_flag(row, drop)) is not None:
        return Finding(flag)
    return Finding(noted=first)


def first_flag(row: dict[str, Any], drop: Sequence[Flag]) -> Flag | None:
    """The first flag for which a row is dropped."""
    from tiltyard_jobs.curation.flags import flags_of  # the detectors take a while to import

    return next((flag for flag in flags_of(whole_text(row["instruction"], row.get("history"))) if flag in drop), None)


async def find_twins(context: ShardContext[FilterRecipe], issues: list[str | None]) -> DedupResult | None:
    """Which of the instructions without an issue repeat another; None where nothing is to be compared."""
    recipe = context.recipe
    artifacts, threshold = context.artifacts, float(recipe.threshold)

    def whole(row: dict[str, Any]) -> str:
        return whole_text(row["instruction"], row.get("history"))

    def texts() -> Iterator[str]:
        return (whole(source.row) for source, issue in zip(sources(context), issues, strict=True) if issue is None)

    def earlier() -> Iterator[str]:
        for ref in recipe.earlier:
            yield from map(whole, artifacts.rows(ref, columns=["instruction", "history"]))

    if recipe.dedup == "None":
        return None
    if recipe.dedup == "Exact":
        return await asyncio.to_thread(lambda: deduplicate_exact(texts(), earlier=earlier()))
    if recipe.dedup == "MinHash":
        return await asyncio.to_thread(lambda: deduplicate(texts(), threshold=threshold, earlier=earlier()))
    assert recipe.embedder is not None
    before = await asyncio.to_thread(lambda: list(earlier()))
    vectors = await embed_texts(context, recipe.embedder, [*before, *await asyncio.to_thread(lambda: list(texts()))])
    return await asyncio.to_thread(
        lambda: deduplicate_embeddings(vectors[len(before) :], threshold=threshold, earlier=vectors[: len(before)])
    )


def _write(
    context: ShardContext[FilterRecipe], issues: list[str | None], twins: DedupResult | None, noted: Counter[str]
) -> Outcome:
    """Write both tables and seal the part, with what the linter says besides."""
    recipe, shard = context.recipe, context.shard
    ids = [row["instruction_id"] for row in context.artifacts.rows(recipe.source, columns=["instruction_id"])]
    passed = [instruction for instruction, issue in zip(ids, issues, strict=True) if issue is None]
    earlier_ids = [
        row["instruction_id"]
        for ref in recipe.earlier
        for row in context.artifacts.rows(ref, columns=["instruction_id"])
    ]
    kept_path, dropped_path = context.work_dir / "rows.parquet", context.work_dir / "dropped.parquet"
    counts = Counter(noted)
    place = -1
    with TableWriter(kept_path, INSTRUCTIONS) as kept, TableWriter(dropped_path, DROPPED) as dropped:
        for (row, cut_off), issue in zip(sources(context), issues, strict=True):
            twin = None
            if issue is None:
                place += 1
                if twins is None or twins.kept[place]:
                    kept.write(row)
                    counts["kept"] += 1
                    counts.update(f"cut.{what}" for what in cut_off)
                    continue
                issue, within = REPEAT if recipe.dedup == "Exact" else DUPLICATE, int(twins.twin[place])
                twin = passed[within] if within >= 0 else earlier_ids[int(twins.earlier_twin[place])]
            dropped.write({"instruction_id": row["instruction_id"], "reason": issue, "twin_id": twin})
            counts[f"dropped.{issue}"] += 1
    rows = counts.pop("kept", 0)
    require_some(context, rows, counts)
    files = {"rows": kept_path, "dropped": dropped_path}
    return Outcome.of([context.artifacts.publish(recipe.ref, shard, files, rows=rows, counts=counts)])
