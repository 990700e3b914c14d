"""Task documents: what the worker is told, the same on a cluster and on one machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from tiltyard.api import Endpoint, Participant, ProgramEnvironment, Tournament
from tiltyard.api import secret_variable as secret_variable
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.planner import JobOrder
from tiltyard.plan.target import targets
from tiltyard_jobs.contracts.target_recipes import (
    LmEvalRecipe,
    MetricRecipe,
    QuestionsRecipe,
    ReferencesRecipe,
    ScoreRecipe,
    TaskSetRecipe,
)
from tiltyard_jobs.contracts.tasks import (
    BundleTask,
    EndpointRef,
    LedgerRow,
    Limits,
    LmEvalTask,
    ModelFolder,
    NamedEndpoint,
    PreflightTask,
    ReadableFile,
    SimulatedModel,
    StoreRef,
    TrainerRef,
)
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS


def external_endpoint(endpoint: Endpoint, field: str) -> EndpointRef:
    """An endpoint that runs already."""
    secret = endpoint.api_key_secret_ref
    return EndpointRef(
        url=endpoint.url,
        model=endpoint.model,
        api_key_env=secret_variable(secret) if secret else None,
        field=field,
    )


def fields(tournament: Tournament) -> Mapping[str, str]:
    """The manifest's field of each participant, by name."""
    spec = tournament.spec
    return {
        participant.name: f"spec.{kind}[{place}]"
        for kind, group in (("competitors", spec.competitors), ("judges", spec.judges))
        for place, participant in enumerate(group)
    } | {participant.name: "spec.training" for participant in targets(tournament)}


def participants(tournament: Tournament) -> Mapping[str, Participant]:
    """Competitors, judges, and the target model before and after its training, by name."""
    spec = tournament.spec
    return {participant.name: participant for participant in (*spec.competitors, *spec.judges, *targets(tournament))}


