"""One model at one endpoint: completions, chat, embeddings."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import structlog

from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.caller import Caller, Sleep
from tiltyard_jobs.llm.extensions import Extensions
from tiltyard_jobs.llm.findings import Findings
from tiltyard_jobs.llm.form import RequestForm
from tiltyard_jobs.llm.manner import FEWEST_TOKENS, MANNER_TOKENS, QUESTION, Manner, MannerOf, manner_of
from tiltyard_jobs.llm.rendering import Messages
from tiltyard_jobs.llm.reply import (
    ChatReply,
    Completion,
    Echo,
    chat_parts_of,
    chat_reply_of,
    completion_of,
    completion_parts_of,
    echo_of,
    embeddings_of,
    models_of,
    thought_cut,
)
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.roles import SystemRole, in_user_turn
from tiltyard_jobs.llm.thoughts import PAIRS, Pair, Parts, State
from tiltyard_jobs.llm.transport import Transport
from tiltyard_jobs.llm.unanswered import Unanswered
from tiltyard_jobs.llm.usage import Usage

log = structlog.get_logger(__name__)

# Of each token of a reply with a thought: behind one the distribution is sharp, and twenty make megabytes.
TOP_LOGPROBS_BEHIND_THOUGHTS = 5
MOST_STOPS = 4  # OpenAI's API takes no more


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model draws its tokens. `max_tokens` bounds what it writes, its thought included."""

    temperature: float
    top_p: float
    max_tokens: int


