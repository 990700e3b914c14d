"""How fast Jobs are made, by a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tiltyard.cluster.rate_limiter import MAX_REST_SECONDS, RateLimiter


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("took", "rest"), [(0.01, 0.04), (0.5, 2.0), (30.0, MAX_REST_SECONDS)])
async def test_a_lane_rests_in_proportion_to_its_turn_and_holds_nobody_back_but_the_next(
    monkeypatch: pytest.MonkeyPatch, took: float, rest: float
) -> None:
    rests, made, moment = list[tuple[float, Callable[[], None]]](), list[int](), 100.0
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: moment)
    monkeypatch.setattr(loop, "call_later", lambda *call: rests.append(call))
    limiter = RateLimiter(slots=1, rest=4.0)

    async def make(number: int) -> None:
        nonlocal moment
        async with limiter.slot():
            moment += took
        made.append(number)

    jobs = [asyncio.create_task(make(number)) for number in range(2)]
    await settle()
    assert made == [0]
    ((pause, release),) = rests
    assert pause == pytest.approx(rest)
    release()
    await settle()
    assert made == [0, 1]
    await asyncio.gather(*jobs)


async def test_a_turn_that_fails_gives_its_lane_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda rest, release: release())
    limiter = RateLimiter(slots=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            async with limiter.slot():
                raise ValueError("no")
