from __future__ import annotations

import json
from pathlib import Path

from tiltyard_jobs.contracts.progress import WorkerProgress
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
