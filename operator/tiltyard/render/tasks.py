"""Task documents: what the worker is told, the same on a cluster and on one machine."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tiltyard.api import Endpoint, KeyReference, Participant, Tournament
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.planner import JobOrder
from tiltyard_jobs.contracts.tasks import (
    BundleTask,
    EndpointRef,
    LedgerRow,
    Limits,
    NamedEndpoint,
    PreflightTask,
    ReadableFile,
    StoreRef,
    TokenizerFolder,
)


def secret_variable(reference: KeyReference) -> str:
    """The environment variable in which a worker finds a secret: `TILTYARD_SECRET_NAME_KEY`."""
    return "TILTYARD_SECRET_" + re.sub(r"[^A-Z0-9]", "_", f"{reference.name}_{reference.key}".upper())


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
    }


def participants(tournament: Tournament) -> Mapping[str, Participant]:
    """Competitors and judges by name."""
    return {participant.name: participant for participant in (*tournament.spec.competitors, *tournament.spec.judges)}


def endpoint_of(tournament: Tournament, model: str, url: str | None) -> EndpointRef:
    """How a worker reaches a model.

    Args:
        tournament: the manifest.
        model: a competitor's or judge's name.
        url: where it is served, with its `/v1`; None for an endpoint that runs already.
    """
    participant, field = participants(tournament)[model], fields(tournament)[model]
    if participant.endpoint is not None:
        return external_endpoint(participant.endpoint, f"{field}.endpoint")
    assert url is not None, f"{model} is not served"
    return EndpointRef(url=url, model=model, field=field)


def bundle_task(
    tournament: Tournament,
    order: JobOrder,
    store: StoreRef,
    url: str | None,
    ledger: tuple[LedgerRow, ...] = (),
) -> BundleTask:
    """The task of a bundle's Job.

    Args:
        tournament: the manifest.
        order: what to make.
        store: where artifacts live, as the worker sees it.
        url: where the bundle's model is served, if it is.
        ledger: what the run has cost, for the report.
    """
    bundle = order.bundle
    embedder = tournament.spec.curation.diversity.embedder.endpoint
    return BundleTask(
        stage=bundle.stage,
        tournament=tournament.metadata.name,
        store=store,
        recipes=bundle.recipes,
        indices=order.indices,
        endpoint=endpoint_of(tournament, bundle.model, url) if bundle.model else None,
        embedder=(
            external_endpoint(embedder, "spec.curation.diversity.embedder.endpoint")
            if embedder is not None and bundle.stage in ("filter", "curate")
            else None
        ),
        limits=Limits(max_void_fraction=tournament.spec.jobs.max_void_fraction),
        ledger=ledger if bundle.stage == "report" else (),
    )


def preflight_task(tournament: Tournament, graph: Graph, store: StoreRef, *, check_store: bool = True) -> PreflightTask:
    """What must hold before any model starts.

    Args:
        tournament: the manifest.
        graph: its graph.
        store: where artifacts live, as the worker sees it.
        check_store: write a probe; False: only look at what exists.
    """
    spec, curation = tournament.spec, tournament.spec.curation
    mining = spec.instructions.mine is not None
    places = fields(tournament)
    external = [
        NamedEndpoint(
            name=participant.name,
            endpoint=external_endpoint(participant.endpoint, f"{places[participant.name]}.endpoint"),
            needs_completions=mining and participant in spec.competitors,
            needs_prefix=mining and participant in spec.competitors and participant.chat_template_prefix is None,
        )
        for participant in participants(tournament).values()
        if participant.endpoint is not None
    ]
    files = []
    if given := spec.instructions.given:
        files.append(ReadableFile(field="spec.instructions.from", uri=given.uri, column=given.field))
    files += [
        ReadableFile(field=f"spec.curation.heldOut[{place}]", uri=texts.uri, column=texts.field)
        for place, texts in enumerate(curation.held_out)
    ]
    folders = [
        TokenizerFolder(field=f"{places[player.name]}.model.uri", path=player.model.uri.removeprefix("file://"))
        for player in spec.competitors
        if mining and player.model and player.model.uri.startswith("file://") and player.chat_template_prefix is None
    ]
    secrets = {
        f"{places[participant.name]}.endpoint.apiKeySecretRef": secret_variable(participant.endpoint.api_key_secret_ref)
        for participant in participants(tournament).values()
        if participant.endpoint and participant.endpoint.api_key_secret_ref
    }
    return PreflightTask(
        tournament=tournament.metadata.name,
        store=store,
        run=graph.run,
        artifacts=graph.artifacts,
        endpoints=tuple(external),
        files=tuple(files),
        benchmarks=curation.decontaminate,
        templates=tuple(folders),
        secrets=secrets,
        check_store=check_store,
    )


def parts_of(bundle: Bundle, order: JobOrder, index: int) -> tuple[tuple[str, int], ...]:
    """The parts that an index makes, as (artifact key, shard)."""
    return tuple((bundle.makes[part.recipe].key, part.shard) for part in order.indices[index])
