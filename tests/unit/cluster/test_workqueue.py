"""When tournaments are reconciled. Time passes as `asyncio.sleep(0)` does: nothing here waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from support import virtual_time
from tiltyard.cluster.client import ApiError, NotYet, Refused
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


@pytest.mark.parametrize("error", [ApiError(500, "no"), Refused(422, "no"), NotYet(501, "no")])
@pytest.mark.parametrize("defers", [False, True])
def test_a_plan_that_fails_is_tried_again_by_one_timer_up_to_a_minute_apart(error: ApiError, defers: bool) -> None:
    tries, executed = list[float](), list[float]()

    async def reconcile(key: str) -> float | None:
        now, backing_off = asyncio.get_running_loop().time(), queue.is_backing_off(key)

        async def execute() -> None:
            executed.append(now)
            if not backing_off:
                tries.append(now)
                raise error

        if not queue.is_executing(key):
            queue.execute(key, execute)
            if defers and queue.defer_status(key):
                return None
        return 3600.0

    queue = WorkQueue(reconcile, lambda key: True, Random(0))

    async def main() -> None:
        worker = asyncio.create_task(queue.work())
        for _ in range(600):  # a change in each second
            queue.add("ns/t")
            await asyncio.sleep(1.0)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    virtual_time.run(main())
    pauses = [after - before for before, after in pairwise(tries)]
    assert 12 <= len(tries) <= 22
    for place, pause in enumerate(pauses, start=1):
        assert 0.5 * min(60.0, 0.2 * 2**place) <= pause <= min(60.0, 0.2 * 2**place) + 0.5
    # What was not refused goes on meanwhile; after any other failure nothing does.
    assert (len(executed) > 300) == isinstance(error, Refused)
    assert isinstance(error, Refused) or executed == tries


def test_a_plan_that_is_executed_in_a_pause_leaves_the_timer_of_what_was_refused() -> None:
    tries = list[float]()

    async def reconcile(key: str) -> None:
        backing_off = queue.is_backing_off(key)

        async def execute() -> None:
            await asyncio.sleep(0.1)  # the reconciliation ends before
            if not backing_off:
                tries.append(asyncio.get_running_loop().time())
                raise Refused(422, "no")

        queue.execute(key, execute)

    queue = WorkQueue(reconcile, lambda key: True, Random(0))

    async def main() -> None:
        worker = asyncio.create_task(queue.work())
        queue.add("ns/t")
        while len(tries) < 3:  # noqa: ASYNC110  (time is virtual)
            await asyncio.sleep(0.01)
        queue.add("ns/t")  # within the pause; nothing changes after it
        await asyncio.sleep(120)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    virtual_time.run(main())
    assert len(tries) >= 8


def test_a_plan_that_succeeds_ends_the_pauses() -> None:
    fails, tries = True, list[float]()

    async def reconcile(key: str) -> None:
        backing_off = queue.is_backing_off(key)

        async def execute() -> None:
            if not backing_off:
                tries.append(asyncio.get_running_loop().time())
                if fails:
                    raise Refused(422, "no")

        queue.execute(key, execute)

    queue = WorkQueue(reconcile, lambda key: True, Random(0))

    async def main() -> None:
        nonlocal fails
        worker = asyncio.create_task(queue.work())
        queue.add("ns/t")
        await asyncio.sleep(100)
        fails = False
        await asyncio.sleep(3600)
        passed = len(tries)
        assert tries[-1] < 200  # nothing is tried again once all is made
        fails = True
        queue.add("ns/t")
        await asyncio.sleep(2)
        assert len(tries) >= passed + 3  # from the shortest pause on
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    virtual_time.run(main())


def test_what_was_refused_is_tried_at_once_where_it_may_be_accepted_by_now() -> None:
    tries = list[float]()

    async def reconcile(key: str) -> None:
        async def execute() -> None:
            tries.append(asyncio.get_running_loop().time())
            raise NotYet(501, "no")

        queue.execute(key, execute)

    queue = WorkQueue(reconcile, lambda key: True, Random(0))

    async def main() -> None:
        worker = asyncio.create_task(queue.work())
        queue.retry("ns/t")  # the first of it
        await asyncio.sleep(300)
        began, passed = asyncio.get_running_loop().time(), len(tries)
        assert began - tries[-1] > 2  # within a long pause
        queue.retry("ns/t")
        await asyncio.sleep(2)
        assert len(tries) >= passed + 3  # at once, and from the shortest pause on
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    virtual_time.run(main())


def failures() -> float:
    return REGISTRY.get_sample_value("tiltyard_reconcile_errors_total") or 0.0


@pytest.mark.parametrize(("error", "counted"), [(Refused(422, "no"), 1), (NotYet(501, "not downloaded"), 0)])
async def test_a_plan_that_waits_for_something_else_is_no_failure(error: ApiError, counted: int) -> None:
    before, executed = failures(), list[str]()

    async def execute() -> None:
        executed.append("ns/t")
        raise error

    async def reconcile(key: str) -> None:
        if not executed:
            queue.execute(key, execute)

    async with working(reconcile) as queue:
        queue.add("ns/t")
        await settle()
    assert executed
    assert failures() - before == counted


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


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 2)), min_size=1, max_size=30), st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=50)
def test_no_change_is_lost_whatever_fails_and_nothing_of_a_tournament_overlaps(
    changes: list[tuple[str, float]], seed: int
) -> None:
    rng, version, written = Random(seed), Counter[str](), dict[str, int]()
    reconciling, executing, calm = set[str](), set[str](), False

    async def plan(key: str) -> None:
        assert key not in executing
        executing.add(key)
        await asyncio.sleep(rng.uniform(0, 3))
        executing.discard(key)
        if not calm and rng.random() < 0.3:
            raise ApiError(500, "no")

    async def reconcile(key: str) -> float | None:
        assert key not in reconciling
        reconciling.add(key)
        seen = version[key]
        await asyncio.sleep(rng.uniform(0, 1))
        reconciling.discard(key)
        if not calm and rng.random() < 0.2:
            raise ApiError(500, "no")
        if not queue.is_executing(key) and rng.random() < 0.4 and queue.defer_status(key):
            queue.execute(key, partial(plan, key))
            return None
        written[key] = seen
        if rng.random() < 0.5:
            queue.execute(key, partial(plan, key))
        return 5.0 if not calm and rng.random() < 0.2 else None

    queue = WorkQueue(reconcile, lambda key: True, rng)

    async def main() -> None:
        nonlocal calm
        workers = [asyncio.create_task(queue.work()) for _ in range(2)]
        for key, pause in changes:
            version[key] += 1
            queue.add(key)
            assert not any(entry.queued and entry.processing for entry in queue._entries.values())
            await asyncio.sleep(pause)
        calm = True
        await asyncio.sleep(1000)
        assert written == version
        for entry in queue._entries.values():
            assert not entry.queued
            assert not entry.processing
            assert (entry.dirty_since, entry.status_deferred_since, entry.execution) == (None, None, None)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    virtual_time.run(main())


async def test_a_tournament_that_is_gone_is_forgotten_once_its_plan_has_ended() -> None:
    gate, there = asyncio.Event(), True

    async def plan() -> None:
        await gate.wait()

    async def reconcile(key: str) -> None:
        if there:
            queue.execute(key, plan)

    queue = WorkQueue(reconcile, lambda key: there, Random(0), 0.0)
    worker = asyncio.create_task(queue.work())
    queue.add("ns/t")
    await settle()
    there = False
    queue.add("ns/t")
    await settle()
    assert "ns/t" in queue._entries
    gate.set()
    await settle()
    assert not queue._entries
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


@pytest.mark.parametrize("seconds", [4, 40])
@pytest.mark.parametrize("where", ["reconciliation", "plan"])
def test_what_is_under_way_at_a_stop_has_ten_seconds(where: str, seconds: float) -> None:
    ended = list[float]()

    async def act() -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            ended.append(virtual_time.now())

    async def reconcile(key: str) -> None:
        if where == "plan":
            queue.execute(key, act)
        else:
            await act()

    queue = WorkQueue(reconcile, lambda key: True, Random(0), settle=0.0)

    async def main() -> None:
        worker = asyncio.create_task(queue.work())
        queue.add("ns/t")
        await asyncio.sleep(1)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await queue.shut_down()
        assert ended == [min(seconds, 11)] == [virtual_time.now()]

    virtual_time.run(main())
