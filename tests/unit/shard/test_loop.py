"""The loop that makes the records of a shard."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.looped_shard import Shard, rows_in
from tiltyard_jobs.errors import (
    ConfigurationError,
    NothingUsableError,
    PermanentError,
    TransientError,
    VoidReason,
)
from tiltyard_jobs.shard.loop import WorkItem, row_json
from tiltyard_jobs.shard.stopping import Stopped


async def test_every_record_is_asked_once_and_in_order(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 50)
    with shard.journal() as journal:
        await shard.run(journal)
        assert shard.asked == list(range(50))
        assert rows_in(journal) == {row: {"row": row, "text": f"reply {row}"} for row in range(50)}
    assert json.loads((tmp_path / "progress").read_text()) == {"done": 50, "total": 50}


async def test_at_most_so_many_at_once_and_items_are_drawn_as_slots_come_free(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 30, concurrency=3)
    running = most = drawn = 0

    async def behave(row: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        assert drawn <= len(shard.asked) + 1
        await asyncio.sleep(0.001)
        running -= 1

    def items() -> Iterator[WorkItem[int]]:
        nonlocal drawn
        for row in range(30):
            drawn += 1
            yield WorkItem(0, row, row)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal() as journal:
        await shard.run(journal, items())
    assert most == 3


async def test_what_is_done_is_not_asked_again(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 10)
    with shard.journal() as journal:
        for row in (0, 3, 4, 9):
            journal.append(0, row, b'{"row": -1}')
        await shard.run(journal)
        assert shard.asked == [1, 2, 5, 6, 7, 8]
        assert rows_in(journal)[3] == {"row": -1}


async def test_a_void_keeps_its_place_and_a_short_detail(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 5)
    shard.voids = {2: VoidReason.UNDECIDED}
    with shard.journal() as journal:
        await shard.run(journal)
        assert rows_in(journal)[2] == {"row": 2, "void": "Undecided", "detail": "x" * 500}


async def test_unavailable_records_are_asked_again_and_other_voids_are_not(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 6, max_failures=2)
    shard.voids = {1: VoidReason.UNAVAILABLE, 2: VoidReason.MALFORMED, 3: VoidReason.UNDECIDED}
    with shard.journal() as journal:
        await shard.run(journal)
    shard.asked.clear()
    shard.voids.clear()
    with shard.journal() as journal:
        await shard.run(journal)
        assert shard.asked == [1]
        assert [row for row, made in rows_in(journal).items() if "void" in made] == [2, 3]


async def test_too_many_failures_end_the_shard_with_the_limit_and_its_field(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 20, concurrency=1, max_failures=2)
    shard.max_undecided = 1
    shard.voids = dict.fromkeys([1, 5, 8], VoidReason.MALFORMED) | {3: VoidReason.UNDECIDED}
    with shard.journal() as journal:
        with pytest.raises(
            PermanentError,
            match=r"^4 of 20 records .*\(Malformed 3, Undecided 1\).*maxVoidFraction allows 2 \(and 1 Undecided\):",
        ):
            await shard.run(journal)
        assert list(rows_in(journal)) == [0, 2, 4, 6, 7]
    # Whoever mended the cause gets the failed ones asked again, and nothing else.
    shard.asked.clear()
    shard.voids.clear()
    with shard.journal() as journal:
        await shard.run(journal)
    assert shard.asked == [1, 3, 5, 8, *range(9, 20)]


async def test_the_undecided_count_where_they_are_more_than_a_judge_may_leave(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 20, concurrency=1, max_failures=2)
    shard.max_undecided = 3
    shard.voids = dict.fromkeys([1, 2, 5, 8], VoidReason.UNDECIDED) | {3: VoidReason.MALFORMED}
    with shard.journal() as journal:
        await shard.run(journal)  # one Undecided of four, and one Malformed
    shard = Shard(tmp_path / "more", 20, concurrency=1, max_failures=2)
    (tmp_path / "more").mkdir()
    shard.max_undecided = 3
    shard.voids = dict.fromkeys([1, 2, 5, 8, 9], VoidReason.UNDECIDED) | {3: VoidReason.MALFORMED}
    with shard.journal() as journal:
        with pytest.raises(
            PermanentError,
            match=r"^6 of 20 records .*\(Malformed 1, Undecided 5\).* allows 2 \(and 3 Undecided\): fix",
        ):
            await shard.run(journal)
        assert list(rows_in(journal)) == [0, 4, 6, 7]


@pytest.mark.parametrize(("total", "asked", "left"), [(100, 16, 0), (6, 6, 0), (3, 3, 3)])
async def test_nothing_usable_ends_the_shard_early_with_the_commonest_reason(
    tmp_path: Path, total: int, asked: int, left: int
) -> None:
    shard = Shard(tmp_path, total, concurrency=1, max_failures=total)
    shard.voids = dict.fromkeys(range(total), VoidReason.UNDECIDED) | {0: VoidReason.TRUNCATED}
    with shard.journal() as journal:
        if left:  # so few say nothing yet
            await shard.run(journal)
        else:
            with pytest.raises(
                NothingUsableError, match=rf"^none of {asked} replies is usable.*: Undecided: x+$"
            ) as it:
                await shard.run(journal)
            assert (it.value.asked, it.value.reason) == (asked, VoidReason.UNDECIDED)
        assert len(rows_in(journal)) == left
    assert len(shard.asked) == asked
    shard.asked.clear()
    shard.voids.clear()
    with shard.journal() as journal:  # mended: all of them are asked again
        await shard.run(journal)
    assert len(shard.asked) == total - left


async def test_no_more_than_the_first_records_are_paid_for_until_one_is_usable(tmp_path: Path) -> None:
    """However many may be under way at once; what is void without a question is not among them."""
    shard = Shard(tmp_path, 200, concurrency=64, max_failures=200)
    shard.voids = dict.fromkeys(range(200), VoidReason.UNDECIDED) | dict.fromkeys(
        range(0, 40, 2), VoidReason.INPUT_VOID
    )
    with shard.journal() as journal, pytest.raises(NothingUsableError):
        await shard.run(journal)
    assert len([row for row in shard.asked if shard.voids[row] is VoidReason.UNDECIDED]) == 16
    running = most = 0

    async def behave(row: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01 if row == 3 else 0.03)
        running -= 1

    other = Shard(tmp_path / "other", 200, concurrency=64)
    (tmp_path / "other").mkdir()
    other.behave = behave  # type: ignore[method-assign]
    with other.journal() as journal:
        await other.run(journal)
    assert (len(other.asked), most) == (200, 64)


async def test_one_usable_record_is_enough_and_what_was_not_asked_says_nothing(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 40, concurrency=1, max_failures=40)
    shard.voids = dict.fromkeys(set(range(40)) - {15}, VoidReason.UNDECIDED)
    with shard.journal() as journal:
        await shard.run(journal)
    inputs = Shard(tmp_path / "inputs", 40, concurrency=1)
    inputs.voids = dict.fromkeys(range(40), VoidReason.INPUT_VOID)
    (tmp_path / "inputs").mkdir()
    with inputs.journal() as journal:
        await inputs.run(journal)
        assert len(rows_in(journal)) == 40


async def test_failures_of_earlier_attempts_count(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 20, concurrency=1, max_failures=1)
    shard.voids = {1: VoidReason.MALFORMED, 12: VoidReason.MALFORMED}

    async def behave(row: int) -> None:
        if row == 10 and not shard.asked.count(10) > 1:
            raise TransientError("away")

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal() as journal, pytest.raises(TransientError):
        await shard.run(journal)
    with shard.journal() as journal, pytest.raises(PermanentError, match=r"^2 of 20"):
        await shard.run(journal)


async def test_a_lowered_limit_asks_old_failures_again(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 5, max_failures=2)
    shard.voids = {1: VoidReason.MALFORMED, 2: VoidReason.MALFORMED}
    with shard.journal() as journal:
        await shard.run(journal)
    shard.max_failures = 1
    shard.asked.clear()
    shard.voids.clear()
    with shard.journal() as journal:
        await shard.run(journal)
    assert shard.asked == [1, 2]
    assert json.loads((tmp_path / "progress").read_text()) == {"done": 5, "total": 5}


async def test_exports_while_it_runs(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 30, concurrency=1)
    shard.export_records = 10

    def chunks() -> int:
        return len(list(shard.store.list("checkpoints/")))

    async def behave(row: int) -> None:
        if row < 10:
            assert chunks() == 0
        async with asyncio.timeout(20):
            while chunks() < min(2, row // 10):  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal(checkpoints=True) as journal:
        await shard.run(journal)


async def test_a_store_that_is_away_does_not_end_the_work(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 30)
    shard.export_records = 5

    def export() -> None:
        raise TransientError("503")

    with shard.journal(checkpoints=True) as journal:
        journal.export = export  # type: ignore[method-assign]
        await shard.run(journal)
        assert journal.done(0) == 30


async def test_a_store_that_refuses_ends_the_work(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 1000)
    shard.export_records = 5

    def export() -> None:
        raise ConfigurationError("no permission")

    async def behave(row: int) -> None:
        await asyncio.sleep(0.001)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal(checkpoints=True) as journal:
        journal.export = export  # type: ignore[method-assign]
        with pytest.raises(ConfigurationError, match="no permission"):
            await shard.run(journal)


async def test_work_that_never_waits_lets_others_run(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 100_000)

    async def behave(row: int) -> None:
        if row == 0:
            asyncio.get_running_loop().call_soon(shard.stop.set)

    shard.behave = behave  # type: ignore[method-assign]
    with shard.journal() as journal, pytest.raises(Stopped):
        await shard.run(journal)
    assert len(shard.asked) < 1000


async def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    async def peak(total: int) -> int:
        folder = tmp_path / str(total)
        folder.mkdir()
        shard = Shard(folder, total)
        shard.work = answer  # type: ignore[method-assign]
        with shard.journal() as journal:
            tracemalloc.start()
            try:
                await shard.run(journal)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    async def answer(row: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"row": row, "text": "x" * 1000}

    await peak(100)  # what is imported and cached at first use
    small, large = await peak(200), await peak(2000)
    assert large - small < 1800 * 40  # a payload is 1,000


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "\ud800 half", "n": 1}, {"text": "? half", "n": 1}),
        ({"text": "\x00", "x": float("nan")}, {"text": "\x00", "x": None}),
    ],
)
def test_any_text_becomes_json(row: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json.loads(row_json(row)) == expected
