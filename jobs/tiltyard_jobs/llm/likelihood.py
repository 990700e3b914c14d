"""How likely a model finds a given text, as lm-evaluation-harness asks it of every choice of a question."""

from __future__ import annotations

from typing import NamedTuple

from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.llm.usage import Usage


class Likelihood(NamedTuple):
    """Of a continuation after its context.

    Attributes:
        logprob: natural, summed over the continuation's tokens.
        greedy: the model would have written it, token for token.
        usage: what the call cost.
    """

    logprob: float
    greedy: bool
    usage: Usage


async def likelihood(client: ModelClient, context: str, continuation: str, *, seed: int) -> Likelihood:
    """How likely `continuation` is after `context`.

    Both are cut into tokens as one text, as a model sees it, and blanks between them belong to the continuation
    (lm-evaluation-harness' rule: most tokens begin with their blank).

    Raises:
        RecordVoidError: the server does not say, or nothing stands before the continuation.
        ConfigurationError: the endpoint offers no such thing.
        TransientError: the endpoint is down.
    """
    whole = await client.extensions.tokenize(context + continuation, special=True)
    before = await client.extensions.tokenize(context.rstrip(), special=True) if context.strip() else []
    if whole is None or before is None:
        raise ConfigurationError(
            f"{client.url} has no /tokenize, which multiple-choice tasks need: serve the model with vLLM,"
            " or use a task with written answers"
        )
    # Without a context the tokenizer's own first token stands for one, where it has any.
    begins = max(1, len(before))
    if len(whole) <= begins:
        raise RecordVoidError(VoidReason.MALFORMED, "nothing is left of the continuation behind its context")
    try:
        echo = await client.echo(whole, seed=seed)
    except RecordVoidError as error:
        if error.reason is not VoidReason.MALFORMED:
            raise
        raise ConfigurationError(
            f"{client.url} gives no log-probabilities of a given text with model {client.model!r} ({error.detail}),"
            " which multiple-choice tasks need: serve the model with vLLM, or use a task with written answers"
        ) from error
    return Likelihood(sum(echo.logprobs[begins:]), all(echo.best[begins:]), echo.usage)
