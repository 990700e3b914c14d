"""Preflight's look at endpoints that run already: each is asked for all that a run will ask it for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from tiltyard_jobs.contracts.solo_tasks import NamedEndpoint
from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, TransientError, VoidReason, quoted
from tiltyard_jobs.llm.caller import AccessRefusedError, NotServedError
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.probe import SERVED, refused_member, require_logprobs, require_raw_completions
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.unanswered import ADVICE, silence
from tiltyard_jobs.prompts.verdicts import TOP_LOGPROBS
from tiltyard_jobs.shard.context import PreflightContext
from tiltyard_jobs.stages.findings import keep_findings, known_findings
from tiltyard_jobs.stages.probing import probe

ENDPOINT_SECONDS = 8.0  # of refused connections and failures, until an endpoint counts as down
RETRY_SECONDS = 2.0  # between two tries at most: in the end a request that fails while others are answered is told of
ANSWER_SECONDS = 120.0  # for all that it is asked: a model may have to be loaded first
PROBE_SECONDS = 600.0  # for the probe, in which a model may think: as long as a record may take
ONE_TOKEN = Sampling(temperature=1.0, top_p=1.0, max_tokens=1)


async def check_endpoint(context: PreflightContext, named: NamedEndpoint, longest_given: int = 0) -> str | None:
    """What is wrong with an endpoint that runs already; None where nothing is.

    Args:
        context: of the preflight.
        named: the endpoint, and what it will be asked for.
        longest_given: as in `probe`.
    """
    ref = named.endpoint
    server = ModelEndpoint.of(ref)
    policy = RetryPolicy(endpoint_deadline=ENDPOINT_SECONDS, max_delay=RETRY_SECONDS)
    try:
        async with _metered(context, connect(server, rng=context.rng, policy=policy, clock=context.clock)) as client:
            async with _patience(client, ANSWER_SECONDS):
                await _ask_one_of_each_kind(client, named)
            async with _patience(client, PROBE_SECONDS):
                findings = await probe(
                    client,
                    named.probes,
                    field=ref.field,
                    asker="preflight",
                    answer_tokens=named.answer_tokens,
                    longest_given=longest_given,
                )
            for finding in findings:
                context.warnings.append(f"{ref.field}: {finding.sentence}")
                context.log.warning("an endpoint has passed its probe with a warning", finding=str(finding.kind))
            context.warnings.extend(f"{ref.field}: {sentence}" for sentence in client.warnings)
            if context.task.check_store:  # this is a run, and no plan of one
                before = await known_findings(context.store, named.probes)
                await keep_findings(context.store, named.probes, client.findings, before)
    except (ConfigurationError, TransientError) as error:
        return f"{error.under(ref.field)}{quoted(error.words)}"
    except RecordVoidError as error:
        what = f"{ref.url} does not answer as model {ref.model!r} should: {error}{error.quoted}"
        return f"{ref.field}: {what}: {_remedy_of(error, ref)}"
    return None


def _remedy_of(error: RecordVoidError, ref: EndpointRef) -> str:
    """What to do about an endpoint that answers, and not as it should."""
    if error.reason is VoidReason.MALFORMED:
        return "give the URL of an API like OpenAI's"
    if mine := refused_member(error, ref.extra_body):
        return f"remove {mine} from request.extraBody, or use another server"
    if error.reason is VoidReason.REFUSED_BY_SERVER and ref.stop and "stop" in error.members:
        return "remove request.stop, or use another server"
    if error.reason is VoidReason.REFUSED_BY_SERVER:
        return "use another model or server"
    return "see the server's log"


@asynccontextmanager
async def _patience(client: ModelClient, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        last = client.last_failure
        advice = last.advice if last is not None else ADVICE
        words = last.words if last is not None else ""
        raise TransientError(f"{silence(client.url, seconds, last)}: {advice}", words) from None


@asynccontextmanager
async def _metered(
    context: PreflightContext, connection: AbstractAsyncContextManager[ModelClient]
) -> AsyncIterator[ModelClient]:
    started = context.clock()
    async with connection as client:
        try:
            yield client
        finally:
            context.meter.add(client.usage, context.clock() - started)


async def _ask_one_of_each_kind(client: ModelClient, named: NamedEndpoint) -> None:
    # Not every server lists its models, or lets every key list them, or lists them as OpenAI does.
    with suppress(NotServedError, AccessRefusedError, RecordVoidError):
        served = await client.models()
        if served and not _is_among(client.model, served):
            names = ", ".join(list(served)[:10])
            raise ConfigurationError(f"{client.url} serves {names}, not {client.model!r}: name one of them")
    if named.needs_embeddings:
        await client.embed(["1", "Sort a list."])
        return
    try:
        await client.chat([{"role": "user", "content": "1"}], sampling=ONE_TOKEN, seed=0)
    except RecordVoidError as error:
        if error.reason not in SERVED:  # the model had nothing to say, or one token is no more than half a thought
            raise
    if named.needs_completions:
        await require_raw_completions(client)
    if named.needs_logprobs:
        await require_logprobs(client, TOP_LOGPROBS)


def _is_among(model: str, served: Iterable[str]) -> bool:
    """Whether a server that lists these names knows a model.

    Ollama knows `a:latest` as `a`, Gemini `models/a`; OpenRouter knows `a` as `a:nitro` too.
    """
    plain = model.rpartition(":")[0]
    return any(
        model in (name, name.removesuffix(":latest"), name.removeprefix("models/")) or plain == name for name in served
    )
