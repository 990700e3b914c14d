"""How many requests one endpoint is given at once: as many as it turns into throughput, and no more.

The limit climbs a hill. A window of replies, at least a round trip long, has the score

    answered per second * share not refused / latency ** LATENCY_WEIGHT

With the weight at 1/4, a quarter more concurrency must bring at least 7% more throughput to be better, and a quarter
less may cost at most 7%. The limit first doubles while the score improves; then it tries a quarter less (is there a
queue to drain?) and a quarter more (is there room?), keeps what is better, and holds for a while before it tries again,
or until latency rises against the best seen. Where most requests are refused (429, 503) it falls at once, to the
number that the endpoint worked on (by Little's law, answered per second * latency) but by half at most.

A batching server is slower for each request the more it is given, and still does more: latency alone, as in TCP Vegas
and the gradient rules made after it, would strangle it; throughput alone would fill its queue. So the score has both.
What is compared was measured moments ago, so a server that changes is followed.

A window in which our own event loop keeps replies waiting (`LoopDelay`) shows nothing of the server, and is not judged:
a worker short of CPU would take its own slowness for the server's, and ask for less while the server idles.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from tiltyard_jobs.llm.loop_delay import LoopDelay

INITIAL_LIMIT = 32
LATENCY_WEIGHT = 0.25
# A score must be this much better to count: a margin for noise.
IMPROVEMENT = 1.02
# A window holds at least this many replies and lasts at least this long, or scheduling noise would decide.
WINDOW_REPLIES = 8
WINDOW_SECONDS = 0.1
# How long the limit rests between trials: doubled each time they bring nothing.
HOLD_WINDOWS = 8
LONGEST_HOLD_WINDOWS = 64
TRIAL_STEP = 0.25
# Latency that has risen so much against the best seen is a queue until a trial shows otherwise.
QUEUE_GROWTH = 1.5
# Above this share of refusals the limit is cut at once; below it the score decides.
MANY_REFUSED = 0.5
# Where more than this share of the latency is our own delay, it is not the server that decides what gets done.
OWN_SHARE = 0.1
# Where nothing is answered there is no latency to wait for: so many windows' worth of refusals close the window.
ALL_REFUSED_WINDOWS = 4


class RequestOutcome(Enum):
    """What became of one request, as far as the limiter cares."""

    ANSWERED = auto()  # a reply, whatever it says
    REFUSED = auto()  # too much at once: 429, 503, a time-out
    FAILED = auto()  # tells nothing about load: a reset, a 500


class _Phase(Enum):
    """What the limit does."""

    DOUBLING = auto()
    HOLDING = auto()
    TRYING_LESS = auto()
    TRYING_MORE = auto()


class _Base(NamedTuple):
    """What a trial is compared with."""

    limit: float
    score: float


class Limiter:
    """The slots of one endpoint, between 1 and `maximum`; FIFO among those who wait. For one event loop.

    Args:
        maximum: the most slots ever; the endpoint's `max_concurrency`.
        clock: monotonic seconds.
        initial: slots to begin with.
    """

    def __init__(self, *, maximum: int, clock: Callable[[], float], initial: int = INITIAL_LIMIT) -> None:
        if maximum < 1:
            raise ValueError(f"maximum must be at least 1, not {maximum}")
        self._maximum = maximum
        self._clock = clock
        self._limit = float(min(max(initial, 1), maximum))
        self._slots = int(self._limit)
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._paused_until = -math.inf
        self._phase = _Phase.DOUBLING
        self._base: _Base | None = None
        self._best_latency = math.inf
        self._held = 0
        self._patience = HOLD_WINDOWS
        self._settling = False
        self._peak = 0
        self._own_delay = LoopDelay(lambda: self._in_flight > 0)
        self._open_window(clock())

    @property
    def limit(self) -> int:
        """The slots now."""
        return self._slots

    @property
    def in_flight(self) -> int:
        """The slots taken now."""
        return self._in_flight

    def pause_left(self) -> float:
        """Seconds until the endpoint may be asked again; zero or less when it may be asked now."""
        return self._paused_until - self._clock()

    async def acquire(self) -> None:
        """Take a slot, waiting for one if need be."""
        self._own_delay.watch()
        if self._in_flight < self._slots and not self._waiters:
            self._in_flight += 1
            if self._in_flight > self._peak:
                self._peak = self._in_flight
            return
        self._peak = max(self._peak, self._slots)
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot came together with the cancellation
                self._in_flight -= 1
                self._hand_out()
            raise

    def release(self, outcome: RequestOutcome, latency: float = 0.0, retry_after: float | None = None) -> None:
        """Give a slot back and learn from what became of it.

        Args:
            outcome: what became of the request.
            latency: seconds from send to reply; used where it was answered.
            retry_after: seconds for which the endpoint asks to be left alone; everybody waits, not this request alone.
        """
        self._in_flight -= 1
        if outcome is RequestOutcome.ANSWERED:
            self._answered += 1
            self._latency_sum += latency
        elif outcome is RequestOutcome.REFUSED:
            self._refused += 1
        now = self._clock()
        if retry_after:
            self._paused_until = max(self._paused_until, now + retry_after)
        if self._answered + self._refused >= self._window_replies and self._is_long_enough(now - self._window_start):
            self._close_window(now - self._window_start)
            self._open_window(max(now, self._paused_until))
        self._hand_out()

    def _open_window(self, start: float) -> None:
        trying = self._phase in {_Phase.TRYING_LESS, _Phase.TRYING_MORE} and not self._settling
        self._window_replies = max(self._slots, WINDOW_REPLIES) * (2 if trying else 1)
        self._window_start = start
        self._answered = 0
        self._refused = 0
        self._latency_sum = 0.0
        self._peak = self._in_flight

    def _is_long_enough(self, elapsed: float) -> bool:
        if not self._answered:
            return self._refused >= ALL_REFUSED_WINDOWS * self._window_replies
        # Refusals come back sooner than answers: two round trips, or the window would hold hardly any answer.
        trips = 2.0 if self._refused else 1.0
        return elapsed >= WINDOW_SECONDS and elapsed >= trips * self._latency_sum / self._answered

    def _close_window(self, elapsed: float) -> None:
        refused = self._refused / (self._refused + self._answered)
        own_delay = self._own_delay.take()
        if refused > MANY_REFUSED:
            self._retreat(self._latency_sum / elapsed)
        elif self._settling:  # replies to what was sent under the limit before
            self._settling = False
        else:
            latency = max(self._latency_sum / self._answered, 1e-9)
            if own_delay > OWN_SHARE * latency:
                self._pass_over()
            else:
                self._judge(self._answered / elapsed * (1.0 - refused) / latency**LATENCY_WEIGHT, latency)

    def _retreat(self, in_service: float) -> None:
        """Most were refused: back to where the trial began, or to what the endpoint worked on, by half at most."""
        if self._base is not None and self._base.limit < self._limit:
            self._rest_longer(self._base.limit)
        else:
            self._patience = HOLD_WINDOWS
            self._hold(min(max(in_service, 0.5 * self._limit), self._limit - 1.0))

    def _judge(self, score: float, latency: float) -> None:
        base, phase = self._base, self._phase
        if phase is _Phase.HOLDING:
            self._judge_held(score, latency)
        elif phase is not _Phase.TRYING_LESS and self._peak < self._slots:
            # Fewer were asked for than the limit allows: that it could be higher shows nothing.
            self._hold(self._limit if base is None else base.limit)
        elif base is None or score > base.score * IMPROVEMENT:
            self._patience = HOLD_WINDOWS
            self._base = _Base(self._limit, score)
            if phase is _Phase.DOUBLING:
                self._set_limit(2.0 * self._limit)
            else:
                self._try(phase)
            if self._limit == self._base.limit:  # at a bound
                self._hold(self._limit)
        else:
            self._set_limit(base.limit)
            if phase is _Phase.DOUBLING:
                self._try(_Phase.TRYING_LESS)
            elif phase is _Phase.TRYING_LESS and base.limit < self._maximum:
                self._try(_Phase.TRYING_MORE)
            else:
                self._rest_longer(base.limit)

    def _pass_over(self) -> None:
        """This window shows nothing of the server: what is tried is taken back, and doubling goes on."""
        if self._phase in {_Phase.TRYING_LESS, _Phase.TRYING_MORE}:
            assert self._base is not None
            self._hold(self._base.limit)
        elif self._phase is _Phase.DOUBLING:
            if self._slots < self._maximum and self._peak >= self._slots:
                self._set_limit(2.0 * self._limit)
            else:
                self._hold(self._limit)

    def _judge_held(self, score: float, latency: float) -> None:
        self._held += 1
        mean = score if self._base is None else self._base.score + (score - self._base.score) / self._held
        self._base = _Base(self._limit, mean)
        queue_grows = latency > QUEUE_GROWTH * self._best_latency
        self._best_latency = min(self._best_latency, latency)
        if queue_grows or self._held >= self._patience:
            self._try(_Phase.TRYING_LESS)

    def _rest_longer(self, limit: float) -> None:
        self._patience = min(2 * self._patience, LONGEST_HOLD_WINDOWS)
        self._hold(limit)

    def _hold(self, limit: float) -> None:
        self._set_limit(limit)
        self._phase = _Phase.HOLDING
        self._base = None
        self._best_latency = math.inf
        self._held = 0
        self._settling = True

    def _try(self, phase: _Phase) -> None:
        # Fewer than are asked for, if that is less than the limit: only so does the trial change anything.
        start = min(self._limit, float(self._peak)) if phase is _Phase.TRYING_LESS else self._limit
        step = max(TRIAL_STEP * start, 1.0)
        self._phase = phase
        self._settling = True
        self._set_limit(start - step if phase is _Phase.TRYING_LESS else start + step)

    def _set_limit(self, limit: float) -> None:
        self._limit = min(max(limit, 1.0), float(self._maximum))
        self._slots = int(self._limit)

    def _hand_out(self) -> None:
        while self._waiters and self._in_flight < self._slots:
            turn = self._waiters.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)
