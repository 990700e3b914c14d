"""The limiter against simulated servers, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import virtual_time
from tiltyard_jobs.llm.limiter import Limiter, RequestOutcome

Serve = Callable[[], Awaitable[RequestOutcome]]


class QueueingServer:
    """`capacity` requests are worked on at once, the others wait in line; service times are log-normal."""

    def __init__(self, capacity: int, mean: float = 0.5) -> None:
        self.slots = asyncio.Semaphore(capacity)
        self.mean = mean
        self.rng = random.Random(7)

    async def serve(self) -> RequestOutcome:
        async with self.slots:
            await asyncio.sleep(self.mean * self.rng.lognormvariate(-0.08, 0.4))
        return RequestOutcome.ANSWERED


class BatchingServer:
    """Each request is slower the more there are, yet more get done: throughput grows as n ** 0.7."""

    def __init__(self) -> None:
        self.in_flight = 0

    async def serve(self) -> RequestOutcome:
        self.in_flight += 1
        await asyncio.sleep(0.5 * self.in_flight**0.3)
        self.in_flight -= 1
        return RequestOutcome.ANSWERED


class RefusingServer:
    """Works on `capacity` at once and refuses what is more."""

    def __init__(self, capacity: int, refusal_seconds: float) -> None:
        self.capacity = capacity
        self.refusal_seconds = refusal_seconds
        self.in_flight = 0

    async def serve(self) -> RequestOutcome:
        if self.in_flight >= self.capacity:
            await asyncio.sleep(self.refusal_seconds)
            return RequestOutcome.REFUSED
        self.in_flight += 1
        await asyncio.sleep(0.5)
        self.in_flight -= 1
        return RequestOutcome.ANSWERED


@dataclass
class Run:
    outcomes: dict[RequestOutcome, int] = field(default_factory=lambda: dict.fromkeys(RequestOutcome, 0))
    limits: list[int] = field(default_factory=list)

    @property
    def late_limit(self) -> float:
        """The mean limit over the second half of the run."""
        half = self.limits[len(self.limits) // 2 :]
        return sum(half) / len(half)


async def drive(serve: Serve, *, tasks: int, seconds: float, limiter: Limiter | None = None) -> Run:
    """Let tasks ask as fast as the limiter lets them; a refused one comes back after a while."""
    limiter = limiter or Limiter(maximum=256, clock=virtual_time.now)
    run = Run()
    end = virtual_time.now() + seconds

    async def ask() -> None:
        while virtual_time.now() < end:
            await limiter.acquire()
            began = virtual_time.now()
            outcome = await serve()
            limiter.release(outcome, virtual_time.now() - began)
            run.outcomes[outcome] += 1
            run.limits.append(limiter.limit)
            if outcome is RequestOutcome.REFUSED:
                await asyncio.sleep(0.5)

    await asyncio.gather(*(ask() for _ in range(tasks)))
    return run


@pytest.mark.parametrize(("capacity", "seconds"), [(4, 600), (16, 200), (100, 40)])
def test_limit_settles_near_the_capacity_of_a_queueing_server(capacity: int, seconds: float) -> None:
    async def main() -> Run:
        return await drive(QueueingServer(capacity).serve, tasks=256, seconds=seconds)

    run = virtual_time.run(main())
    assert run.outcomes[RequestOutcome.ANSWERED] > 0.9 * capacity / 0.5 * seconds
    assert run.late_limit < 1.8 * capacity + 8


def test_limit_grows_to_the_maximum_where_throughput_grows() -> None:
    async def main() -> Run:
        return await drive(BatchingServer().serve, tasks=256, seconds=60)

    assert virtual_time.run(main()).late_limit > 200


@pytest.mark.parametrize("refusal_seconds", [0.01, 0.5])
def test_limit_falls_to_what_a_refusing_server_takes(refusal_seconds: float) -> None:
    async def main() -> Run:
        return await drive(RefusingServer(12, refusal_seconds).serve, tasks=64, seconds=120)

    run = virtual_time.run(main())
    assert run.outcomes[RequestOutcome.ANSWERED] > 0.85 * 12 / 0.5 * 120
    assert run.late_limit < 14
    assert run.outcomes[RequestOutcome.REFUSED] < run.outcomes[RequestOutcome.ANSWERED]


def test_random_refusals_of_a_tenth_cost_little_concurrency() -> None:
    rng = random.Random(1)

    async def serve() -> RequestOutcome:
        if rng.random() < 0.1:
            return RequestOutcome.REFUSED
        await asyncio.sleep(0.5)
        return RequestOutcome.ANSWERED

    async def main() -> Run:
        return await drive(serve, tasks=64, seconds=60)

    assert virtual_time.run(main()).late_limit > 48


def test_limit_follows_a_server_that_loses_capacity() -> None:
    async def main() -> tuple[float, float]:
        server = QueueingServer(64)
        limiter = Limiter(maximum=256, clock=virtual_time.now)
        large = await drive(server.serve, tasks=128, seconds=60, limiter=limiter)
        server.slots = asyncio.Semaphore(8)
        small = await drive(server.serve, tasks=128, seconds=300, limiter=limiter)
        return large.late_limit, small.late_limit

    large, small = virtual_time.run(main())
    assert large > 60
    assert small < 40


@pytest.mark.parametrize("seed", [6, 7])
def test_a_worker_short_of_cpu_does_not_blame_the_server(seed: int) -> None:
    rng = random.Random(seed)

    async def serve() -> RequestOutcome:
        await asyncio.sleep(0.05)
        virtual_time.work(0.0002)
        return RequestOutcome.ANSWERED

    async def others_have_the_cpu() -> None:
        while True:
            await asyncio.sleep(0.02 * rng.lognormvariate(-1.125, 1.5))
            virtual_time.work(0.02 * rng.lognormvariate(-1.125, 1.5))

    async def main() -> Run:
        others = asyncio.create_task(others_have_the_cpu())
        run = await drive(serve, tasks=256, seconds=8)
        others.cancel()
        return run

    assert virtual_time.run(main()).late_limit > 240


def test_what_is_not_asked_for_raises_no_limit() -> None:
    async def main() -> Run:
        return await drive(QueueingServer(256).serve, tasks=10, seconds=60)

    run = virtual_time.run(main())
    assert run.late_limit < 33  # a trial of more is taken back
    assert run.outcomes[RequestOutcome.ANSWERED] > 0.85 * 10 / 0.5 * 60


def test_waiters_are_served_in_order_and_a_cancelled_one_loses_no_slot() -> None:
    async def main() -> list[int]:
        limiter = Limiter(maximum=1, clock=virtual_time.now)
        served: list[int] = []

        async def ask(name: int) -> None:
            await limiter.acquire()
            served.append(name)
            await asyncio.sleep(1)
            limiter.release(RequestOutcome.FAILED)

        tasks = [asyncio.create_task(ask(name)) for name in range(5)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.sleep(0.5)
        tasks[2].cancel()  # its slot was handed out in this very instant
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.in_flight == 0
        return served

    assert virtual_time.run(main()) in ([0, 3, 4], [0, 2, 3, 4])


def test_retry_after_pauses_everybody() -> None:
    async def main() -> tuple[float, float]:
        limiter = Limiter(maximum=4, clock=virtual_time.now)
        await limiter.acquire()
        limiter.release(RequestOutcome.REFUSED, retry_after=5.0)
        first = limiter.pause_left()
        await limiter.acquire()
        limiter.release(RequestOutcome.REFUSED, retry_after=1.0)  # a shorter one does not shorten it
        await asyncio.sleep(2)
        return first, limiter.pause_left()

    assert virtual_time.run(main()) == (5.0, 3.0)


@settings(max_examples=50, deadline=None)
@given(
    maximum=st.integers(1, 64),
    replies=st.lists(st.tuples(st.sampled_from(RequestOutcome), st.floats(0, 100), st.floats(0, 10)), max_size=400),
)
def test_limit_stays_within_its_bounds(maximum: int, replies: list[tuple[RequestOutcome, float, float]]) -> None:
    clock = [0.0]

    async def main() -> None:
        limiter = Limiter(maximum=maximum, clock=lambda: clock[0])
        for outcome, latency, wait in replies:
            await limiter.acquire()
            clock[0] += wait
            limiter.release(outcome, latency)
            assert 1 <= limiter.limit <= maximum
            assert limiter.in_flight == 0

    asyncio.run(main())


def test_same_replies_same_limits() -> None:
    async def main() -> Run:
        return await drive(QueueingServer(16).serve, tasks=64, seconds=30)

    assert virtual_time.run(main()).limits == virtual_time.run(main()).limits
