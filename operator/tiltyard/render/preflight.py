"""What preflight is told: what must hold before any model starts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from urllib.parse import unquote

from tiltyard.api import (
    GivenInstructions,
    LabelledPairs,
    Participant,
    Texts,
    Tournament,
    secret_variable,
)
from tiltyard.api.fields import walk
from tiltyard.api.problems import path_text
from tiltyard.plan.curation import decontaminated
from tiltyard.plan.graph import Graph
from tiltyard.plan.participants import TARGETS, participations, token_references, used_endpoints
from tiltyard.plan.probes import PROBED
from tiltyard.plan.recipes.instructions import located, sample_of, tokenizer_of
from tiltyard.render.tasks import answer_tokens, external_endpoint
from tiltyard_jobs.contracts.recipes import (
    CurateRecipe,
    FilterRecipe,
    LmEvalRecipe,
    MetricRecipe,
    PairsRecipe,
    TaskSetRecipe,
)
from tiltyard_jobs.contracts.solo_tasks import (
    AskedModel,
    ModelFolder,
    NamedEndpoint,
    NamedTokenizer,
    PreflightTask,
    ReadableAnswers,
    ReadableFile,
    SimulatedModel,
)
from tiltyard_jobs.contracts.tasks import Limits, LmEvalTask, StoreRef
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS


def preflight_task(
    tournament: Tournament, graph: Graph, store: StoreRef, *, check_store: bool = True, only_look: bool = False
) -> PreflightTask:
    """What must hold before any model starts.

    Args:
        tournament: the manifest.
        graph: its graph.
        store: where artifacts live, as the worker sees it.
        check_store: write a probe.
        only_look: check nothing at all: only look at what exists.
    """
    task = PreflightTask(
        tournament=tournament.metadata.name,
        store=store,
        run=graph.run,
        artifacts=graph.artifacts,
        check_store=check_store and not only_look,
    )
    if only_look:
        return task
    task_sets = tuple(one.tasks for one in graph.benchmarks if isinstance(one.tasks, TaskSetRecipe))
    read = {tasks.name for tasks in task_sets}
    return task.model_copy(
        update={
            "endpoints": tuple(_endpoints(tournament, graph)),
            "files": tuple(_files(tournament, graph)),
            **_existing_answers(tournament),
            "benchmarks": tuple(
                one.name for one in decontaminated(tournament) if one.texts is None and one.name not in read
            ),
            "task_sets": task_sets,
            "needs_embeddings": _embeds(graph),
            "lm_eval": tuple(_lm_eval_tasks(tournament, graph)),
            "folders": tuple(_folders(tournament)),
            "tokenizers": tuple(_tokenizers(tournament)),
            "simulated": tuple(_simulated(tournament)),
            "system_prompts": mine.system_prompts if (mine := tournament.spec.instructions.mine) else (),
            "secrets": _secrets(tournament),
        }
    )


def _embeds(graph: Graph) -> bool:
    """Whether workers load a model of sentence-transformers."""
    recipes = (recipe for bundle in graph.bundles for recipe in bundle.recipes)
    embedders = (recipe.embedder for recipe in recipes if isinstance(recipe, FilterRecipe | CurateRecipe))
    return any(embedder is not None and embedder.method == "SentenceTransformers" for embedder in embedders)


def shown_prompts(tournament: Tournament, graph: Graph) -> tuple[AskedModel, ...]:
    """As `first_asked`, with where the models are that run already or whose weights are on this machine."""
    endpoints = {used.name: external_endpoint(used) for used in used_endpoints(tournament)}
    folders = {folder.field: folder for folder in _folders(tournament)}
    of = participations(tournament)
    return tuple(
        one.model_copy(
            update={"endpoint": endpoints.get(one.model), "folder": folders.get(of[one.model].weights_field)}
        )
        for one in first_asked(graph)
    )


def first_asked(graph: Graph) -> tuple[AskedModel, ...]:
    """What each model is asked for first, of each kind: the stages in the order of the plan."""
    first: dict[tuple[str, str], AskedModel] = {}
    for bundle in graph.bundles:
        if bundle.model is not None:
            asked = AskedModel(model=bundle.model, about=bundle.about, recipe=bundle.recipes[0])
            first.setdefault((bundle.stage, bundle.model), asked)
    return tuple(first.values())


def _lm_eval_tasks(tournament: Tournament, graph: Graph) -> Iterator[LmEvalTask]:
    """The tasks of the harness that models will be asked."""
    evaluation = tournament.spec.evaluation
    places = {task.name: place for place, task in enumerate(evaluation.lm_eval if evaluation else ())}
    for recipe in graph.benchmarks:
        if isinstance(recipe.tasks, LmEvalRecipe) and isinstance(recipe.by, MetricRecipe):
            field = f"spec.evaluation.lmEval[{places[recipe.tasks.name]}]"
            yield LmEvalTask(field=field, tasks=recipe.tasks, metric=recipe.by.metric)


def _endpoints(tournament: Tournament, graph: Graph) -> Iterator[NamedEndpoint]:
    """Servers that run already."""
    asked = first_asked(graph)
    verdicts = VERDICT_METHODS[tournament.spec.battles.verdict.method]
    for used in used_endpoints(tournament):
        named, one = NamedEndpoint(name=used.name, endpoint=external_endpoint(used)), used.used_by
        needs: dict[str, object] = {"needs_embeddings": True}
        if one is not None:
            probes = tuple(first.recipe for first in asked if first.model == used.name and first.recipe.stage in PROBED)
            needs = {
                "needs_completions": one.mines,
                "needs_logprobs": one.judges and verdicts.needs_logprobs,
                "probes": probes,
                "answer_tokens": answer_tokens(tournament, probes),
            }
        yield named.model_copy(update=needs)


def _files(tournament: Tournament, graph: Graph) -> Iterator[ReadableFile]:
    """Files of the user's that a stage will read."""
    names = tuple(player.name for player in tournament.spec.competitors)
    for path, texts in walk(tournament):
        if isinstance(texts, Texts | GivenInstructions):
            file = ReadableFile(field=path_text(path), uri=texts.uri or "", column=texts.field, sha256=texts.sha256)
            if isinstance(texts, GivenInstructions):
                given = {
                    "files": located(texts),
                    "limit": texts.limit,
                    "sample": sample_of(tournament),
                    "template": texts.template,
                    "messages": texts.messages_field,
                    "system": texts.system_field,
                    "on_bad_row": texts.on_bad_row,
                    "id": texts.id_field,
                    "keep": texts.keep,
                    "also": texts.attacker_field,
                    "names": names,
                    "instructions": True,
                }
                file = file.model_copy(update=given)
            if isinstance(texts, LabelledPairs):
                file = file.model_copy(update={"pairs": graph.recipes(PairsRecipe)[0]})
            yield file


