"""Results: ratings, the dataset, and the report that comes last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from tiltyard.api import Tournament
from tiltyard.plan.curation import decontaminated, task_texts
from tiltyard.plan.graph import Bundle, bundle
from tiltyard.plan.recipes.battles import BattleRecipes
from tiltyard.plan.recipes.calibration import CalibrationRecipes
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    BenchmarkRecipe,
    DatasetRecipe,
    RateRecipe,
    ReportRecipe,
    ScoredModel,
    SourceRecipe,
    StagedArtifact,
    TrainRecipe,
)
from tiltyard_jobs.contracts.versions import DROPPED_TABLE


class ResultRecipes:
    """Of the whole tournament."""

    def __init__(self, tournament: Tournament, battles: BattleRecipes, calibration: CalibrationRecipes) -> None:
        self.tournament = tournament
        self.battles = battles
        self.calibration = calibration

    def bundles(self) -> Iterator[Bundle]:
        """Texts that are kept out of the training data, ratings and dataset."""
        for task, texts in task_texts(self.tournament).items():
            yield bundle(texts, about=task)
        yield bundle(self.ratings)
        yield bundle(self.dataset)

    @cached_property
    def artifacts(self) -> Mapping[str, ArtifactRef]:
        """`texts` by task, `rate` and `dataset`."""
        return {
            **{f"{texts.stage}/{task}": texts.ref for task, texts in task_texts(self.tournament).items()},
            **{recipe.stage: recipe.ref for recipe in (self.ratings, self.dataset)},
        }

    @cached_property
    def ratings(self) -> RateRecipe:
        """Ratings, scores and gold answers."""
        spec = self.tournament.spec
        return RateRecipe(
            lineup=self.battles.lineup,
            calibration=self.calibration.recipe,
            seed=spec.seed,
            **spec.rating.model_dump(exclude={"bootstrap"}),
        )

    @cached_property
    def dataset(self) -> DatasetRecipe:
        """Tables and training rows."""
        spec = self.tournament.spec
        own = [
            BenchmarkRecipe(name=texts.uri.rpartition("/")[2], uri=texts.uri, field=texts.field, sha256=texts.sha256)
            for texts in spec.curation.held_out
        ]
        given = spec.instructions.given
        return DatasetRecipe(
            lineup=self.battles.lineup,
            sources=_staged(self.battles.instructions.origins),
            ratings=self.ratings.ref,
            formats=spec.dataset.formats,
            min_margin=spec.dataset.min_margin,
            tied=spec.dataset.tied,
            benchmarks=(*decontaminated(self.tournament), *own),
            thoughts=spec.battles.answer.thoughts,
            ties=spec.rating.ties,
            unanswered=spec.rating.unanswered,
            votes=spec.rating.votes,
            keep=self.battles.instructions.kept,
            source=SourceRecipe(uri=given.uri, sha256=given.sha256, license=given.license) if given else None,
            licenses=spec.dataset.licenses.allow,
            drop_flags=spec.curation.flags.dropped,
            dropped_table=DROPPED_TABLE if given else 1,
            tournament=self.tournament.metadata.name,
        )

    def report(
        self, artifacts: Mapping[str, ArtifactRef], trained: TrainRecipe | None, scores: tuple[ScoredModel, ...]
    ) -> ReportRecipe:
        """The report and the run's manifest.

        Args:
            artifacts: all that the run has made before, by the names of its manifest.
            trained: the target model.
            scores: of models on benchmarks.
        """
        return ReportRecipe(
            tournament=self.tournament.metadata.name,
            lineup=self.battles.lineup,
            ratings=self.ratings.ref,
            dataset=self.dataset.ref,
            artifacts=_staged(artifacts),
            trained=trained.ref if trained is not None else None,
            scores=scores,
            seed=self.tournament.spec.seed,
        )


def _staged(artifacts: Mapping[str, ArtifactRef]) -> tuple[StagedArtifact, ...]:
    return tuple(StagedArtifact(role=role, ref=ref) for role, ref in artifacts.items())
