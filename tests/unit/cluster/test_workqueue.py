"""When tournaments are reconciled. Time passes as `asyncio.sleep(0)` does: nothing here waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from tiltyard.cluster.client import ApiError
from tiltyard.cluster.workqueue import WorkQueue


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def working(
    reconcile: Callable[[str], Awaitable[float | None]], workers: int = 2, settle: float = 0.0
) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(reconcile, lambda key: True, Random(0), settle)
    tasks = [asyncio.create_task(queue.work()) for _ in range(workers)]
    try:
        yield queue
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await queue.shut_down()


async def test_reconciliations_of_one_tournament_never_overlap_and_a_change_meanwhile_brings_another() -> None:
    gate, under_way, reconciled = asyncio.Event(), 0, list[str]()

    async def reconcile(key: str) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await gate.wait()
        under_way -= 1
        reconciled.append(key)

    async with working(reconcile) as queue:
        for _ in range(3):
            queue.add("ns/t")
            await settle()
        gate.set()
        await settle()
    assert reconciled == ["ns/t", "ns/t"]


async def test_changes_that_come_in_a_flock_are_one_reconciliation(monkeypatch: pytest.MonkeyPatch) -> None:
    reconciled, waiting = list[str](), list[tuple[float, Callable[[str], None], str]]()

    async def reconcile(key: str) -> None:
        reconciled.append(key)

    async with working(reconcile, settle=0.2) as queue:
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda *call: waiting.append(call))
        for _ in range(3):
            queue.add("ns/t")
            await settle()
        monkeypatch.undo()
        assert not reconciled
        ((pause, call, key),) = waiting
        call(key)
        await settle()
    assert (reconciled, pause) == (["ns/t"], 0.2)


async def test_a_slow_plan_delays_no_reconciliation_and_its_end_brings_the_next() -> None:
    gate, acts, told = asyncio.Event(), list[int](), list[bool]()

    async def execute() -> None:
        acts.append(len(told))
        if len(acts) == 1:
            await gate.wait()

    async def reconcile(key: str) -> None:
        told.append(queue.is_executing(key))
        queue.execute(key, execute)

    async with working(reconcile) as queue:
        for _ in range(3):
            queue.add("ns/t")
            await settle()
        assert told == [False, True, True]
        assert acts == [1]  # one plan of a tournament at a time
        gate.set()
        await settle()
    assert told == [False, True, True, False]
    assert acts == [1, 4]


async def test_a_status_is_deferred_once() -> None:
    left = list[bool]()

    async def reconcile(key: str) -> None:
        left.append(queue.defer_status(key))
        queue.add(key)  # something arrives at every reconciliation

    async with working(reconcile) as queue:
        queue.add("ns/t")
        while len(left) < 6:
            await settle()
    assert left[:6] == [True, False] * 3


async def test_a_deferred_status_brings_a_reconciliation_though_nothing_arrives() -> None:
    left = list[bool]()

    async def reconcile(key: str) -> None:
        left.append(queue.defer_status(key))

    async with working(reconcile) as queue:
        queue.add("ns/t")
        await settle()
    assert left == [True, False]


async def test_a_plan_that_overlaps_nothing_brings_no_reconciliation() -> None:
    reconciled = list[str]()

    async def execute() -> None:
        return None

    async def reconcile(key: str) -> None:
        reconciled.append(key)
        queue.execute(key, execute)

    async with working(reconcile) as queue:
        queue.add("ns/t")
        await settle()
    assert reconciled == ["ns/t"]


async def test_a_plan_that_fails_is_tried_again_after_longer_and_longer_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = list[float]()

    async def execute() -> None:
        raise ApiError(422, "no")

    async def reconcile(key: str) -> None:
        queue.execute(key, execute)

    async with working(reconcile) as queue:
        loop = asyncio.get_running_loop()
        soon = loop.call_soon
        monkeypatch.setattr(loop, "call_later", lambda pause, *call: pauses.append(pause) if pause else soon(*call))
        for _ in range(5):
            queue.add("ns/t")
            await settle()
        monkeypatch.undo()
    assert len(pauses) == 5
    for place, pause in enumerate(pauses, start=1):
        assert 0.5 * 0.2 * 2**place <= pause <= 0.2 * 2**place


async def test_what_has_gone_in_the_middle_is_no_failure() -> None:
    reconciled = list[str]()

    async def reconcile(key: str) -> None:
        reconciled.append(key)
        raise ApiError(404, "gone")

    async with working(reconcile) as queue:
        queue.add("ns/t")
        await settle()
        queue.add("ns/t")
        await settle()
    assert reconciled == ["ns/t", "ns/t"]