def endpoint_of(tournament: Tournament, model: str, url: str | None, served_as: str | None = None) -> EndpointRef:
    """How a worker reaches a model.

    Args:
        tournament: the manifest.
        model: a competitor's or judge's name.
        url: where it is served, with its `/v1`; None for an endpoint that runs already.
        served_as: the name by which the server knows it, where that is not its own.
    """
    participant, field = participants(tournament)[model], fields(tournament)[model]
    if participant.endpoint is not None:
        return external_endpoint(participant.endpoint, f"{field}.endpoint")
    assert url is not None, f"{model} is not served"
    return EndpointRef(url=url, model=served_as or model, field=field)


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
    embedder = tournament.spec.curation.diversity.embedder.endpoint
    return BundleTask(
        stage=bundle.stage,
        tournament=tournament.metadata.name,
        store=store,
        recipes=bundle.recipes,
        indices=order.indices,
        endpoint=endpoint_of(tournament, bundle.model, url, served_as) if bundle.model else None,
        embedder=(
            external_endpoint(embedder, EMBEDDER)
            if embedder is not None and bundle.stage in ("filter", "curate")
            else None
        ),
        limits=Limits(max_void_fraction=tournament.spec.jobs.max_void_fraction),
        ledger=ledger if bundle.stage == "report" else (),
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
    return task.model_copy(
        update={
            "endpoints": tuple(_endpoints(tournament)),
            "files": tuple(_files(tournament)),
            "benchmarks": tournament.spec.curation.decontaminate,
            "task_sets": tuple(one.tasks for one in graph.benchmarks if isinstance(one.tasks, TaskSetRecipe)),
            "lm_eval": tuple(_lm_eval_tasks(tournament, graph)),
            "folders": tuple(_folders(tournament)),
            "simulated": tuple(_simulated(tournament)),
            "secrets": _secrets(tournament),
        }
    )


def uses_lm_eval(task: BundleTask | PreflightTask) -> bool:
    """Whether the worker needs lm-evaluation-harness."""
    if isinstance(task, PreflightTask):
        return bool(task.lm_eval)
    asked = (recipe for recipe in task.recipes if isinstance(recipe, QuestionsRecipe | ScoreRecipe))
    return any(isinstance(recipe.tasks, LmEvalRecipe) for recipe in asked)


def told_of_lm_eval(task: BundleTask | PreflightTask, python: str | None) -> dict[str, object]:
    """What a task lacks that needs lm-evaluation-harness: where that is; nothing for any other task.

    Args:
        task: any.
        python: an interpreter with the harness; None: the worker's own.
    """
    return {"lm_eval_python": python} if uses_lm_eval(task) else {}


def runs_programs(task: BundleTask | PreflightTask) -> bool:
    """Whether the worker runs programs of hostile origin."""
    return task.stage == "references" or (task.stage == "score" and not uses_lm_eval(task))


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


EMBEDDER = "spec.curation.diversity.embedder.endpoint"


def uses_embedder(tournament: Tournament) -> bool:
    """Whether any stage turns instructions into vectors."""
    curation = tournament.spec.curation
    return curation.dedup.method == "Semantic" or curation.diversity.method == "KCenterGreedy"


def _endpoints(tournament: Tournament) -> Iterator[NamedEndpoint]:
    """Servers that run already."""
    spec, places = tournament.spec, fields(tournament)
    judges = spec.judges or spec.competitors
    verdicts = VERDICT_METHODS[spec.battles.verdict.method]
    for participant in participants(tournament).values():
        if participant.endpoint is not None:
            mines = spec.instructions.mine is not None and participant in spec.competitors
            yield NamedEndpoint(
                name=participant.name,
                endpoint=external_endpoint(participant.endpoint, f"{places[participant.name]}.endpoint"),
                needs_completions=mines,
                needs_prefix=mines and participant.chat_template_prefix is None,
                needs_logprobs=participant in judges and verdicts.needs_logprobs,
            )
    embedder = spec.curation.diversity.embedder.endpoint
    if embedder is not None and uses_embedder(tournament):
        yield NamedEndpoint(name="embedder", endpoint=external_endpoint(embedder, EMBEDDER), needs_embeddings=True)


def _files(tournament: Tournament) -> Iterator[ReadableFile]:
    """Files of the user's that a stage will read."""
    spec = tournament.spec
    if given := spec.instructions.given:
        yield ReadableFile(
            field="spec.instructions.from",
            uri=given.uri,
            column=given.field,
            sha256=given.sha256,
            also=given.attacker_field,
            names=tuple(player.name for player in spec.competitors),
        )
    for place, texts in enumerate(spec.curation.held_out):
        field = f"spec.curation.heldOut[{place}]"
        yield ReadableFile(field=field, uri=texts.uri, column=texts.field, sha256=texts.sha256)


def trainer_ref(tournament: Tournament, python: str | None) -> TrainerRef:
    """How the target is trained.

    Args:
        tournament: with `spec.training`.
        python: an interpreter with TRL; None: the worker's own.
    """
    training = tournament.spec.training
    assert training is not None
    scheme, _, place = training.base_model.uri.partition("://")
    base = {"file": unquote(place), "pvc": f"{BASE_FOLDER}/{place.partition('/')[2]}"}.get(scheme, place)
    devices = int(training.resources.demand().get(GPU, 0))
    trainer = training.trainer
    return TrainerRef(
        python=python, base=base, devices=devices, nodes=trainer.num_nodes, device_batch=trainer.device_batch_size
    )


BASE_FOLDER = "/base"
"""Where a pod that trains finds the claim that holds the base model."""


GPU = "nvidia.com/gpu"


def _folders(tournament: Tournament) -> Iterator[ModelFolder]:
    """Models in folders on this machine."""
    spec, places = tournament.spec, fields(tournament)
    if spec.training is not None and spec.training.base_model.uri.startswith("file://"):
        yield ModelFolder(
            field="spec.training.baseModel.uri",
            path=unquote(spec.training.base_model.uri.removeprefix("file://")),
            needs_template=spec.training.chat_template is None,
        )
    for participant in (*spec.competitors, *spec.judges):
        if participant.model is not None and participant.model.uri.startswith("file://"):
            mines = spec.instructions.mine is not None and participant in spec.competitors
            yield ModelFolder(
                field=f"{places[participant.name]}.model.uri",
                path=unquote(participant.model.uri.removeprefix("file://")),
                needs_template=mines and participant.chat_template_prefix is None,
            )


def _simulated(tournament: Tournament) -> Iterator[SimulatedModel]:
    """Models that simulated experts play."""
    places = fields(tournament)
    for participant in participants(tournament).values():
        if participant.model is not None and participant.model.uri.startswith("sim://"):
            yield SimulatedModel(field=f"{places[participant.name]}.model.uri", uri=participant.model.uri)


def _secrets(tournament: Tournament) -> dict[str, str]:
    """Environment variables that must be set, by field."""
    places = fields(tournament)
    endpoints = {
        f"{places[participant.name]}.endpoint": participant.endpoint
        for participant in participants(tournament).values()
    }
    if uses_embedder(tournament):
        endpoints[EMBEDDER] = tournament.spec.curation.diversity.embedder.endpoint
    return {
        f"{field}.apiKeySecretRef": secret_variable(endpoint.api_key_secret_ref)
        for field, endpoint in endpoints.items()
        if endpoint is not None and endpoint.api_key_secret_ref is not None
    }


def parts_of(bundle: Bundle, order: JobOrder, index: int) -> tuple[tuple[str, int], ...]:
    """The parts that an index makes, as (artifact key, shard)."""
    return tuple((bundle.makes[part.recipe].key, part.shard) for part in order.indices[index])
