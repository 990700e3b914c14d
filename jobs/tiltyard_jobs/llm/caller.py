"""Sending until answered: one model at one endpoint, each record with its reply or its reason.

What a record may meet, and what follows:

| met | follows |
|---|---|
| a reply that is refused for itself (400, 413, 422, by the chat template 500), or is not as asked | void, at once |
| 401, 402, 403, 404, 405, 501, a redirect | ConfigurationError |
| 400, 403, 429 that say that credit is used up; 429 that says it of the day's limit | ConfigurationError |
| 424, other 429 and 5xx, reset, time-out, a reply broken off | retried; void Unavailable if others are answered |
| nothing answered at all | retried until `endpoint_deadline`, then TransientError |
| the server dies twice while it is asked, the second time alone | void KilledServer |

Whether the endpoint "answers others" is known from the other records; where there are none (the last record of a shard)
the client asks for one token itself, a canary. So a record on which the server always fails costs a void and not the
shard, and a server that dies costs a retry of the shard and not a thousand voids.

A server has died where a request that it had taken came to nothing and the next connection is refused. Where a
connection is cut, that connection is tried at once, since a server may be back before the request is repeated. All that
was under way then is suspected, and asked one by one with nothing beside it before anything else is asked: whatever is
alone when the server dies again, and comes back, is not asked a third time. Other shards that ask the same server know
nothing of this.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import orjson

from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, TransientError, VoidReason
from tiltyard_jobs.llm.address import redirect_advice, version_hint
from tiltyard_jobs.llm.isolation import Isolation
from tiltyard_jobs.llm.limiter import Limiter, RequestOutcome
from tiltyard_jobs.llm.reply import document_of, thought_cut
from tiltyard_jobs.llm.retry import RetryBudget, RetryPolicy, jittered_delay
from tiltyard_jobs.llm.server_error import ServerError, broken_off, server_error_of, status_of
from tiltyard_jobs.llm.transport import (
    ConnectionCut,
    NobodyListens,
    Reply,
    ReplyTooLarge,
    TimedOut,
    Transport,
    TransportError,
)
from tiltyard_jobs.llm.unanswered import Unanswered
from tiltyard_jobs.llm.usage import Usage, usage_of

# Below a clock's resolution a wait might never end.
SHORTEST_SLEEP = 0.001

# After a cut: how often to look whether the server listens, as long as these looks are cut too, and the pause between.
LOOKS, LOOK_PAUSE = 10, 0.05

# So many retries count against a record without asking whether the endpoint answers others.
UNASKED_RETRIES = 3

_TOLD_TO_WAIT = frozenset({429, 498, 503})  # 498: Groq's, where it has no capacity now
_RETRIED = frozenset({408, 409, 425})
_FAILED_BEHIND = 424  # TGI's and SageMaker's, where what runs the model has failed
_TOO_MANY, _NO_CREDIT = 429, 402
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 400, 401, 403
_NOT_SERVED = frozenset({404, 405, 501})

_KILLED = "the server died both times that it was asked, the second time with nothing else asked by this shard"


class NotServedError(ConfigurationError):
    """The endpoint does not serve this path (404, 405, 501), or not this model."""


class AccessRefusedError(ConfigurationError):
    """The endpoint refuses access to this path (401, 403)."""


class Sleep(Protocol):
    """`asyncio.sleep`, or a test's own."""

    def __call__(self, delay: float, /) -> Awaitable[None]:
        """Wait for `delay` seconds."""
        ...


