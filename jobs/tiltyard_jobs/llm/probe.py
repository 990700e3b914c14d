"""What preflight asks an endpoint before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.caller import AccessRefusedError, NotServedError
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.form import FEWEST_LOGPROBS

SERVED = frozenset({VoidReason.EMPTY, VoidReason.TRUNCATED, VoidReason.THOUGHT_UNFINISHED, VoidReason.NO_ANSWER})
"""Voids of a request for one token that was served: the model had nothing to say, or began to think."""

_ONE_TOKEN = Sampling(temperature=1.0, top_p=1.0, max_tokens=1)


def refused_member(error: RecordVoidError, extra_body: Mapping[str, Any]) -> str | None:
    """The member of the user's own that a refusal names, if any."""
    if error.reason is not VoidReason.REFUSED_BY_SERVER:
        return None
    return next(iter(sorted(error.members & extra_body.keys())), None)


async def can_complete_raw(client: ModelClient) -> bool:
    """Whether the endpoint continues a raw prompt, which mining needs.

    Raises:
        ConfigurationError: the key is refused, or the URL redirects.
        TransientError: the endpoint is down.
    """
    return await _refusal_of_raw(client) is None


async def require_raw_completions(client: ModelClient) -> None:
    """Preflight's form of `can_complete_raw`.

    Raises:
        ConfigurationError: one sentence with the endpoint, the model and what to do; or as `can_complete_raw`.
        TransientError: the endpoint is down.
    """
    refusal = await _refusal_of_raw(client)
    if refusal is not None:
        raise ConfigurationError(
            f"{client.url} does not complete raw prompts with model {client.model!r}, which mining needs: "
            "take instructions from a file (instructions.from), or serve the model where /completions is offered",
            refusal.words,
        )


async def _refusal_of_raw(client: ModelClient) -> NotServedError | RecordVoidError | None:
    try:
        await client.complete("The", sampling=_ONE_TOKEN, seed=0)
    except NotServedError as error:
        return error
    except RecordVoidError as error:
        return None if error.reason in SERVED else error
    return None


async def context_of(client: ModelClient) -> int | None:
    """How many tokens the model holds; None where its server does not say.

    Raises:
        TransientError: the endpoint is down.
    """
    with suppress(NotServedError, AccessRefusedError, RecordVoidError):
        return (await client.models()).get(client.model)
    return None


async def require_logprobs(client: ModelClient, top: int) -> None:
    """Whether the endpoint tells the likeliest first tokens of a reply, which judging by log-probabilities needs.

    Args:
        client: the endpoint.
        top: how many of them.

    Raises:
        ConfigurationError: one sentence with the endpoint, the model and what to do; or as `can_complete_raw`.
        RecordVoidError: it does not answer at all.
        TransientError: the endpoint is down.
    """
    try:
        await client.chat([{"role": "user", "content": "1"}], sampling=_ONE_TOKEN, seed=0, top_logprobs=top)
    except RecordVoidError as error:
        if error.reason is VoidReason.UNAVAILABLE:
            raise
        if error.reason in SERVED:
            return
        raise ConfigurationError(
            f"{client.url} gives no log-probabilities with model {client.model!r} ({error.detail}{error.quoted}), which"
            " spec.battles.verdict.method Logprobs needs: take method Choice, or serve the model where logprobs and"
            f" at least {FEWEST_LOGPROBS} top_logprobs are offered"
        ) from error
