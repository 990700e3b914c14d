"""How a process ended, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiltyard.local.jobs import read_summary
from tiltyard.local.processes import how_it_ended
from tiltyard_jobs.contracts.summary import Summary


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with code 0"),
        (3, "ended with code 3"),
        (-9, "was killed by SIGKILL"),
        (-50, "was killed by signal 50"),
    ],
)
def test_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words


def test_a_summary_is_what_the_shard_left_with_the_code_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(Summary(exit_code=0, rows=7).to_message())
    assert read_summary(path, 0, tmp_path / "log") == Summary(exit_code=0, rows=7)
    assert read_summary(path, -15, tmp_path / "log").exit_code == -15


@pytest.mark.parametrize("left", [None, "", '{"exitCode": 0'])
def test_a_shard_that_left_no_summary(left: str | None, tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    if left is not None:
        path.write_text(left)
    summary = read_summary(path, -9, Path("/state/0.log"))
    assert summary.exit_code == -9
    assert summary.message == "the worker was killed by SIGKILL and left no summary; its log is /state/0.log"