def _existing_answers(tournament: Tournament) -> dict[str, object]:
    """Competitors that are only judged, and how many answers of theirs may be missing; nothing where there is none."""
    found = tuple(
        ReadableAnswers(field=f"spec.competitors[{place}].answers", name=one.name, model=one.identity())
        for place, one in enumerate(tournament.spec.competitors)
        if one.answers is not None
    )
    limits = Limits(max_void_fraction=tournament.spec.jobs.max_void_fraction)
    return {"answers": found, "limits": limits} if found else {}


def given_here(tournament: Tournament, graph: Graph) -> ReadableFile | None:
    """The instructions, where they are in files on this machine."""
    file = next((one for one in _files(tournament, graph) if one.instructions), None)
    uris = [] if file is None else [one.uri for one in file.files] or [file.uri]
    return file if all(uri.startswith("file://") for uri in uris) else None


def _folders(tournament: Tournament) -> Iterator[ModelFolder]:
    """Models in folders on this machine."""
    training = tournament.spec.training
    if training is not None and training.base_model.source.startswith("file://"):
        yield ModelFolder(
            field=f"spec.training.baseModel.{training.base_model.source_field}",
            path=unquote(training.base_model.source.removeprefix("file://")),
            needs_template=training.chat_template is None,
        )
    for one in participations(tournament).values():
        model = one.participant.model
        if model is not None and model.source.startswith("file://") and one.participant.name not in TARGETS:
            yield ModelFolder(
                field=one.weights_field,
                path=unquote(model.source.removeprefix("file://")),
                needs_template=one.mines and not _tells_template(one.participant),
                chat_template=one.participant.serving_or_default.option("--chat-template"),
            )


def _tells_template(participant: Participant) -> bool:
    """Whether the manifest says what a model's instructions are mined with: its server, or its weights, need not."""
    return participant.chat_template_prefix is not None or participant.tokenizer is not None


def _tokenizers(tournament: Tournament) -> Iterator[NamedTokenizer]:
    """Tokenizers that models mine with."""
    for one in participations(tournament).values():
        tokenizer = tokenizer_of(one.participant)
        if one.mines and tokenizer is not None:
            yield NamedTokenizer(field=f"{one.field}.tokenizer.uri", tokenizer=tokenizer)


def _simulated(tournament: Tournament) -> Iterator[SimulatedModel]:
    """Models that simulated experts play."""
    for one in participations(tournament).values():
        model = one.participant.model
        if model is not None and model.uri.startswith("sim://"):
            yield SimulatedModel(field=f"{one.field}.model.uri", uri=model.uri)


def _secrets(tournament: Tournament) -> dict[str, str]:
    """Environment variables that must be set, by field."""
    of_endpoints = (secret for used in used_endpoints(tournament) for secret in used.secrets)
    return {field: secret_variable(reference) for field, reference in chain(of_endpoints, token_references(tournament))}
