"""Recipes, one for each stage: what it makes of what, and what a planner must know of it. In plan order.

A stage is three files: its recipe here, its function in `tiltyard_jobs.stages`, and in `tiltyard.plan.recipes` how a
manifest asks for it. All else follows from the recipe: the phase of a tournament, the estimate, what its pod needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.recipes import (
    battles,
    calibration,
    evaluation,
    instructions,
    probing,
    report,
    results,
    training,
)
from tiltyard_jobs.contracts.recipes.battles import AnswerRecipe, CollectRecipe, JudgeRecipe, RubricPoint
from tiltyard_jobs.contracts.recipes.calibration import ANSWERS, PairsRecipe
from tiltyard_jobs.contracts.recipes.evaluation import (
    LmEvalRecipe,
    MetricRecipe,
    ProgramsRecipe,
    QuestionSet,
    QuestionsRecipe,
    ReferencesRecipe,
    ScoredModel,
    ScoreRecipe,
    SolveRecipe,
    SplitFile,
    TaskSetRecipe,
)
from tiltyard_jobs.contracts.recipes.instructions import (
    FILE_COLUMN,
    TOKENIZER_FILES,
    CurateRecipe,
    EmbedderRecipe,
    FilterRecipe,
    GradeRecipe,
    MineRecipe,
    PromptsRecipe,
    SampleRecipe,
    SamplingRecipe,
    TokenizerRecipe,
)
from tiltyard_jobs.contracts.recipes.probing import ProbeRecipe
from tiltyard_jobs.contracts.recipes.report import ReportRecipe
from tiltyard_jobs.contracts.recipes.results import (
    BenchmarkRecipe,
    CalibrationRecipe,
    DatasetRecipe,
    Lineup,
    Match,
    PlayerRecipe,
    RateRecipe,
    SourceRecipe,
    StagedArtifact,
    TextsRecipe,
)
from tiltyard_jobs.contracts.recipes.training import (
    BASE_MODEL,
    TRAINED_MODEL,
    TRAINED_SCHEME,
    LoraRecipe,
    SelectRecipe,
    TrainRecipe,
)

_PARTS = (probing, instructions, battles, calibration, results, training, evaluation, report)  # in plan order

RECIPES: Mapping[str, type[Recipe]] = {
    recipe.STAGE: recipe
    for part in _PARTS
    for recipe in vars(part).values()
    if isinstance(recipe, type) and issubclass(recipe, Recipe) and recipe.__module__ == part.__name__
}
"""By stage, in plan order: within a part the order of its module."""

if TYPE_CHECKING:
    AnyRecipe = Recipe
else:
    AnyRecipe = Annotated[Union[tuple(RECIPES.values())], Field(discriminator="stage")]  # noqa: UP007

__all__ = [
    "ANSWERS",
    "BASE_MODEL",
    "FILE_COLUMN",
    "RECIPES",
    "TOKENIZER_FILES",
    "TRAINED_MODEL",
    "TRAINED_SCHEME",
    "AnswerRecipe",
    "AnyRecipe",
    "BenchmarkRecipe",
    "CalibrationRecipe",
    "CollectRecipe",
    "CurateRecipe",
    "DatasetRecipe",
    "EmbedderRecipe",
    "FilterRecipe",
    "GradeRecipe",
    "JudgeRecipe",
    "Lineup",
    "LmEvalRecipe",
    "LoraRecipe",
    "Match",
    "MetricRecipe",
    "MineRecipe",
    "PairsRecipe",
    "PlayerRecipe",
    "ProbeRecipe",
    "ProgramsRecipe",
    "PromptsRecipe",
    "QuestionSet",
    "QuestionsRecipe",
    "RateRecipe",
    "Recipe",
    "ReferencesRecipe",
    "ReportRecipe",
    "RubricPoint",
    "SampleRecipe",
    "SamplingRecipe",
    "ScoreRecipe",
    "ScoredModel",
    "SelectRecipe",
    "SolveRecipe",
    "SourceRecipe",
    "SplitFile",
    "StagedArtifact",
    "TaskSetRecipe",
    "TextsRecipe",
    "TokenizerRecipe",
    "TrainRecipe",
]