class ModelClient:
    """Calls to one model. For one event loop; any number of tasks.

    Attributes:
        extra_body: members that are added to each request for text.
        warnings: sentences for the user about what the server does not take, as they are found.
        extensions: what else its server may offer.

    Args:
        transport: the way to the server.
        url: the endpoint as the user wrote it, for messages.
        model: the name that requests carry.
        max_concurrency: the most requests under way at once.
        rng: the source of jitter; draws nothing that shows in a result.
        policy: when to retry and when to give up.
        version: the path segment of the OpenAI API below the server's root; empty where it has none.
        extra_body: members that are added to each request for text.
        stop: texts at which each reply of a chat ends, beside those that are asked for.
        pairs: the marks of its thoughts.
        clock: monotonic seconds.
        sleep: waits.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        url: str,
        model: str,
        max_concurrency: int,
        rng: random.Random,
        policy: RetryPolicy | None = None,
        version: str = "v1",
        extra_body: Mapping[str, Any] = MappingProxyType({}),
        stop: Sequence[str] = (),
        pairs: tuple[Pair, ...] = PAIRS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.url = url
        self.model = model
        base = f"/{version}" if version else ""
        self._completions = f"{base}/completions"
        self._chat = f"{base}/chat/completions"
        self._embeddings = f"{base}/embeddings"
        self._models = f"{base}/models"
        one_word = [{"role": "user", "content": "1"}]
        canaries = {
            self._completions: {"model": model, "prompt": "1", "max_tokens": 1},
            self._chat: {"model": model, "messages": one_word, "max_tokens": 1},
            self._embeddings: {"model": model, "input": ["1"]},
        }
        self._caller = Caller(
            transport,
            url=url,
            model=model,
            max_concurrency=max_concurrency,
            canaries={path: orjson.dumps(body) for path, body in canaries.items()},
            models_path=self._models,
            rng=rng,
            policy=policy or RetryPolicy(),
            clock=clock,
            sleep=sleep,
        )
        self.extra_body = extra_body
        self._stop = tuple(stop)
        self._takes_base64 = True
        self._pairs = pairs
        self.extensions = Extensions(self._caller, url=url, model=model, extra_body=extra_body)
        self._manner = MannerOf(self._ask_manner)
        self._manner_of_all: Manner | None = None
        where = f"{url}: model {model!r}"
        self._system = SystemRole(where, render=self.extensions.rendered, ask=self._ask_one_token, warn=self._warn)
        self.warnings: list[str] = []
        questions: dict[str, dict[str, Any]] = {
            self._completions: {"model": model, "prompt": "1"},
            self._chat: {"model": model, "messages": one_word},
        }
        self._forms = {
            path: RequestForm(where, partial(self._generate, path), question, self._warn)
            for path, question in questions.items()
        }

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:  # the same may be found at each path
            self.warnings.append(sentence)
            log.warning(sentence)

    @property
    def findings(self) -> Findings:
        """How the model was found to be asked."""
        return Findings(
            forms={path: form.steps for path, form in self._forms.items() if form.steps},
            system_role=self._system.found,
            manner=self._manner_of_all,
            warnings=tuple(self.warnings),
        )

    def recall(self, findings: Findings) -> None:
        """Ask in the form that was found before. To be called before anything is asked."""
        for path, form in self._forms.items():
            form.recall(findings.forms.get(path, {}))
        self._system.recall(findings.system_role)
        self._manner.known = self._manner_of_all = findings.manner
        self.warnings.extend(findings.warnings)

    @property
    def usage(self) -> Usage:
        """All that was spent so far, on records that became void too."""
        return self._caller.usage

    @property
    def limit(self) -> int:
        """Requests that may be under way at once, as adapted so far."""
        return self._caller.limiter.limit

    @property
    def last_failure(self) -> Unanswered | None:
        """How the last try came to nothing, where none was answered since."""
        return self._caller.last_failure

    async def fitted(self, messages: Messages) -> Messages:
        """The messages of a chat as this model takes them, as far as its server tells without writing anything.

        Raises:
            RecordVoidError: the server fails.
            TransientError: the endpoint is down.
        """
        return await self._system.fitted(messages)

    async def complete(
        self,
        prompt: str | list[int],
        *,
        sampling: Sampling,
        seed: int,
        stop: Sequence[str] = (),
        turn_ends: Sequence[str] = (),
        stop_token_ids: Sequence[int] = (),
        preserved_tokens: Sequence[str] = (),
    ) -> Completion:
        """Continue a raw prompt, given as text or as token ids.

        Args:
            prompt: sent as it is: no template, no beginning-of-sequence token of ours.
            sampling: how to draw.
            seed: 0 to 2**63 - 1, from the record's id.
            stop: ends the answer where it occurs. A reply that was stopped within its thought is asked for once more
                without it.
            turn_ends: texts that end the completion, a thought too, and are not part of it. With `stop` four at most
                by OpenAI's API.
            stop_token_ids: tokens that do (vLLM's extension; only sent where given).
            preserved_tokens: special tokens that are not left out of the text (llama.cpp's extension; likewise).

        Returns:
            The completion; what one that was stopped within its thought cost is in the client's usage alone.

        Raises:
            RecordVoidError: this record has no completion.
            ConfigurationError: the endpoint cannot be used as it is configured.
            TransientError: the endpoint is down.
        """
        document: dict[str, Any] = {"model": self.model, "prompt": prompt}
        if stop or turn_ends:
            document["stop"] = [*stop, *turn_ends]
        if stop_token_ids:
            document["stop_token_ids"] = stop_token_ids
            document["skip_special_tokens"] = False  # so that `stop` is found where it is a special token
        if preserved_tokens:
            document["preserved_tokens"] = preserved_tokens
        form = self._forms[self._completions]
        reply, usage = await form.ask(_drawn(document, sampling, seed))
        if stop and _is_ended_thought(*completion_parts_of(reply, pairs=self._pairs)):
            del document["stop"]
            if turn_ends:
                document["stop"] = [*turn_ends]
            reply, usage = await form.ask(document)
        return completion_of(reply, usage, limit=sampling.max_tokens, stop=stop, pairs=self._pairs)

    async def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        sampling: Sampling,
        seed: int,
        stop: Sequence[str] = (),
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        enough: int | None = None,
    ) -> ChatReply:
        """Ask for the next turn of a conversation.

        Args:
            messages: `role` and `content` each; a system message reaches a model without a system role too.
            sampling: how to draw.
            seed: 0 to 2**63 - 1, from the record's id.
            stop: ends the answer where it occurs. It is sent to models that do not think: a server stops within a
                thought too.
            json_schema: the answer must be JSON of this schema (`response_format`).
            top_logprobs: how many of the likeliest first tokens of the answer to report.
            enough: tokens that are enough for an answer without a thought. No more are allowed, unless the model
                thinks: it is then asked once more, with all of `sampling.max_tokens`.

        Returns:
            The reply; what an attempt with too little room, or one that was stopped within the thought, cost is in the
            client's usage alone.

        Raises:
            RecordVoidError: this record has no reply, or not one as asked.
            ConfigurationError: the endpoint cannot be used as it is configured.
            TransientError: the endpoint is down.
        """
        document: dict[str, Any] = {"model": self.model, "messages": await self._system.fitted(messages)}
        stops = [*dict.fromkeys((*self._stop, *stop))]
        # The same room whatever this reply may have: what is sent does not depend on who asked before.
        if stops and await self._manner.find(MANNER_TOKENS) is Manner.PLAIN:
            document["stop"] = stops[:MOST_STOPS]
        if json_schema is not None:
            document["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": json_schema},
            }
        if top_logprobs is not None:
            document["logprobs"] = True
            document["top_logprobs"] = top_logprobs
        _drawn(document, sampling, seed)
        read = partial(
            chat_reply_of,
            json_schema=json_schema,
            logprobs=top_logprobs is not None,
            stop=stops,
            pairs=self._pairs,
        )
        thinks = self._manner.known not in (None, Manner.PLAIN)
        if enough is not None and enough < sampling.max_tokens and not thinks:
            document["max_tokens"] = enough
            reply, usage = await self._ask_chat(document, messages)
            stopped = self._was_stopped_within_thought(document, reply)
            if not stopped and not await self._lacks_room(reply, sampling.max_tokens):
                return read(reply, usage, limit=enough)
            document["max_tokens"] = sampling.max_tokens
            document.pop("stop", None)
        if enough is not None and top_logprobs is not None:
            document["top_logprobs"] = min(top_logprobs, TOP_LOGPROBS_BEHIND_THOUGHTS)
        reply, usage = await self._ask_chat(document, messages)
        if self._was_stopped_within_thought(document, reply):
            del document["stop"]
            reply, usage = await self._ask_chat(document, messages)
        parts, finish_reason = self._parts(reply)
        cut = parts.state is State.NONE and finish_reason == "length"
        if cut and await self._manner.find(sampling.max_tokens) is Manner.UNOPENED:
            raise thought_cut(sampling.max_tokens)
        return read(reply, usage, limit=sampling.max_tokens)

    def _parts(self, reply: dict[str, Any]) -> tuple[Parts, str]:
        return chat_parts_of(reply, pairs=self._pairs)

    async def _generate(self, path: str, document: dict[str, Any]) -> tuple[dict[str, Any], Usage]:
        return await self._caller.ask(path, {**self.extra_body, **document})

    async def _ask_chat(self, document: dict[str, Any], messages: Messages) -> tuple[dict[str, Any], Usage]:
        """Ask; where the model turns out to have no system role, change the document so and ask again."""
        try:
            return await self._forms[self._chat].ask(document)
        except RecordVoidError as error:
            if document["messages"] is not messages or not await self._system.explains(error, messages):
                raise
            document["messages"] = in_user_turn(messages)
            return await self._forms[self._chat].ask(document)

    def _was_stopped_within_thought(self, document: dict[str, Any], reply: dict[str, Any]) -> bool:
        """Whether a stop that was sent may be why a reply is all thought: that of a model that seldom thinks."""
        return "stop" in document and _is_ended_thought(*self._parts(reply))

    async def _lacks_room(self, reply: dict[str, Any], limit: int) -> bool:
        """Whether a reply was cut while the model thought."""
        parts, finish_reason = self._parts(reply)
        if finish_reason != "length":
            return parts.state is State.UNFINISHED  # a server that does not tell its limit
        return await self._manner.find(limit) is not Manner.PLAIN or parts.state is not State.NONE

    async def _ask_manner(self, room: int) -> Manner | None:
        document: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": QUESTION}]}
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=room)
        try:
            reply, usage = await self._forms[self._chat].ask(_drawn(document, sampling, 0), quiet=True)
            parts, finish_reason = self._parts(reply)
        except RecordVoidError as error:
            if error.reason is VoidReason.UNAVAILABLE:
                raise
            return Manner.PLAIN
        manner = manner_of(parts, reply["choices"][0]["message"].get("content"), finish_reason)
        talks_on = manner is None and room == MANNER_TOKENS
        if talks_on:  # nobody gives it more room
            manner = Manner.PLAIN
        # Found by whoever asks, however little room there is: a row does not depend on who asked before.
        if talks_on or 0 < usage.completion_tokens <= FEWEST_TOKENS:
            self._manner_of_all = manner
        return manner

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts, in one request.

        Returns:
            float32, shape (len(texts), dimensions), in the order of the texts, not normalised.

        Raises:
            RecordVoidError: the texts have no embeddings.
            ConfigurationError: the endpoint cannot be used as it is configured.
            TransientError: the endpoint is down.
        """
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        document: dict[str, Any] = {"model": self.model, "input": texts}
        if self._takes_base64:
            try:
                # A quarter of the bytes of decimal numbers; a server that does not know the format sends numbers.
                reply, _ = await self._caller.ask(self._embeddings, {**document, "encoding_format": "base64"})
                return embeddings_of(reply, count=len(texts))
            except RecordVoidError as error:
                if "encoding_format" not in error.members:
                    raise
                self._takes_base64 = False
        reply, _ = await self._caller.ask(self._embeddings, document)
        return embeddings_of(reply, count=len(texts))

    async def models(self) -> dict[str, int | None]:
        """The names that the endpoint serves, in its order, and how many tokens each model holds where it says so."""
        body, _ = await self._caller.call(self._models, None)
        return models_of(body)

    async def echo(self, tokens: Sequence[int], *, seed: int) -> Echo:
        """How likely each token of a given text is, after those before it (`echo` of OpenAI's older API).

        Raises:
            RecordVoidError: the server does not say.
            ConfigurationError: the endpoint cannot be used as it is configured.
            TransientError: the endpoint is down.
        """
        document = {"model": self.model, "prompt": tokens, "echo": True, "logprobs": 1}
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=1)  # vLLM writes one token at least
        reply, usage = await self._forms[self._completions].ask(_drawn(document, sampling, seed), quiet=True)
        return echo_of(reply, usage, count=len(tokens))

    async def _ask_one_token(self, messages: Messages) -> None:
        await self._forms[self._chat].ask({"model": self.model, "messages": messages, "max_tokens": 1})


def _is_ended_thought(parts: Parts, finish_reason: str) -> bool:
    """Whether a reply is all thought, and no token limit has ended it."""
    return parts.state is not State.NONE and not parts.answer.strip() and finish_reason != "length"


def _drawn(document: dict[str, Any], sampling: Sampling, seed: int) -> dict[str, Any]:
    document["temperature"] = sampling.temperature
    document["top_p"] = sampling.top_p
    document["max_tokens"] = sampling.max_tokens
    document["seed"] = seed
    return document
