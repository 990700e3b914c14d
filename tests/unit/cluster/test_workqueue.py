"""When tournaments are looked at. Time passes as `asyncio.sleep(0)` does: nothing here waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from tiltyard.cluster.client import KubeError
from tiltyard.cluster.workqueue import Looks


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def working(
    look: Callable[[str], Awaitable[float | None]], workers: int = 2, settle: float = 0.0
) -> AsyncIterator[Looks]:
    looks = Looks(look, lambda owner: True, Random(0), settle)
    tasks = [asyncio.create_task(looks.work()) for _ in range(workers)]
    try:
        yield looks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await looks.finish()


async def test_looks_at_one_tournament_never_overlap_and_a_change_meanwhile_brings_another() -> None:
    gate, under_way, looked = asyncio.Event(), 0, list[str]()

    async def look(owner: str) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await gate.wait()
        under_way -= 1
        looked.append(owner)

    async with working(look) as looks:
        for _ in range(3):
            looks.changed("ns/t")
            await settle()
        gate.set()
        await settle()
    assert looked == ["ns/t", "ns/t"]


async def test_changes_that_come_in_a_flock_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, waiting = list[str](), list[tuple[float, Callable[[str], None], str]]()

    async def look(owner: str) -> None:
        looked.append(owner)

    async with working(look, settle=0.2) as looks:
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda *call: waiting.append(call))
        for _ in range(3):
            looks.changed("ns/t")
            await settle()
        monkeypatch.undo()
        assert not looked
        ((pause, call, owner),) = waiting
        call(owner)
        await settle()
    assert (looked, pause) == (["ns/t"], 0.2)


async def test_a_slow_plan_delays_no_look_and_its_end_brings_the_next() -> None:
    gate, acts, told = asyncio.Event(), list[int](), list[bool]()

    async def carry_out() -> None:
        acts.append(len(told))
        if len(acts) == 1:
            await gate.wait()

    async def look(owner: str) -> None:
        told.append(looks.is_acting(owner))
        looks.act(owner, carry_out)

    async with working(look) as looks:
        for _ in range(3):
            looks.changed("ns/t")
            await settle()
        assert told == [False, True, True]
        assert acts == [1]  # one plan of a tournament at a time
        gate.set()
        await settle()
    assert told == [False, True, True, False]
    assert acts == [1, 4]


async def test_telling_is_left_to_the_next_look_and_no_further() -> None:
    left = list[bool]()

    async def look(owner: str) -> None:
        left.append(looks.leave_telling(owner))
        looks.changed(owner)  # something arrives at every look

    async with working(look) as looks:
        looks.changed("ns/t")
        while len(left) < 6:
            await settle()
    assert left[:6] == [True, False] * 3


async def test_what_was_left_untold_brings_a_look_though_nothing_arrives() -> None:
    left = list[bool]()

    async def look(owner: str) -> None:
        left.append(looks.leave_telling(owner))

    async with working(look) as looks:
        looks.changed("ns/t")
        await settle()
    assert left == [True, False]


async def test_a_plan_that_was_not_missed_brings_no_look() -> None:
    looked = list[str]()

    async def carry_out() -> None:
        return None

    async def look(owner: str) -> None:
        looked.append(owner)
        looks.act(owner, carry_out)

    async with working(look) as looks:
        looks.changed("ns/t")
        await settle()
    assert looked == ["ns/t"]


async def test_a_plan_that_fails_is_tried_again_after_longer_and_longer_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = list[float]()

    async def carry_out() -> None:
        raise KubeError(422, "no")

    async def look(owner: str) -> None:
        looks.act(owner, carry_out)

    async with working(look) as looks:
        loop = asyncio.get_running_loop()
        soon = loop.call_soon
        monkeypatch.setattr(loop, "call_later", lambda pause, *call: pauses.append(pause) if pause else soon(*call))
        for _ in range(5):
            looks.changed("ns/t")
            await settle()
        monkeypatch.undo()
    assert len(pauses) == 5
    for place, pause in enumerate(pauses, start=1):
        assert 0.5 * 0.2 * 2**place <= pause <= 0.2 * 2**place


async def test_what_has_gone_in_the_middle_is_no_failure() -> None:
    looked = list[str]()

    async def look(owner: str) -> None:
        looked.append(owner)
        raise KubeError(404, "gone")

    async with working(look) as looks:
        looks.changed("ns/t")
        await settle()
        looks.changed("ns/t")
        await settle()
    assert looked == ["ns/t", "ns/t"]
