"""Task documents: what the worker is told, the same on a cluster and on one machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from urllib.parse import unquote

from pydantic import JsonValue

from tiltyard.api import (
    CaBundle,
    GivenInstructions,
    LabelledPairs,
    Participant,
    ProgramEnvironment,
    Texts,
    Tournament,
)
from tiltyard.api import secret_variable as secret_variable
from tiltyard.api.fields import walk
from tiltyard.api.problems import path_text
from tiltyard.plan.build import PROBED
from tiltyard.plan.curation import decontaminated, not_decontaminated
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.participants import TARGETS, UsedEndpoint, participations, token_references, used_endpoints
from tiltyard.plan.planner import JobOrder
from tiltyard.plan.recipes.instructions import located, sample_of, tokenizer_of
from tiltyard_jobs.contracts.recipe import EngineName, Recipe
from tiltyard_jobs.contracts.recipes import (
    CurateRecipe,
    FilterRecipe,
    JudgeRecipe,
    LmEvalRecipe,
    MetricRecipe,
    PairsRecipe,
    ReferencesRecipe,
    ScoreRecipe,
    TaskSetRecipe,
)
from tiltyard_jobs.contracts.tasks import (
    AskedModel,
    BundleTask,
    EndpointRef,
    LedgerRow,
    Limits,
    LmEvalTask,
    ModelFolder,
    NamedEndpoint,
    NamedTokenizer,
    PreflightTask,
    ReadableAnswers,
    ReadableFile,
    SimulatedModel,
    StoreRef,
)
from tiltyard_jobs.contracts.trainer import TrainerRef
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS


def _extra_body(participant: Participant) -> dict[str, JsonValue]:
    request = participant.request
    return dict(request.extra_body or {}) if request is not None else {}


def _stop(participant: Participant) -> tuple[str, ...]:
    return (participant.request.stop or ()) if participant.request is not None else ()


def _thought_marks(participant: Participant) -> tuple[str, ...]:
    return participant.thought_marks.identity if participant.thought_marks is not None else ()


CA_FOLDERS, CA_FILE = "/etc/tiltyard-endpoint-ca", "ca.pem"
"""Where a pod that asks endpoints finds the certificates by which theirs are checked."""


def ca_path(bundle: CaBundle) -> str:
    """Where a worker finds the certificates: on this machine, or in its pod."""
    if bundle.file is not None:
        return unquote(bundle.file.removeprefix("file://"))
    kind, reference = ("configmap", bundle.config_map_ref) if bundle.config_map_ref else ("secret", bundle.secret_ref)
    assert reference is not None, "a CA bundle has a source"
    return f"{CA_FOLDERS}/{kind}/{reference.name}/{reference.key}/{CA_FILE}"


def external_endpoint(used: UsedEndpoint) -> EndpointRef:
    """An endpoint that runs already."""
    endpoint = used.endpoint
    secret = endpoint.api_key_secret_ref
    return EndpointRef(
        url=endpoint.url,
        model=endpoint.model,
        api_key_env=secret_variable(secret) if secret else None,
        headers={one.name: one.value for one in used.headers if one.value is not None},
        header_env={
            one.name: secret_variable(one.value_secret_ref) for one in used.headers if one.value_secret_ref is not None
        },
        ca_bundle=ca_path(used.ca_bundle) if used.ca_bundle is not None else None,
        extra_body=_extra_body(used.used_by.participant) if used.used_by is not None else {},
        thought_marks=_thought_marks(used.used_by.participant) if used.used_by is not None else (),
        stop=_stop(used.used_by.participant) if used.used_by is not None else (),
        field=used.field,
    )


def endpoint_of(tournament: Tournament, model: str, url: str | None, served_as: str | None = None) -> EndpointRef:
    """How a worker reaches a model.

    Args:
        tournament: the manifest.
        model: a competitor's or judge's name.
        url: where it is served, with its `/v1`; None for an endpoint that runs already.
        served_as: the name by which the server knows it, where that is not its own.
    """
    one = participations(tournament)[model]
    if one.participant.endpoint is not None:
        return external_endpoint(UsedEndpoint.of(one, one.participant.endpoint))
    assert url is not None, f"{model} is not served"
    return EndpointRef(
        url=url,
        model=served_as or model,
        extra_body=_extra_body(one.participant),
        thought_marks=_thought_marks(one.participant),
        stop=_stop(one.participant),
        field=one.field,
    )


def bundle_task(
    tournament: Tournament,
    order: JobOrder,
    store: StoreRef,
    url: str | None,
    ledger: tuple[LedgerRow, ...] = (),
    served_as: str | None = None,
) -> BundleTask:
    """The task of a bundle's Job.

    Args:
        tournament: the manifest.
        order: what to make.
        store: where artifacts live, as the worker sees it.
        url: where the bundle's model is served, if it is.
        ledger: what the run has cost, for the report.
        served_as: the name by which the server knows the model, where that is not its own.
    """
    bundle = order.bundle
    endpoint = endpoint_of(tournament, bundle.model, url, served_as) if bundle.model else None
    return BundleTask(
        stage=bundle.stage,
        tournament=tournament.metadata.name,
        store=store,
        recipes=bundle.recipes,
        indices=order.indices,
        others=bundle.after if bundle.model is None else (),
        probes=bundle.probes if url is not None else (),
        answer_tokens=_answer_tokens(tournament, bundle.probes) if url is not None else None,
        endpoint=endpoint,
        embedder=next(
            (
                external_endpoint(used)
                for used in used_endpoints(tournament)
                if is_asked_by(used, bundle) and used.used_by is None
            ),
            None,
        ),
        limits=Limits(max_void_fraction=tournament.spec.jobs.max_void_fraction),
        ledger=ledger if any(recipe.SHOWS_COSTS for recipe in bundle.recipes) else (),
        given=tournament.spec.instructions.given is not None and bundle.model is not None,
    )


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
            "benchmarks": tuple(one.name for one in decontaminated(tournament) if one.name not in read),
            "task_sets": task_sets,
            "needs_embeddings": _embeds(graph),
            "lm_eval": tuple(_lm_eval_tasks(tournament, graph)),
            "folders": tuple(_folders(tournament)),
            "tokenizers": tuple(_tokenizers(tournament)),
            "simulated": tuple(_simulated(tournament)),
            "system_prompts": mine.system_prompts if (mine := tournament.spec.instructions.mine) else (),
            "secrets": _secrets(tournament),
            "warnings": tuple(filter(None, [not_decontaminated(tournament)])),
        }
    )


def _embeds(graph: Graph) -> bool:
    """Whether workers load a model of sentence-transformers."""
    recipes = (recipe for bundle in graph.bundles for recipe in bundle.recipes)
    embedders = (recipe.embedder for recipe in recipes if isinstance(recipe, FilterRecipe | CurateRecipe))
    return any(embedder is not None and embedder.method == "SentenceTransformers" for embedder in embedders)


def first_asked(graph: Graph) -> tuple[AskedModel, ...]:
    """What each model is asked for first, of each kind: the stages in the order of the plan."""
    first: dict[tuple[str, str], AskedModel] = {}
    for bundle in graph.bundles:
        if bundle.model is not None:
            asked = AskedModel(model=bundle.model, about=bundle.about, recipe=bundle.recipes[0])
            first.setdefault((bundle.stage, bundle.model), asked)
    return tuple(first.values())


def is_asked_by(used: UsedEndpoint, bundle: Bundle) -> bool:
    """Whether a bundle's worker asks an endpoint."""
    if used.used_by is None:
        return any(recipe.embeds for recipe in bundle.recipes)
    return used.name == bundle.model


