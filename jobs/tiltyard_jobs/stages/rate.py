"""Rating: from all verdicts of a tournament to its standings and the gold answer to each instruction (paper, 3.4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.contracts.recipes import Lineup, RateRecipe
from tiltyard_jobs.results.ballots import Roster, read_ballots, sources_of
from tiltyard_jobs.results.calibrated import by_pairs, read_judged
from tiltyard_jobs.results.doubts import doubts
from tiltyard_jobs.results.facets import agreed_of, facets_of
from tiltyard_jobs.results.rated import rate_ballots, require_instructions, require_opinions
from tiltyard_jobs.results.run_tables import BREAKDOWNS, RATINGS, SCORES
from tiltyard_jobs.results.shortfalls import accounts, shortfalls
from tiltyard_jobs.results.standings import breakdown_rows, leaderboard_of, rating_rows, score_rows, standings_of
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.pace import Pace
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.stages.leftover import nothing_graded, ungraded


async def rate(context: ShardContext[RateRecipe]) -> Outcome:
    """Make `ratings`: the tables `ratings`, `breakdowns` and `scores`, and the document `standings`.

    The seal counts `scores`.
    """
    return await asyncio.to_thread(_rate, context)


def _rate(context: ShardContext[RateRecipe]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    lineup, roster = recipe.lineup, Roster.of(recipe.lineup)
    require_instructions(curation_counts(context.artifacts, lineup))
    require_grades(context.artifacts, lineup)
    pace = Pace(context.stop, context.progress, len(sources_of(lineup)) + len(lineup.players) + 1)
    ballots = read_ballots(context.artifacts, lineup, pace)
    agreed = agreed_of(context.artifacts, lineup, ballots.answered, pace)
    rated = rate_ballots(ballots, roster, recipe, facets_of(context.artifacts, lineup), agreed)
    require_opinions(ballots, roster, context.task.limits)
    pace.step()
    standings = standings_of(ballots, rated, roster, recipe)
    if recipe.calibration is not None:
        judged = read_judged(context.artifacts, recipe.calibration, roster)
        standings = standings.model_copy(update={"calibration": by_pairs(judged, ballots, roster)})

    folder = context.work_dir
    with TableWriter(folder / "ratings.parquet", RATINGS) as table:
        for row in rating_rows(standings):
            table.write(row)
    with TableWriter(folder / "breakdowns.parquet", BREAKDOWNS) as table:
        for row in breakdown_rows(standings):
            table.write(row)
    with TableWriter(folder / "scores.parquet", SCORES) as table:
        for row in score_rows(ballots, rated, roster):
            table.write(row)
    (folder / "standings.json").write_bytes(standings.canonical())
    seal = context.artifacts.publish(
        recipe.ref,
        shard,
        {name: folder / f"{name}.{kind}" for name, kind in FILES.items()},
        rows=len(ballots.ids) * len(roster.players),
    )
    notes = (*shortfalls(accounts(replies_of(context.artifacts, lineup))), *doubts(standings))
    return Outcome(rows=seal.rows, leaderboard=leaderboard_of(standings), notes=notes)


FILES = {"ratings": "parquet", "breakdowns": "parquet", "scores": "parquet", "standings": "json"}


def replies_of(artifacts: Artifacts, lineup: Lineup) -> Iterator[tuple[str, list[Seal]]]:
    """The seals of all answers and verdicts, by stage and model."""
    for player, by_attacker in lineup.answers.items():
        for ref in by_attacker.values():
            yield f"{ref.stage}/{player}", artifacts.require(ref)
    for match in lineup.matches:
        yield f"{match.verdicts.stage}/{match.judge}", artifacts.require(match.verdicts)


def require_grades(artifacts: Artifacts, lineup: Lineup) -> None:
    """Make sure that no attacker is left out since its grader is of no use; `curate` sees the same, but earlier.

    Raises:
        PermanentError: several instructions, all there are of some attackers, have no grade.
    """
    seals = ((name, seal) for name, ref in lineup.instructions.items() for seal in artifacts.require(ref))
    found = ungraded((name, seal.counts) for name, seal in seals)
    if found.total() > 1:
        raise nothing_graded(found, ", ".join(sorted(found)))


def curation_counts(artifacts: Artifacts, lineup: Lineup) -> Counter[str]:
    """Instructions that curation kept (`kept`) and dropped, by reason, over all attackers."""
    counts: Counter[str] = Counter()
    for ref in lineup.instructions.values():
        for seal in artifacts.require(ref):
            counts["kept"] += seal.rows
            counts.update({name[8:]: count for name, count in seal.counts.items() if name.startswith("dropped.")})
    return counts
