"""What is asked of the models that are scored, and how their replies are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tiltyard.api import Evaluation, Tournament
from tiltyard.api.identity import identity_options
from tiltyard.plan.target import TRAINED_SCHEME
from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.target_recipes import (
    BASE_MODEL,
    TRAINED_MODEL,
    LmEvalRecipe,
    MetricRecipe,
    ProgramsRecipe,
    QuestionSet,
    QuestionsRecipe,
    ReferencesRecipe,
    ScoreRecipe,
    SolveRecipe,
    SplitFile,
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


def scorings(tournament: Tournament, trained: TrainRecipe | None) -> Mapping[str, Mapping[str, Scoring]]:
    """By model, then by benchmark: the base model, the trained one, the competitors; nothing where none is scored."""
    evaluation = tournament.spec.evaluation
    if evaluation is None:
        return {}
    return {
        name: {
            tasks.name: _scoring(tournament, evaluation, identity, style, tasks, by)
            for tasks, by in _benchmarks(evaluation)
        }
        for name, (identity, style) in _models(tournament, evaluation, trained).items()
    }


def _models(
    tournament: Tournament, evaluation: Evaluation, trained: TrainRecipe | None
) -> Mapping[str, tuple[ModelIdentity, Style]]:
    models: dict[str, tuple[ModelIdentity, Style]] = {}
    if trained is not None:
        options = identity_options(evaluation.serving.args)
        # A base model was never taught to answer: it goes on with a task's text.
        models[BASE_MODEL] = (trained.base.model_copy(update={"options": options}), "Completion")
        after = ModelIdentity(uri=f"{TRAINED_SCHEME}{trained.ref.key}", options=options)
        models[TRAINED_MODEL] = (after, "Chat")
    if evaluation.competitors:
        models |= {player.name: (player.identity(), "Chat") for player in tournament.spec.competitors}
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
            files=tuple(SplitFile(split=file.split, uri=file.uri, sha256=file.sha256) for file in task.files),
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
