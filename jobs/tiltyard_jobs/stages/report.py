"""The report: one page for people, the run's files under names that people know, and the manifest, which comes last."""

from __future__ import annotations

import asyncio

from tiltyard_jobs.contracts.recipes import BASE_MODEL, TRAINED_MODEL, PromptsRecipe, ReportRecipe
from tiltyard_jobs.report.inputs import ReportInput, count_stages, read_samples, survey
from tiltyard_jobs.report.page import render
from tiltyard_jobs.report.prefixes import read_prefixes
from tiltyard_jobs.results.benchmarks import read_gains, read_scores, silences
from tiltyard_jobs.results.documents import DataSummary, Manifest, Standings, read_curve, read_document
from tiltyard_jobs.results.doubts import doubts
from tiltyard_jobs.results.run_folder import (
    BENCHMARKS,
    CROISSANT,
    LEADERBOARD,
    OUTPUTS,
    REPORT,
    benchmarks_document,
    croissant_document,
    leaderboard_document,
    outputs_of,
    package_versions,
    put_files,
    put_manifest,
    read_artifacts,
    sealed_files,
    sorted_files,
    written_file,
)
from tiltyard_jobs.results.shortfalls import accounts, shortfalls
from tiltyard_jobs.results.standings import leaderboard_of
from tiltyard_jobs.results.used_line import used_line
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.pace import Pace

_STEPS = 5  # between two of which the shard may be stopped; all of them are made anew in seconds


async def report(context: ShardContext[ReportRecipe]) -> Outcome:
    """Make `report` and the run's folder.

    The part is sealed after the manifest is written: a shard that is killed in between does both again.
    """
    return await asyncio.to_thread(_report, context)


def _report(context: ShardContext[ReportRecipe]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    artifacts, store, run = context.artifacts, context.store, recipe.ref.key[:12]
    pace = Pace(context.stop, context.progress, _STEPS)
    made_of = read_artifacts(artifacts, recipe.artifacts)
    pace.step()
    standings = read_document(artifacts, recipe.ratings, "standings", Standings)
    data = read_document(artifacts, recipe.dataset, "summary", DataSummary)
    given = any(one.ref.stage == PromptsRecipe.STAGE for one in recipe.artifacts)
    instructions = used_line(data.funnels, "given" if given else "mined", data.flagged)
    surveyed = survey(artifacts, recipe.dataset, [player.name for player in recipe.lineup.players])
    pace.step()
    files = sealed_files(artifacts, recipe.ratings, recipe.dataset)
    document = croissant_document(recipe.tournament, run, files)
    files.append(written_file(context.work_dir, CROISSANT, document))
    fell_short = shortfalls(accounts((one.role, artifacts.require(one.ref)) for one in recipe.artifacts))
    scores = read_scores(artifacts, recipe.scores, {one.role: one.ref for one in recipe.artifacts})
    notes = (*fell_short, *silences(scores), *doubts(standings))
    document = leaderboard_document(recipe.tournament, run, standings)
    files.append(written_file(context.work_dir, LEADERBOARD, document))
    pace.step()
    versions = package_versions()
    gains = read_gains(artifacts, recipe.scores, BASE_MODEL, TRAINED_MODEL)
    if scores:
        document = benchmarks_document(recipe.tournament, run, scores, gains)
        files.append(written_file(context.work_dir, BENCHMARKS, document))
    page = render(
        ReportInput(
            tournament=recipe.tournament,
            run=run,
            standings=standings,
            notes=notes,
            data=data,
            instructions=instructions,
            prefixes=read_prefixes(artifacts, recipe.artifacts),
            benchmarks=scores,
            gains=gains,
            curve=read_curve(artifacts, recipe.trained) if recipe.trained else (),
            kept_scores=surveyed.kept_scores,
            stages=count_stages(made_of),
            samples=read_samples(artifacts, recipe.dataset, recipe.lineup, surveyed.chosen),
            files=sorted_files(files),
            versions=versions,
            ledger=context.task.ledger,
            spending=context.task.spending,
        )
    )
    files.append(written_file(context.work_dir, REPORT, page))
    pace.step()
    put_files(store, run, files)
    manifest = Manifest(
        tournament=recipe.tournament,
        run=run,
        seed=recipe.seed,
        versions=versions,
        leaderboard=leaderboard_of(standings),
        notes=notes,
        outputs=OUTPUTS,
        instructions=instructions,
        files=sorted_files(files),
        artifacts=made_of,
    )
    put_manifest(store, manifest)
    artifacts.publish(recipe.ref, shard, {"report": context.work_dir / REPORT})
    pace.step()
    return Outcome(
        leaderboard=manifest.leaderboard,
        notes=notes,
        outputs=outputs_of(store, run, recipe.trained),
        instructions=instructions,
    )
