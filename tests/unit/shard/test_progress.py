from __future__ import annotations

import json
from pathlib import Path

from tiltyard.local.jobs import read_progress
from tiltyard_jobs.contracts.progress import MAX_BYTES, WorkerProgress
from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.shard.progress import Progress


def test_at_most_twice_a_second_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    now = 0.0
    progress = Progress(path, lambda: now)
    seen = []
    for done in range(1, 101):
        progress.advance(done, 100)
        seen.append(json.loads(path.read_text())["done"])
        now += 0.02
    assert sorted(set(seen)) == [1, 26, 51, 76, 100]
    assert json.loads(path.read_text()) == {"done": 100, "total": 100}
    assert [entry.name for entry in tmp_path.iterdir()] == ["progress"]


def test_records_are_told_with_their_voids_and_what_they_have_cost(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    progress = Progress(path, lambda: 0.0, lambda: Usage(7, 1, 100, 60, 30))
    progress.count(5, 9, recalled=2, asking=3, voids={"Truncated": 1})
    told = WorkerProgress.model_validate_json(path.read_bytes())
    assert told == progress.look()
    assert (told.done, told.total, told.fresh, told.asking, told.voids) == (5, 9, 3, 3, {"Truncated": 1})
    assert (told.prompt_tokens, told.cached_tokens, told.completion_tokens) == (100, 60, 30)


def test_the_longest_progress_fits(tmp_path: Path) -> None:
    most = 2**45
    progress = Progress(tmp_path / "progress", lambda: 0.0, lambda: Usage(most, most, most, most, most))
    progress.count(most, most, recalled=most, asking=most, voids={str(reason): most for reason in VoidReason})
    assert len((tmp_path / "progress").read_bytes()) <= MAX_BYTES


def test_a_reader_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    for reasons, readable in ((1, True), (64, False)):
        told = WorkerProgress(
            voids={f"{'x' * 62}{chr(97 + number // 8)}{chr(97 + number % 8)}": 1 for number in range(reasons)}
        )
        path.write_text(told.model_dump_json())
        assert read_progress(path) == (told if readable else None)


def test_each_step_is_told_at_once(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress", lambda: 0.0)
    for step in ("Store", "Files"):
        progress.step(step)
        assert json.loads((tmp_path / "progress").read_text()) == {"step": step}


def test_without_a_file_it_does_nothing() -> None:
    Progress(None, lambda: 0.0).advance(1, 2)


def test_a_folder_that_went_does_not_end_the_work(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "gone" / "progress", lambda: 0.0)
    progress.advance(1, 2)
    progress.advance(2, 2)
