"""What is asked of the models that are scored, and how their replies are judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from tiltyard.api import Evaluation, Tournament
from tiltyard.api.identity import identity_options
from tiltyard.plan.curation import split_files
from tiltyard.plan.graph import Bundle, bundle
from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    BASE_MODEL,
    TRAINED_MODEL,
    TRAINED_SCHEME,
    LmEvalRecipe,
    MetricRecipe,
    ProgramsRecipe,
    QuestionSet,
    QuestionsRecipe,
    ReferencesRecipe,
    ScoredModel,
    ScoreRecipe,
    SolveRecipe,
    TaskSetRecipe,
    TrainRecipe,
)
from tiltyard_jobs.contracts.versions import LM_EVAL
from tiltyard_jobs.contracts.vocabulary import Style

PROGRAM_BYTES = 2 << 30  # of address space that one program of a model's may use
LIBRARY_PROGRAM_BYTES = 8 << 30  # and one that loads large libraries, whose own size counts


class Scoring(NamedTuple):
    """One model and one benchmark.

    Attributes:
        questions: a harness's, and those of any model that is asked in this style.
        references: any model's too.
    """

    questions: QuestionsRecipe | None
    references: ReferencesRecipe | None
    solve: SolveRecipe
    score: ScoreRecipe


class EvaluationRecipes:
    """By model, then by benchmark: the base model, the trained one, the competitors; nothing where none is scored."""

    def __init__(self, tournament: Tournament, trained: TrainRecipe | None) -> None:
        self.trained = trained
        evaluation = tournament.spec.evaluation
        self.scorings: Mapping[str, Mapping[str, Scoring]] = {}
        if evaluation is not None:
            self.scorings = {
                name: {
                    tasks.name: _scoring(tournament, evaluation, identity, style, tasks, by)
                    for tasks, by in _benchmarks(evaluation)
                }
                for name, (identity, style) in _models(tournament, evaluation, trained).items()
            }

    def bundles(self) -> Iterator[Bundle]:
        """What is made once for all models comes first."""
        for benchmark, references in self.references.items():
            yield bundle(references, about=benchmark)
        for about, questions in self.questions.items():
            yield bundle(questions, about=about)
        for name, benchmarks in self.scorings.items():
            served_from = self.trained.ref if name == TRAINED_MODEL and self.trained is not None else None
            for benchmark, scoring in benchmarks.items():
                yield bundle(scoring.solve, about=benchmark, model=name, served_from=served_from)
        for name, benchmarks in self.scorings.items():
            for benchmark, scoring in benchmarks.items():
                yield bundle(scoring.score, about=f"{name}/{benchmark}")

    @cached_property
    def artifacts(self) -> Mapping[str, ArtifactRef]:
        """By stage, model and benchmark."""
        return {
            **{f"references/{benchmark}": recipe.ref for benchmark, recipe in self.references.items()},
            **{f"questions/{about}": recipe.ref for about, recipe in self.questions.items()},
            **{f"solve/{name}/{on}": r.solve.ref for name, by in self.scorings.items() for on, r in by.items()},
            **{f"score/{name}/{on}": r.score.ref for name, by in self.scorings.items() for on, r in by.items()},
        }

    @cached_property
    def scores(self) -> tuple[ScoredModel, ...]:
        """For the report."""
        return tuple(
            ScoredModel(model=name, benchmark=benchmark, scores=scoring.score.ref)
            for name, by in self.scorings.items()
            for benchmark, scoring in by.items()
        )

    @cached_property
    def questions(self) -> Mapping[str, QuestionsRecipe]:
        """By benchmark and style: whoever is asked in one style is asked the same."""
        every = (scoring.questions for benchmarks in self.scorings.values() for scoring in benchmarks.values())
        return {f"{one.tasks.name}/{one.style.lower()}": one for one in every if one is not None}

    @cached_property
    def references(self) -> Mapping[str, ReferencesRecipe]:
        """By benchmark."""
        every = (scoring.references for benchmarks in self.scorings.values() for scoring in benchmarks.values())
        return {one.tasks.name: one for one in every if one is not None}


def _models(
    tournament: Tournament, evaluation: Evaluation, trained: TrainRecipe | None
) -> Mapping[str, tuple[ModelIdentity, Style]]:
    models: dict[str, tuple[ModelIdentity, Style]] = {}
    if trained is not None:
        options = identity_options(evaluation.serving.args)
        # A base model was never taught to answer: it goes on with a task's text.
        asked = {
            "options": options,
            "stop": (evaluation.request.stop or ()) if evaluation.request is not None else (),
            "extra_body": evaluation.request.identity if evaluation.request is not None else "",
            "thought_marks": evaluation.thought_marks.identity if evaluation.thought_marks is not None else (),
        }
        models[BASE_MODEL] = (trained.base.model_copy(update=asked), "Completion")
        after = ModelIdentity(uri=f"{TRAINED_SCHEME}{trained.ref.key}").model_copy(update=asked)
        models[TRAINED_MODEL] = (after, "Chat")
    if evaluation.competitors:
        models |= {
            player.name: (player.identity(), "Chat") for player in tournament.spec.competitors if player.answers is None
        }
    return models


def _benchmarks(
    evaluation: Evaluation,
) -> list[tuple[TaskSetRecipe | LmEvalRecipe, ProgramsRecipe | MetricRecipe]]:
    files = {file.benchmark: file for file in evaluation.files}
    environments = {one.benchmark: f"{one.image} {one.python}" for one in evaluation.environments}
    programs = [
        ProgramsRecipe(
            seconds=evaluation.timeout_seconds,
            memory=LIBRARY_PROGRAM_BYTES if BENCHMARKS[name].libraries else PROGRAM_BYTES,
            environment=environments.get(name),
        )
        for name in evaluation.benchmarks
    ]
    ours = [
        TaskSetRecipe(
            name=name,
            uri=files[name].uri if name in files else None,
            sha256=files[name].sha256 if name in files else None,
            rows=BENCHMARKS[name].tasks,
        )
        for name in evaluation.benchmarks
    ]
    theirs = [
        LmEvalRecipe(
            name=task.name,
            harness=LM_EVAL,
            num_fewshot=task.num_fewshot,
            limit=task.limit,
            files=split_files(task),
        )
        for task in evaluation.lm_eval
    ]
    metrics = [MetricRecipe(metric=task.metric) for task in evaluation.lm_eval]
    return [*zip(ours, programs, strict=True), *zip(theirs, metrics, strict=True)]


def _scoring(
    tournament: Tournament,
    evaluation: Evaluation,
    model: ModelIdentity,
    style: Style,
    tasks: TaskSetRecipe | LmEvalRecipe,
    by: ProgramsRecipe | MetricRecipe,
) -> Scoring:
    questions: QuestionsRecipe | None = None
    references: ReferencesRecipe | None = None
    asked: TaskSetRecipe | QuestionSet
    if isinstance(tasks, LmEvalRecipe):
        questions = QuestionsRecipe(tasks=tasks, style=style, max_tokens=evaluation.max_tokens)
        asked = QuestionSet(name=tasks.name, questions=questions.ref, limit=tasks.limit)
    else:
        asked = tasks
        if BENCHMARKS[tasks.name].libraries and isinstance(by, ProgramsRecipe):
            references = ReferencesRecipe(tasks=tasks, by=by)
    solve = SolveRecipe(
        model=model,
        tasks=asked,
        style=style,
        max_tokens=evaluation.max_tokens,
        shard_size=tournament.spec.jobs.shard_size,
    )
    known = references.ref if references is not None else None
    score = ScoreRecipe(tasks=tasks, solutions=solve.ref, style=style, by=by, references=known)
    return Scoring(questions, references, solve, score)
