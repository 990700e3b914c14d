"""What ends a shard's loop before its end keeps what is done: a stop, an error, a cancellation."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.looped_shard import Shard, rows_in
from tiltyard_jobs.contracts.progress import WorkerProgress
from tiltyard_jobs.errors import (
    ConfigurationError,
    PermanentError,
    TransientError,
)
from tiltyard_jobs.shard import loop
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.shard.stopping import Stopped


async def test_what_is_under_way_at_a_stop_is_waited_for_and_nothing_more_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "DRAIN_SILENCE_SECONDS", 60.0)  # a busy machine may be silent for a second
    shard = Shard(tmp_path, 20, concurrency=3)

    async def behave(row: int) -> None:
        if row < 5:
            return
        shard.stop.set()
        await asyncio.sleep(0.02 * (row - 4))

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal() as journal:
        with pytest.raises(Stopped):
            await shard.run(journal)
        assert sorted(rows_in(journal)) == shard.asked == list(range(len(shard.asked)))
    assert 6 <= len(shard.asked) <= 8


async def test_all_that_is_left_may_be_under_way_at_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "DRAIN_SILENCE_SECONDS", 60.0)  # a busy machine may be silent for a second
    shard = Shard(tmp_path, 6, concurrency=3)

    async def behave(row: int) -> None:
        if row == 5:
            shard.stop.set()
            await asyncio.sleep(0.02)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal() as journal:
        with pytest.raises(Stopped):
            await shard.run(journal)
        assert sorted(rows_in(journal)) == list(range(6))


async def test_who_begins_nothing_more_is_not_counted_as_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "DRAIN_SILENCE_SECONDS", 60.0)  # a busy machine may be silent for a second
    monkeypatch.setattr(loop, "TELL_SECONDS", 0.001)
    shard = Shard(tmp_path, 20, concurrency=3)
    ticks = itertools.count()
    shard.clock = lambda: float(next(ticks))
    told: list[tuple[int, int]] = []

    async def behave(row: int) -> None:
        if row < 5:
            return
        if row == 7:
            shard.stop.set()
        await shard.stop.wait()
        for _ in range(20):  # turns of the loop, until it knows
            await asyncio.sleep(0)
        while row == 7 and told[-1:] != [(7, 1)]:
            progress = WorkerProgress.model_validate_json((tmp_path / "progress").read_bytes())
            told.append((progress.done, progress.asking))
            await asyncio.sleep(0.001)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal() as journal, pytest.raises(Stopped):
        await shard.run(journal)
    assert shard.asked == list(range(8))
    assert told[-1] == (7, 1)


async def test_stopping_cancels_exports_and_says_so(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 20, concurrency=3)
    cancelled = []

    async def behave(row: int) -> None:
        if row < 5:
            return
        shard.stop.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(row)
            raise

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal(checkpoints=True) as journal, pytest.raises(Stopped):
        await shard.run(journal)
    assert 1 <= len(cancelled) <= 3
    with shard.journal(node="other", checkpoints=True) as journal:
        assert set(rows_in(journal)) == set(range(5))


@pytest.mark.parametrize("error", [TransientError("away"), ConfigurationError("refused"), ValueError("bug")])
async def test_other_errors_cancel_the_rest_and_keep_what_is_done(tmp_path: Path, error: Exception) -> None:
    shard = Shard(tmp_path, 20, concurrency=3)

    async def behave(row: int) -> None:
        if row == 6:
            raise error
        if row > 6:
            await asyncio.sleep(60)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal(checkpoints=True) as journal, pytest.raises(type(error), match=str(error)):
        await shard.run(journal)
    with shard.journal(node="other", checkpoints=True) as journal:
        assert set(rows_in(journal)) == set(range(6))


async def test_an_error_of_the_items_ends_the_shard(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 20)

    def items() -> Iterator[WorkItem[int]]:
        yield WorkItem(0, 0, 0)
        raise PermanentError("the input is damaged")

    with shard.journal() as journal, pytest.raises(PermanentError, match="damaged"):
        await shard.run(journal, items())


async def test_cancelling_from_outside_exports_too(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 20, concurrency=2)

    reached = asyncio.Event()

    async def behave(row: int) -> None:
        if row >= 4:
            reached.set()
            await asyncio.sleep(60)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal(checkpoints=True) as journal:
        task = asyncio.create_task(shard.run(journal))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with shard.journal(node="other", checkpoints=True) as journal:
        assert set(rows_in(journal)) == set(range(4))
