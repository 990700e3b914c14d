from __future__ import annotations

import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.errors import TransientError
from tiltyard_jobs.shard import frames
from tiltyard_jobs.shard.recordlog import RecordLog, RowState

payloads = st.binary(min_size=1, max_size=40)
records = st.lists(st.tuples(st.integers(0, 30), payloads), min_size=1, max_size=12)


@contextmanager
def new_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "records"


@contextmanager
def opened(path: Path) -> Iterator[RecordLog]:
    log = RecordLog(path)
    try:
        yield log
    finally:
        log.close()


def write(path: Path, rows: list[tuple[int, bytes]]) -> None:
    with opened(path) as log:
        for row, payload in rows:
            log.append(row, payload)


def contents(log: RecordLog) -> dict[int, bytes]:
    return {row: log.get(row) for row in log}


@given(records, st.data())
@settings(deadline=None, max_examples=100)
def test_a_damaged_file_loses_at_most_its_tail(rows: list[tuple[int, bytes]], data: st.DataObject) -> None:
    with new_path() as path:
        write(path, rows)
        whole = path.read_bytes()
        position = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            path.write_bytes(whole[:position] + data.draw(st.binary(max_size=20)))
        else:
            flipped = whole[position] ^ (1 << data.draw(st.integers(0, 7)))
            path.write_bytes(whole[:position] + bytes([flipped]) + whole[position + 1 :])
        ends = [sum(frames.HEADER.size + len(p) for _, p in rows[: i + 1]) for i in range(len(rows))]
        good = dict(rows[: sum(end <= position for end in ends)])

        with opened(path) as log:
            found = contents(log)
            # What is lost is lost from the end: a prefix of what was written is left, and no less than was good.
            # (Random bytes behind a cut may by chance be those that were there.)
            assert any(found == dict(rows[:count]) for count in range(len(rows) + 1))
            assert good.keys() <= found.keys()
            log.append(31, b"later")
        with opened(path) as log:
            assert contents(log) == found | {31: b"later"}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 8), payloads),
        st.tuples(st.just("forget"), st.integers(0, 8), st.just(b"")),
        st.tuples(st.just("reopen"), st.just(0), st.just(b"")),
    ),
    max_size=30,
)


@given(steps)
@settings(deadline=None, max_examples=60)
def test_it_is_a_dictionary_that_survives(steps: list[tuple[str, int, bytes]]) -> None:
    model: dict[int, bytes] = {}
    ever: set[int] = set()
    with new_path() as path:
        log = RecordLog(path)
        try:
            for step, row, payload in [*steps, ("reopen", 0, b"")]:
                if step == "append":
                    log.append(row, payload)
                    model[row] = payload
                    ever.add(row)
                elif step == "forget":
                    log.forget(row)
                    model.pop(row, None)
                else:
                    log.close()
                    log = RecordLog(path)
                assert contents(log) == model
                assert len(log) == len(model)
                for known in range(10):
                    expected = RowState.HELD if known in model else RowState.FORGOTTEN
                    assert log.state(known) == (expected if known in ever else RowState.ABSENT)
        finally:
            log.close()


def test_memory_is_twelve_bytes_a_row_and_no_payload(tmp_path: Path) -> None:
    with opened(tmp_path / "records") as log:
        log.append(0, b"x")
        tracemalloc.start()
        try:
            for row in range(1, 5_000):
                log.append(row, b"p" * 500)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < 5_000 * 16


def test_a_failed_write_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records"
    pwrite = os.pwrite

    def full(fd: int, data: memoryview, offset: int) -> int:
        if len(data) > 50:
            return pwrite(fd, data[:50], offset)
        raise OSError(28, "No space left on device")

    with opened(path) as log:
        log.append(0, b"first")
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            log.append(1, b"second" * 12)
        monkeypatch.undo()
        assert contents(log) == {0: b"first"}
        log.append(2, b"third")
    with opened(path) as log:
        assert contents(log) == {0: b"first", 2: b"third"}


def test_a_length_beyond_the_file_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(frames.encode(0, b"good") + frames.HEADER.pack(1, 1, 2**32 - 1) + b"x")
    with opened(path) as log:
        assert contents(log) == {0: b"good"}
    assert path.read_bytes() == frames.encode(0, b"good")


def test_zeros_that_a_crashed_file_system_left_are_no_record(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(frames.encode(5, b"good") + bytes(4096))
    with opened(path) as log:
        assert contents(log) == {5: b"good"}


def test_damage_while_in_use_is_found_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with opened(path) as log:
        log.append(0, b"payload")
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        with pytest.raises(TransientError, match="damaged"):
            log.get(0)


@pytest.mark.parametrize(("row", "payload"), [(-1, b"x"), (2**31, b"x"), (0, b"")])
def test_what_cannot_be_framed_is_refused(tmp_path: Path, row: int, payload: bytes) -> None:
    with opened(tmp_path / "records") as log, pytest.raises(ValueError, match="cannot be written"):
        log.append(row, payload)
