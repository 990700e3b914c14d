"""Preflight: what can be known to fail is found before any model starts, and what exists is not made again.

It is the first process of a run and, on a cluster, the one that holds the tenant's credentials so that the operator
needs none. All problems are told at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tiltyard_jobs.contracts.layout import artifact_prefix, manifest_key, shard_of_seal
from tiltyard_jobs.contracts.recipes import ArtifactRef
from tiltyard_jobs.contracts.summary import Summary, pack_bits
from tiltyard_jobs.contracts.tasks import NamedEndpoint, PreflightTask
from tiltyard_jobs.curation.benchmarks import load_known
from tiltyard_jobs.errors import ConfigurationError, JobError, TransientError
from tiltyard_jobs.llm.chat_template import load_chat_template
from tiltyard_jobs.llm.endpoint import Endpoint, connect
from tiltyard_jobs.llm.probe import require_raw_completions
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.template import find_prefix, prefix_from_template
from tiltyard_jobs.results import Manifest
from tiltyard_jobs.shard.context import PreflightContext
from tiltyard_jobs.stages.usertexts import check_texts
from tiltyard_jobs.store import Store

ENDPOINT_SECONDS = 20.0  # for an endpoint's first answer
_LISTERS = 8


async def preflight(context: PreflightContext) -> Summary:
    """Check the world.

    Raises:
        ConfigurationError: with a line for each thing that is wrong.
    """
    task = context.task
    problems = await find_problems(context)
    if problems:
        raise ConfigurationError("\n".join(problems))
    done = await asyncio.to_thread(existing_parts, context.store, task.artifacts)
    bits = [part in done[ref.key] for ref in task.artifacts for part in range(ref.shards)]
    context.log.info("preflight passed", parts=len(bits), exist=sum(bits))
    result = Summary(exit_code=0, done=pack_bits(bits))
    data = await asyncio.to_thread(context.store.get, manifest_key(task.run)) if all(bits) else None
    if data is None:
        return result
    manifest = Manifest.model_validate_json(data)
    return result.model_copy(update={"leaderboard": manifest.leaderboard, "outputs": manifest.outputs})


async def find_problems(context: PreflightContext) -> list[str]:
    """A sentence for each thing that is wrong, the cheapest checks first."""
    task = context.task
    checks = list(local_checks(task))
    if task.check_store:
        checks.insert(0, ("spec.output", context.store.check))
    asking = asyncio.gather(*(check_endpoint(context, named) for named in task.endpoints))
    problems = [
        f"{field}: {error}"
        for field, check in checks
        if (error := await asyncio.to_thread(_error_of, check)) is not None
    ]
    return [*problems, *(sentence for sentence in await asking if sentence)]


def _error_of(check: Callable[[], object]) -> JobError | None:
    try:
        check()
    except (ConfigurationError, TransientError) as error:
        return error
    return None


def local_checks(task: PreflightTask) -> Iterator[tuple[str, Callable[[], object]]]:
    """What can be seen without asking a model, as (field, check)."""
    for field, variable in task.secrets.items():
        yield field, partial(check_secret, variable)
    for folder in task.templates:
        yield folder.field, partial(check_template, Path(folder.path))
    for file in task.files:
        yield file.field, partial(check_texts, file.uri, file.column, task.store)
    for name in task.benchmarks:
        yield "spec.curation.decontaminate", partial(load_known, name)


def check_secret(variable: str) -> None:
    """A secret is where the worker will look for it."""
    if not os.environ.get(variable):
        raise ConfigurationError(f"the secret is not there: set the environment variable {variable}")


def check_template(folder: Path) -> None:
    """A model on this machine has a chat template from which instructions can be mined."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder of this machine")
    prefix_from_template(load_chat_template(folder))


async def check_endpoint(context: PreflightContext, named: NamedEndpoint) -> str | None:
    """What is wrong with an endpoint that runs already; None where nothing is."""
    ref = named.endpoint
    server = Endpoint(
        url=ref.url,
        model=ref.model,
        api_key_env=ref.api_key_env,
        ca_bundle=Path(ref.ca_bundle) if ref.ca_bundle else None,
    )
    policy = RetryPolicy(deadline=ENDPOINT_SECONDS, endpoint_deadline=ENDPOINT_SECONDS)
    try:
        async with connect(server, rng=context.rng, policy=policy, clock=context.clock) as client:
            served = await client.models()
            if served and ref.model not in served:
                raise ConfigurationError(f"{ref.url} serves {', '.join(served[:10])}, not {ref.model!r}")
            if named.needs_completions:
                await require_raw_completions(client)
            if named.needs_prefix:
                await find_prefix(client)
    except (ConfigurationError, TransientError) as error:
        return f"{ref.field}: {error}"
    return None


def existing_parts(store: Store, artifacts: tuple[ArtifactRef, ...]) -> dict[str, set[int]]:
    """Which parts are sealed, by artifact key. One listing for each artifact."""

    def look(ref: ArtifactRef) -> set[int]:
        names = (shard_of_seal(info.key) for info in store.list(artifact_prefix(ref)))
        return {number for number in names if number is not None and number < ref.shards}

    with ThreadPoolExecutor(_LISTERS) as pool:
        return dict(zip((ref.key for ref in artifacts), pool.map(look, artifacts), strict=True))
