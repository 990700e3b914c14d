"""Task documents: what the worker is told, the same on a cluster and on one machine."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from pydantic import JsonValue

from tiltyard.api import (
    CaBundle,
    Participant,
    ProgramEnvironment,
    Tournament,
    secret_variable,
)
from tiltyard.plan.graph import Bundle
from tiltyard.plan.participants import UsedEndpoint, participations, used_endpoints
from tiltyard.plan.planner import JobOrder
from tiltyard_jobs.contracts.recipe import EngineName, Recipe
from tiltyard_jobs.contracts.recipes import (
    JudgeRecipe,
    ReferencesRecipe,
    ScoreRecipe,
)
from tiltyard_jobs.contracts.solo_tasks import (
    PreflightTask,
)
from tiltyard_jobs.contracts.spending import Spending
from tiltyard_jobs.contracts.tasks import BundleTask, EndpointRef, LedgerRow, Limits, StoreRef
from tiltyard_jobs.contracts.trainer import TrainerRef


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
    spending: Spending | None = None,
    longest_given: int = 0,
) -> BundleTask:
    """The task of a bundle's Job.

    Args:
        tournament: the manifest.
        order: what to make.
        store: where artifacts live, as the worker sees it.
        url: where the bundle's model is served, if it is.
        ledger: what the run has cost, for the report.
        served_as: the name by which the server knows the model, where that is not its own.
        spending: what was planned and has happened, for the report.
        longest_given: as preflight has found it.
    """
    bundle = order.bundle
    endpoint = endpoint_of(tournament, bundle.model, url, served_as) if bundle.model else None
    most = answer_tokens(tournament, bundle.probes) if url is not None else None
    return BundleTask(
        stage=bundle.stage,
        tournament=tournament.metadata.name,
        bundle=bundle.name,
        store=store,
        recipes=bundle.recipes,
        indices=order.indices,
        others=bundle.after if bundle.model is None else (),
        probes=bundle.probes if url is not None else (),
        answer_tokens=most,
        longest_given=longest_given if most is not None else 0,
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
        spending=spending,
        given=tournament.spec.instructions.given is not None and bundle.model is not None,
    )


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


def answer_tokens(tournament: Tournament, probes: Iterable[Recipe]) -> int | None:
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


def parts_of(bundle: Bundle, order: JobOrder, index: int) -> tuple[tuple[str, int], ...]:
    """The parts that an index makes, as (artifact key, shard)."""
    return tuple((bundle.makes[part.recipe].key, part.shard) for part in order.indices[index])