class Caller:
    """Requests to one endpoint, retried and counted. For one event loop; any number of tasks.

    Args:
        transport: the way to the server.
        url: the endpoint as the user wrote it, for messages.
        model: the model asked for, for messages.
        max_concurrency: the most requests under way at once.
        canaries: by path, a small body of our own that any healthy endpoint answers.
        models_path: what is fetched to see whether anybody listens; any reply will do.
        rng: the source of jitter; nothing that it draws shows in a result.
        policy: when to retry and when to give up.
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
        canaries: Mapping[str, bytes],
        models_path: str,
        rng: random.Random,
        policy: RetryPolicy,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.limiter = Limiter(maximum=max_concurrency, clock=clock)
        self._url = url
        self._model = model
        self._transport = transport
        self._canaries = canaries
        self._models_path = models_path
        self._rng = rng
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._budget = RetryBudget(ratio=policy.budget_ratio, floor=policy.budget_floor, clock=clock)
        self._usage = Usage()
        self._answered_at = -math.inf
        self._silent_since: float | None = None
        self._last_failure: Unanswered | None = None
        self._canary_lock = asyncio.Lock()
        self._canary_failed_at = -math.inf
        self._isolation = Isolation()
        self._refused_at = -math.inf  # when nobody listened, last
        self._look_lock = asyncio.Lock()
        self._looked_at = -math.inf

    @property
    def usage(self) -> Usage:
        """All that was spent so far, on records that became void too."""
        return self._usage

    @property
    def last_failure(self) -> Unanswered | None:
        """How the last try came to nothing, where none was answered since."""
        return self._last_failure

    async def ask(self, path: str, document: dict[str, Any]) -> tuple[dict[str, Any], Usage]:
        """Send a JSON document until it is answered; the answer, and what it cost."""
        try:
            body = orjson.dumps(document)
        except TypeError as error:
            if "UTF-8" not in str(error):  # a lone surrogate, which no JSON can carry, and nothing else
                raise
            raise RecordVoidError(VoidReason.INPUT_VOID, "the prompt cannot be written as UTF-8") from error
        data, retries = await self.call(path, body)
        reply = document_of(data)
        usage = usage_of(reply.get("usage"), retries=retries)
        self._usage += usage._replace(requests=0, retries=0)  # those are counted as they are made
        return reply, usage

    async def call(self, path: str, body: bytes | None) -> tuple[bytes, int]:
        """Send until answered; the reply's body, and how many times the request was repeated."""
        self._budget.deposit()
        began = self._clock()
        try:
            async with self._isolation.together():
                return await self._try(path, body), 0
        except Unanswered as error:
            failure = error
        with ExitStack() as suspicion:
            return await self._call_again(path, body, began, failure, suspicion)

    async def _call_again(
        self, path: str, body: bytes | None, began: float, failure: Unanswered, suspicion: ExitStack
    ) -> tuple[bytes, int]:
        policy, isolation = self._policy, self._isolation
        retries, failures, waits = 0, int(not failure.told_to_wait), 0
        suspected, broken_at = False, failure.broken_at
        while True:
            failed_at = self._clock()
            waits += 1
            await self._back_off(waits, failure)
            retries += 1
            self._usage += Usage(retries=1)
            if not suspected:
                await isolation.clear()  # others may have learnt that the server died
            if self._refused_at >= broken_at:
                if suspected:
                    self._silent_since = broken_at  # until then it was up
                    await self._until_somebody_listens()
                    raise RecordVoidError(VoidReason.KILLED_SERVER, _KILLED)
                suspicion.enter_context(isolation.suspicion())
                suspected, broken_at = True, math.inf
            try:
                async with isolation.alone() if suspected else isolation.together():
                    return await self._try(path, body), retries
            except Unanswered as error:
                failure = error
            if failure.broken_at < math.inf:
                broken_at = failure.broken_at
                waits = 0 if suspected else waits  # to see whether it is dead before it is up again
            late = self._clock() - began >= policy.deadline
            if not failure.told_to_wait or late:
                if retries < UNASKED_RETRIES or await self._answers_others(path, since=failed_at):
                    failures += not failure.told_to_wait
                    if late or failures >= policy.tries:
                        what = f"{failure} after {retries + 1} tries"
                        raise RecordVoidError(VoidReason.UNAVAILABLE, what, failure.words)
                else:  # an outage counts against no record
                    began += self._clock() - failed_at
            self._raise_if_down(failure)

    async def _back_off(self, tries: int, failure: Unanswered) -> None:
        delay = jittered_delay(self._policy, tries, self._rng)
        await self._sleep(delay + (failure.retry_after or 0.0))
        while (wait := self._budget.withdraw()) > 0.0:
            await self._sleep(max(wait, SHORTEST_SLEEP))

    async def _try(self, path: str, body: bytes | None) -> bytes:
        """`_send`; where the connection is cut, look whether the server has died."""
        try:
            return await self._send(path, body)
        except Unanswered as error:
            if isinstance(error.__cause__, ConnectionCut):
                await self._look(since=error.broken_at)
            raise

    async def _look(self, *, since: float) -> None:
        """Learn whether anybody listens; one look speaks for all requests that were cut before it."""
        async with self._look_lock:
            if max(self._looked_at, self._refused_at) >= since:
                return
            self._looked_at = self._clock()
            for _ in range(LOOKS):
                try:
                    await self._transport.get(self._models_path)
                except NobodyListens:
                    self._refused_at = self._clock()
                except ConnectionCut:  # by a process in its last moment, whose socket still took it
                    await self._sleep(LOOK_PAUSE)
                    continue
                except TransportError:
                    return
                return

    async def _until_somebody_listens(self) -> None:
        """Wait for the server. Where all of the run ends, it does not come back, and no request has killed it."""
        tries = 0
        while True:
            tries += 1
            await self._sleep(jittered_delay(self._policy, tries, self._rng))
            try:
                await self._transport.get(self._models_path)
            except TransportError as error:
                self._raise_if_down(self._unheard(str(error), advice=error.advice))
            else:
                return

    async def _send(self, path: str, body: bytes | None) -> bytes:
        """One try: the body of a reply with status 200.

        Raises:
            Unanswered: it may be repeated.
            RecordVoidError: it is refused for itself.
            ConfigurationError: no request of this kind can succeed.
        """
        limiter, transport, clock = self.limiter, self._transport, self._clock
        await limiter.acquire()
        outcome, retry_after, began = RequestOutcome.FAILED, None, 0.0
        try:
            while (pause := limiter.pause_left()) > 0.0:
                await self._sleep(max(pause, SHORTEST_SLEEP))
            began = clock()
            self._usage += Usage(requests=1)
            reply = await (transport.get(path) if body is None else transport.post(path, body))
            reply = reply._replace(status=status_of(reply.status, reply.body))
            cut_short = broken_off(reply.body) if reply.status == 200 else ""
            if reply.status == 200 and not cut_short:
                outcome = RequestOutcome.ANSWERED
            elif reply.status in _TOLD_TO_WAIT:
                outcome, retry_after = RequestOutcome.REFUSED, reply.retry_after
        except ReplyTooLarge as error:
            outcome = RequestOutcome.ANSWERED
            self._heard()
            raise RecordVoidError(VoidReason.MALFORMED, str(error)) from error
        except TransportError as error:
            if isinstance(error, TimedOut):
                outcome = RequestOutcome.REFUSED
            elif isinstance(error, NobodyListens):
                self._refused_at = clock()
            broke = isinstance(error, ConnectionCut)
            raise self._unheard(str(error), broke=broke, advice=error.advice) from error
        finally:
            limiter.release(outcome, clock() - began, retry_after)
        if cut_short:
            with suppress(RecordVoidError):  # what it wrote until then is paid for, where it says how much
                self._usage += usage_of(document_of(reply.body).get("usage"), retries=0)._replace(requests=0)
            words = server_error_of(reply.body).words
            what = f"the server broke off its reply (finish_reason {cut_short})"
            raise self._unheard(what, words=words, advice="see the server's log")
        if reply.status == 200:
            self._heard()
            return reply.body
        raise self._refusal(path, reply)

    def _heard(self) -> None:
        self._answered_at = self._clock()
        self._silent_since = self._last_failure = None

    def _unheard(
        self,
        what: str,
        *,
        told_to_wait: bool = False,
        retry_after: float | None = None,
        broke: bool = False,
        words: str = "",
        advice: str = "",
    ) -> Unanswered:
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
        broken_at = now if broke else math.inf
        self._last_failure = Unanswered(
            what,
            told_to_wait=told_to_wait,
            retry_after=retry_after,
            broken_at=broken_at,
            words=words,
            advice=advice,
        )
        return self._last_failure

    def _refusal(self, path: str, reply: Reply) -> Exception:
        """What a status other than 200 means."""
        status = reply.status
        error = server_error_of(reply.body)
        asked = f"{self._url} for model {self._model!r} (HTTP {status})"
        if (
            status == _NO_CREDIT
            or (status in (_TOO_MANY, _FORBIDDEN) and error.is_about_credit)
            or (status == _BAD_REQUEST and error.says_that_credit_is_low)
        ):
            what = f"no credit is left at {asked}: add credit there, then run the same again"
            return ConfigurationError(what, error.words)
        if status == _TOO_MANY and error.is_about_the_day:
            what = f"the day's limit is reached at {asked}: run the same again when it is renewed, or raise it there"
            return ConfigurationError(what, error.words)
        if status in _TOLD_TO_WAIT:
            return self._busy(status, reply.retry_after, error)
        broke = status == _FAILED_BEHIND or (status >= 500 and status not in _NOT_SERVED)
        if (broke or status in _RETRIED) and not error.is_about_the_template:
            return self._unheard(f"HTTP {status}", retry_after=reply.retry_after, broke=broke, words=error.words)
        # OpenAI sends 403 for `logprobs` to a model that has none: a member of the request is no matter of access.
        if status == _UNAUTHORIZED or (status == _FORBIDDEN and error.param in ("", "model")):
            return AccessRefusedError(
                f"{self._url} refuses access to model {self._model!r} (HTTP {status}): check the endpoint's API key and"
                " request.headers",
                error.words,
            )
        if status in _NOT_SERVED:
            if error.names_the_model:
                return NotServedError(
                    f"{self._url} does not serve model {self._model!r} (HTTP {status}): "
                    "name one that it lists under /models",
                    error.words,
                )
            what = f"{self._url} does not serve {path} (HTTP {status}), asked for model {self._model!r}"
            return NotServedError(f"{what}: check the URL{version_hint(self._url, path)}", error.words)
        if 300 <= status < 400:
            what = f"{self._url} redirects {path} for model {self._model!r} (HTTP {status})"
            return ConfigurationError(f"{what}{redirect_advice(self._url, path, reply.location)}")
        self._heard()
        if status < 300:
            return RecordVoidError(VoidReason.MALFORMED, f"HTTP {status}")
        if error.is_about_room:
            return thought_cut(None)
        return RecordVoidError(VoidReason.REFUSED_BY_SERVER, error.detail(status), error.words, error.members)

    def _busy(self, status: int, retry_after: float | None, error: ServerError) -> Unanswered:
        """A 429 or 503."""
        what, advice = f"HTTP {status}", ""
        if error.is_loading:
            what, advice = f"{what}: the model is being loaded", "wait until it is ready, then run the same again"
        elif status == _TOO_MANY:
            advice = "wait, or raise its limit of requests"
        return self._unheard(what, told_to_wait=True, retry_after=retry_after, words=error.words, advice=advice)

    async def _answers_others(self, path: str, *, since: float) -> bool:
        """Whether the endpoint has answered anybody since then; asks for one token itself where nobody else did."""
        async with self._canary_lock:  # one canary speaks for all records that wait here
            if self._answered_at >= since:
                return True
            canary = self._canaries.get(path)
            if canary is None or self._canary_failed_at >= since:
                return False
            try:
                await self._send(path, canary)
            except RecordVoidError:
                return True
            except Unanswered:
                self._canary_failed_at = self._clock()
                return False
            return True

    def _raise_if_down(self, failure: Unanswered) -> None:
        if self._silent_since is None:
            return
        silence = self._clock() - self._silent_since
        if silence >= self._policy.endpoint_deadline:
            what = f"has answered nothing for {silence:.0f} s (model {self._model!r}, last: {failure})"
            raise TransientError(f"{self._url} {what}: {failure.advice}", failure.words)
