"""Preflight: what can be known to fail is found before any model starts, and what exists is not made again.

It is the first process of a run and, on a cluster, the one that holds the tenant's credentials so that the operator
needs none. All problems are told at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tiltyard_jobs.contracts.layout import artifact_prefix, manifest_key, shard_of_seal
from tiltyard_jobs.contracts.recipes import ArtifactRef
from tiltyard_jobs.contracts.summary import Summary, pack_bits
from tiltyard_jobs.contracts.tasks import NamedEndpoint, PreflightTask
from tiltyard_jobs.curation.benchmarks import check_known
from tiltyard_jobs.errors import ConfigurationError, JobError, RecordVoidError
from tiltyard_jobs.llm.chat_template import load_chat_template
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import Endpoint, connect
from tiltyard_jobs.llm.probe import require_raw_completions
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.template import find_prefix, prefix_from_template
from tiltyard_jobs.results import Manifest
from tiltyard_jobs.shard.context import PreflightContext
from tiltyard_jobs.stages.usertexts import check_texts
from tiltyard_jobs.store.base import Store

ENDPOINT_SECONDS = 30.0  # for an endpoint's first answer
_LISTERS = 8


async def preflight(context: PreflightContext) -> Summary:
    """Check the world; raise one ConfigurationError with all that is wrong with it."""
    task = context.task
    problems = [problem async for problem in _problems(context)]
    if problems:
        raise ConfigurationError("\n".join(problems))
    done = await asyncio.to_thread(existing_parts, context.store, task.artifacts)
    bits = [part in done[ref.key] for ref in task.artifacts for part in range(ref.shards)]
    result = Summary(exit_code=0, done=pack_bits(bits))
    if all(bits):
        data = await asyncio.to_thread(context.store.get, manifest_key(task.run))
        if data is not None:
            manifest = Manifest.model_validate_json(data)
            result = result.model_copy(update={"leaderboard": manifest.leaderboard, "outputs": manifest.outputs})
    context.log.info("preflight passed", parts=len(bits), exist=sum(bits))
    return result


async def _problems(context: PreflightContext):  # type: ignore[no-untyped-def]
    """Sentences, cheapest checks first."""
    task = context.task
    if task.check_store:
        try:
            await asyncio.to_thread(context.store.check)
        except ConfigurationError as error:
            yield f"spec.output: {error}"
    for sentence in local_problems(task):
        yield sentence
    for sentence in await asyncio.gather(*(_endpoint_problem(context, named) for named in task.endpoints)):
        if sentence:
            yield sentence


def local_problems(task: PreflightTask) -> Iterator[str]:
    """What can be seen without asking a model."""
    for field, variable in task.secrets.items():
        if not os.environ.get(variable):
            yield f"{field}: the secret is not there: set the environment variable {variable}"
    checks: list[tuple[str, Callable[[], object]]] = [
        (folder.field, lambda path=folder.path: prefix_from_template(load_chat_template(Path(path))))
        for folder in task.templates
    ]
    checks += [(file.field, lambda file=file: check_texts(file.uri, file.column)) for file in task.files]
    checks += [("spec.curation.decontaminate", lambda name=name: check_known(name)) for name in task.benchmarks]
    for field, check in checks:
        try:
            check()
        except ConfigurationError as error:
            yield f"{field}: {error}"
