from __future__ import annotations

import asyncio

import pytest

from support import virtual_time
from tiltyard_jobs.llm.loop_delay import SAMPLE_SECONDS, LoopDelay


def test_a_loop_with_nothing_else_to_do_is_not_late() -> None:
    async def main() -> float:
        delay = LoopDelay(lambda: True)
        delay.watch()
        await asyncio.sleep(1)
        return delay.take()

    assert virtual_time.run(main()) < 1e-9


def test_delay_is_what_a_timer_waits_behind_work() -> None:
    async def main() -> tuple[float, float]:
        delay = LoopDelay(lambda: True)
        delay.watch()
        virtual_time.work(SAMPLE_SECONDS + 0.3)
        await asyncio.sleep(SAMPLE_SECONDS / 2)
        return delay.take(), delay.take()  # nothing is counted twice

    assert virtual_time.run(main()) == pytest.approx((0.3, 0.0))


def test_sampling_ends_when_nobody_wants_it_and_begins_again() -> None:
    wanted = True
    asked = 0

    def is_wanted() -> bool:
        nonlocal asked
        asked += 1
        return wanted

    async def main() -> list[int]:
        nonlocal wanted
        delay = LoopDelay(is_wanted)
        counts = []
        for choice in (True, False, True):
            wanted = choice
            delay.watch()
            delay.watch()  # one timer, however often
            await asyncio.sleep(10.5 * SAMPLE_SECONDS)
            counts.append(asked)
        return counts

    assert virtual_time.run(main()) == [10, 11, 21]
