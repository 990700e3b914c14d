from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.errors import TransientError
from tiltyard_jobs.shard.folders import PartFolder

REF = ArtifactRef(stage="answer", key="ab" * 16)


class Time:
    """A clock that moves when somebody sleeps, and what happens then."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self._then = then

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._then()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    held = PartFolder.claim(tmp_path, REF, 3)
    assert held.path == tmp_path / f"answer-{REF.key}-00003"
    time = Time()
    with pytest.raises(TransientError, match=r"Another process is working on part 3 of answer/abab"):
        PartFolder.claim(tmp_path, REF, 3, clock=time.clock, sleep=time.sleep)
    assert time.now == pytest.approx(10.0, abs=0.2)
    PartFolder.claim(tmp_path, REF, 4).release()
    held.release()
    PartFolder.claim(tmp_path, REF, 3, wait_seconds=0).release()


def test_who_waits_gets_it_when_the_holder_lets_go(tmp_path: Path) -> None:
    held = PartFolder.claim(tmp_path, REF, 0)
    held.journal.write_bytes(b"work")
    time = Time(held.release)
    with_work = PartFolder.claim(tmp_path, REF, 0, clock=time.clock, sleep=time.sleep)
    assert with_work.journal.read_bytes() == b"work"
    with_work.release()


def test_who_waits_for_a_folder_that_is_removed_gets_a_new_one(tmp_path: Path) -> None:
    held = PartFolder.claim(tmp_path, REF, 0)
    held.journal.write_bytes(b"work")
    time = Time(held.remove)
    second = PartFolder.claim(tmp_path, REF, 0, clock=time.clock, sleep=time.sleep)
    assert second.path.is_dir()
    assert not second.journal.exists()
    with pytest.raises(TransientError):
        PartFolder.claim(tmp_path, REF, 0, wait_seconds=0)
    second.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_folder_that_went_in_the_same_moment_is_worth_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = PartFolder.claim(tmp_path, REF, 0)
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        if held.path.exists() and held.journal.exists():
            held.remove()  # after the other opened the lock file, and before it locks it
        flock(descriptor, operation)

    held.journal.write_bytes(b"work")
    monkeypatch.setattr(fcntl, "flock", late)
    second = PartFolder.claim(tmp_path, REF, 0, wait_seconds=1, sleep=lambda seconds: None)
    with pytest.raises(TransientError):
        PartFolder.claim(tmp_path, REF, 0, wait_seconds=0)
    second.release()
