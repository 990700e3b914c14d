from __future__ import annotations

import json
from pathlib import Path

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


def test_without_a_file_it_does_nothing() -> None:
    Progress(None, lambda: 0.0).advance(1, 2)


def test_a_folder_that_went_does_not_end_the_work(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "gone" / "progress", lambda: 0.0)
    progress.advance(1, 2)
    progress.advance(2, 2)
