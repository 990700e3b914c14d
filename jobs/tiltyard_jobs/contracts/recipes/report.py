"""The report and the run's folder: the last stage."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, Literal

from tiltyard_jobs.contracts.recipe import ArtifactRef, Phase, Recipe
from tiltyard_jobs.contracts.recipes.evaluation import ScoredModel
from tiltyard_jobs.contracts.recipes.results import Lineup, StagedArtifact


class ReportRecipe(Recipe):
    """The report and the run's manifest.

    Attributes:
        trained: the target model, where one is trained.
        scores: benchmarks of models: the base and the trained one, then the competitors.
    """

    PHASE: ClassVar[Phase] = "Writing"
    SHOWS_COSTS: ClassVar[bool] = True

    stage: Literal["report"] = "report"
    version: int = 5
    tournament: str
    lineup: Lineup
    ratings: ArtifactRef
    dataset: ArtifactRef
    artifacts: tuple[StagedArtifact, ...]
    trained: ArtifactRef | None = None
    scores: tuple[ScoredModel, ...] = ()
    seed: int

    @cached_property
    def inputs(self) -> tuple[ArtifactRef, ...]:
        """The last ones: `artifacts` and `lineup` list what these are made of."""
        trained = (self.trained,) if self.trained is not None else ()
        return (self.dataset, self.ratings, *(model.scores for model in self.scores), *trained)

    def reads(self, shard: int) -> Iterator[tuple[ArtifactRef, int]]:
        """All that the run is made of: its manifest has their digests."""
        return ((one.ref, number) for one in self.artifacts for number in range(one.ref.shards))
