"""How a tournament's records fared, from the seals alone: funnels, voids and tokens."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    RECIPES,
    CollectRecipe,
    DatasetRecipe,
    FilterRecipe,
    MineRecipe,
    PromptsRecipe,
)
from tiltyard_jobs.results.documents import Funnel
from tiltyard_jobs.shard.artifacts import Artifacts

_ASKING = frozenset(stage for stage, recipe in RECIPES.items() if recipe.asks())
_REPLYING = _ASKING | {CollectRecipe.STAGE}
_SOURCES = (MineRecipe.STAGE, PromptsRecipe.STAGE)


class ReplyCounts(NamedTuple):
    """What models said and what they did not.

    Attributes:
        voids: by stage, then by reason.
        tokens: by stage, then by model: tokens read and written for the rows that are there.
    """

    voids: dict[str, dict[str, int]]
    tokens: dict[str, dict[str, tuple[int, int]]]


def inputs_of(recipe: DatasetRecipe) -> list[tuple[str, str, ArtifactRef]]:
    """(stage, who made it, artifact) of all that models or files gave: sources, answers and verdicts."""
    lineup = recipe.lineup
    return [
        *((source.ref.stage, source.role.split("/")[1], source.ref) for source in recipe.sources),
        *((ref.stage, player, ref) for player, row in lineup.answers.items() for ref in row.values()),
        *((match.verdicts.stage, match.judge, match.verdicts) for match in lineup.matches),
    ]


def by_attacker(recipe: DatasetRecipe, stage: str) -> dict[str, ArtifactRef]:
    """What a stage before grading made, by attacker: `filter`, say, what lint and dedup kept."""
    return {source.role.split("/")[1]: source.ref for source in recipe.sources if source.ref.stage == stage}


def funnels_of(artifacts: Artifacts, recipe: DatasetRecipe) -> tuple[Funnel, ...]:
    """What became of each attacker's instructions, in the manifest's order."""
    asked: Counter[str] = Counter()
    for source in recipe.sources:
        if source.ref.stage in _SOURCES:
            asked[source.role.split("/")[1]] += sum(seal.rows for seal in artifacts.require(source.ref))
    filtered = by_attacker(recipe, FilterRecipe.STAGE)
    return tuple(
        _funnel(
            player.name,
            asked[player.name],
            artifacts.require(filtered[player.name]),
            artifacts.require(recipe.lineup.instructions[player.name]),
        )
        for player in recipe.lineup.players
    )


def reply_counts(artifacts: Artifacts, recipe: DatasetRecipe) -> ReplyCounts:
    """Voids over all stages that gather replies, and tokens over those that ask a model."""
    voids: defaultdict[str, Counter[str]] = defaultdict(Counter)
    read: defaultdict[str, Counter[str]] = defaultdict(Counter)
    written: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for stage, model, ref in inputs_of(recipe):
        if stage not in _REPLYING:
            continue
        for seal in artifacts.require(ref):
            voids[stage].update(seal.voids)
            if stage not in _ASKING:
                continue
            read[stage][model] += seal.prompt_tokens
            written[stage][model] += seal.completion_tokens
    return ReplyCounts(
        voids={stage: dict(sorted(reasons.items())) for stage, reasons in voids.items() if reasons},
        tokens={
            stage: {model: (count, written[stage][model]) for model, count in by.items()} for stage, by in read.items()
        },
    )


def _funnel(attacker: str, asked: int, filtered: list[Seal], curated: list[Seal]) -> Funnel:
    counts: Counter[str] = Counter()
    for seal in (*filtered, *curated):
        counts.update(seal.counts)

    def named(kind: str) -> Iterator[tuple[str, int]]:
        return ((name.partition(".")[2], count) for name, count in counts.items() if name.startswith(f"{kind}."))

    return Funnel(
        attacker=attacker,
        asked=asked,
        dropped=dict(sorted(named("dropped"))),
        noted=dict(sorted(named("lint"))),
        cut_off=dict(sorted(named("cut"))),
        curated=sum(seal.rows for seal in curated),
        scores=dict(sorted(named("score"), key=lambda entry: int(entry[0]))),
        task_types=dict(sorted(named("task"))),
    )