def engine_of(task: BundleTask | PreflightTask) -> EngineName | None:
    """What a task's worker runs besides itself."""
    if isinstance(task, PreflightTask):
        return "LmEval" if task.lm_eval else None
    return task.recipes[0].engine


def told_of_lm_eval(task: BundleTask | PreflightTask, python: str | None) -> dict[str, object]:
    """What a task lacks that needs lm-evaluation-harness: where that is; nothing for any other task.

    Args:
        task: any.
        python: an interpreter with the harness; None: the worker's own.
    """
    return {"lm_eval_python": python} if engine_of(task) == "LmEval" else {}


def _answer_tokens(tournament: Tournament, probes: Iterable[Recipe]) -> int | None:
    """The most tokens of an answer that a judge is shown; None where none is probed."""
    judges = any(recipe.stage == JudgeRecipe.STAGE for recipe in probes)
    return tournament.spec.battles.answer.max_tokens if judges else None


def runs_programs(task: BundleTask | PreflightTask) -> bool:
    """Whether the worker runs programs of hostile origin."""
    return isinstance(task, BundleTask) and any(recipe.runs_programs for recipe in task.recipes)


def environment_of(tournament: Tournament, task: BundleTask | PreflightTask) -> ProgramEnvironment | None:
    """Where the programs run that a worker runs; None where it runs none, or where it is itself."""
    evaluation = tournament.spec.evaluation
    if isinstance(task, PreflightTask) or evaluation is None or not runs_programs(task):
        return None
    (benchmark,) = {r.tasks.name for r in task.recipes if isinstance(r, ReferencesRecipe | ScoreRecipe)}
    return next((one for one in evaluation.environments if one.benchmark == benchmark), None)


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
                "needs_prefix": one.mines and not _tells_template(one.participant),
                "needs_logprobs": one.judges and verdicts.needs_logprobs,
                "probes": probes,
                "answer_tokens": _answer_tokens(tournament, probes),
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


def trainer_ref(tournament: Tournament, python: str | None) -> TrainerRef:
    """How the target is trained.

    Args:
        tournament: with `spec.training`.
        python: an interpreter with TRL; None: the worker's own.
    """
    training = tournament.spec.training
    assert training is not None
    scheme, _, place = training.base_model.source.partition("://")
    base = {"file": unquote(place), "pvc": f"{BASE_FOLDER}/{place.partition('/')[2]}"}.get(scheme, place)
    trainer, token = training.trainer, training.base_model.token_secret_ref
    return TrainerRef(
        python=python,
        base=base,
        devices=training.gpus,
        nodes=trainer.num_nodes,
        device_batch=trainer.device_batch_size,
        token_env=secret_variable(token) if token is not None else None,
        hub=training.base_model.endpoint,
    )


BASE_FOLDER = "/base"
"""Where a pod that trains finds the claim that holds the base model."""


def _folders(tournament: Tournament) -> Iterator[ModelFolder]:
    """Models in folders on this machine."""
    training = tournament.spec.training
    if training is not None and training.base_model.source.startswith("file://"):
        yield ModelFolder(
            field="spec.training.baseModel.uri",
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


def parts_of(bundle: Bundle, order: JobOrder, index: int) -> tuple[tuple[str, int], ...]:
    """The parts that an index makes, as (artifact key, shard)."""
    return tuple((bundle.makes[part.recipe].key, part.shard) for part in order.indices[index])
