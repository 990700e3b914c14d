"""The data: a tournament's tables under names that people know, and training rows made of the gold answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tiltyard_jobs.contracts.conversation import whole_text
from tiltyard_jobs.contracts.recipes import DatasetRecipe, FilterRecipe
from tiltyard_jobs.evaluation import known_texts
from tiltyard_jobs.results.answered import answered_instructions
from tiltyard_jobs.results.ballots import Roster, read_ballots, sources_of
from tiltyard_jobs.results.contamination import Contamination
from tiltyard_jobs.results.dataset_card import card
from tiltyard_jobs.results.dataset_tables import (
    Written,
    battle_rows,
    table_path,
    verdict_rows,
    write_instructions,
    write_table,
)
from tiltyard_jobs.results.documents import DataSummary, Standings
from tiltyard_jobs.results.dropped import are_given, dropped_rows
from tiltyard_jobs.results.funnels import by_attacker, funnels_of, reply_counts
from tiltyard_jobs.results.origins import origins, with_origin
from tiltyard_jobs.results.run_tables import BATTLES, RATING_PATHS, RUN_DROPPED
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.pace import Pace


async def dataset(context: ShardContext[DatasetRecipe]) -> Outcome:
    """Make `dataset`: the tables of `results.run_tables`, the card `README` and the document `summary`.

    The seal's rows are those of the first format asked for.
    """
    return await asyncio.to_thread(_dataset, context)


def _dataset(context: ShardContext[DatasetRecipe]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    artifacts, lineup, folder = context.artifacts, recipe.lineup, context.work_dir
    artifacts.require_all([source.ref for source in recipe.sources])
    (sealed,) = artifacts.require(recipe.ratings)
    standings = Standings.model_validate_json(artifacts.fetch(sealed.files["standings"]).read_bytes())

    contamination = Contamination(benchmark_texts(context))
    pace = Pace(context.stop, context.progress, len(sources_of(lineup)) + standings.instructions + len(lineup.matches))
    ballots = read_ballots(artifacts, lineup, pace)
    contaminated = contamination.survey(instruction_texts(context))
    fought = answered_instructions(artifacts, lineup, recipe.ratings, by_attacker(recipe, FilterRecipe.STAGE))
    written = write_instructions(folder, recipe, fought, contaminated, contamination.repeats, pace)
    verdicts = write_table(folder, "verdicts", verdict_rows(artifacts, recipe, written, pace))
    counted, roster = ballots.counted(recipe.ties, recipe.unanswered, recipe.votes), Roster.of(lineup)
    if are_given(recipe):
        rows_back = battle_rows(ballots, counted, roster, origins(artifacts, recipe))
        battles = write_table(folder, "battles", rows_back, with_origin(BATTLES, recipe.keep))
    else:
        battles = write_table(folder, "battles", battle_rows(ballots, counted, roster))

    summary = _summary(context, contamination, written)
    formats = [kind.lower() for kind in recipe.formats]
    rows = {name: written.rows[name] for name in (*formats, "instructions", "answers")}
    rows |= {"verdicts": verdicts, "battles": battles}
    if are_given(recipe):
        rows["dropped"] = write_table(
            folder, "dropped", dropped_rows(artifacts, recipe), with_origin(RUN_DROPPED, recipe.keep)
        )
    beside = {name: sealed.files[name].rows for name in RATING_PATHS}
    (folder / "README.md").write_text(card(recipe, standings, summary, rows | beside), encoding="utf-8")
    (folder / "summary.json").write_bytes(summary.canonical())
    files = {name: table_path(folder, name) for name in rows}
    files |= {"README": folder / "README.md", "summary": folder / "summary.json"}
    return Outcome.of([artifacts.publish(recipe.ref, shard, files, rows=written.rows[formats[0]])])


def benchmark_texts(context: ShardContext[DatasetRecipe]) -> dict[str, list[str]]:
    """The texts of the benchmarks by name; two files of one name count as one.

    Raises:
        ConfigurationError: a benchmark's texts cannot be had.
    """
    recipe = context.recipe
    texts: dict[str, list[str]] = {}
    for benchmark in recipe.benchmarks:
        if benchmark.texts is not None:
            found = [row["text"] for row in context.artifacts.rows(benchmark.texts)]
        else:
            found = known_texts.benchmark_texts(benchmark, context.task.store)
        texts.setdefault(benchmark.name, []).extend(found)
    return texts


def instruction_texts(context: ShardContext[DatasetRecipe]) -> Iterator[str]:
    """All curated instructions, attacker by attacker."""
    recipe = context.recipe
    for player in recipe.lineup.players:
        for row in context.artifacts.rows(recipe.lineup.instructions[player.name], columns=["instruction", "history"]):
            yield whole_text(row["instruction"], row.get("history"))


def _summary(context: ShardContext[DatasetRecipe], contamination: Contamination, written: Written) -> DataSummary:
    recipe = context.recipe
    replies = reply_counts(context.artifacts, recipe)
    return DataSummary(
        funnels=funnels_of(context.artifacts, recipe),
        overlaps=contamination.overlaps(),
        voids=replies.voids,
        tokens=replies.tokens,
        sft=written.rows["sft"],
        preference=written.rows["preference"],
        cut=dict(sorted(written.cut.items())),
        preference_cut=dict(sorted(written.preference_cut.items())),
        gold_by_player=dict(sorted(written.gold.items())),
        gold_by_license=dict(sorted(written.licenses.items())),
        flagged={name: dict(sorted(found.items())) for name, found in written.flagged.items()},
    )
