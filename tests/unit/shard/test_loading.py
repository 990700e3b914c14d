from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.shard_stage import bundle, recipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.shard.loading import load_bundle, load_solo


def written(folder: Path, change: dict[str, Any]) -> Path:
    document = json.loads(bundle(folder / "store", (recipe(),)).canonical())
    path = folder / "task.json"
    path.write_text(json.dumps(document | change))
    return path


def test_a_task_comes_back_as_it_was(tmp_path: Path) -> None:
    task = bundle(tmp_path / "store", (recipe(0), recipe(1)))
    path = tmp_path / "task.json"
    path.write_bytes(task.canonical())
    assert load_bundle(path, "answer", 0) == task


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stag": "answer"}, r"stag: Extra inputs are not permitted \(given: 'answer'\)\."),
        ({"indices": [[{"recipe": "x", "shard": 0}]]}, r"indices\[0\]\[0\]\.recipe: .*valid integer.*\(given: 'x'\)\."),
        ({"tournament": None}, r"tournament: Input should be a valid string\."),
        ({"tournament": None, "indices": 3}, r"tournament: .*\. indices: .*\(given: '3'\)\."),
        ({"stage": "judge"}, r"is a task of stage judge, not answer\."),
        ({"indices": []}, r"there is no index 0\."),
        ({"indices": [[{"recipe": 1, "shard": 0}]]}, "names part 0 of recipe 1"),
        ({"indices": [[{"recipe": 0, "shard": 1}]]}, "names part 1 of recipe 0"),
    ],
)
def test_each_problem_is_one_sentence(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_bundle(written(tmp_path, change), "answer", 0)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_what_is_no_document_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "task.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"is not valid\. The document: "):
        load_solo(path, "preflight")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"task\.json cannot be read: No such file or directory\."):
        load_solo(tmp_path / "task.json", "preflight")


def test_many_problems_are_cut_short(tmp_path: Path) -> None:
    indices = [[{"recipe": "x", "shard": "y"}] * 10]
    with pytest.raises(ConfigurationError, match=r"And 10 more\.$"):
        load_bundle(written(tmp_path, {"indices": indices}), "answer", 0)
