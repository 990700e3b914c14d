"""Tournaments run by `tiltyard run`, none of whose processes outlives its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from support.local_runs import LocalRun

TIME_OUT = 240  # a run takes seconds, on a busy machine a minute


class MakeRun(Protocol):
    def __call__(self, name: str, manifest: Mapping[str, Any], **options: Any) -> LocalRun: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_OUT))


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """Makes runs in folders of the test's own; see `LocalRun` for the options."""
    yield from _made(tmp_path)


@pytest.fixture(scope="module")
def make_shared_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    """The same for runs that the tests of a module share."""
    yield from _made(tmp_path_factory.mktemp("runs"))


def _made(folder: Path) -> Iterator[Callable[..., LocalRun]]:
    runs: list[LocalRun] = []

    def make(name: str, manifest: Mapping[str, Any], **options: Any) -> LocalRun:
        runs.append(LocalRun(folder / name, manifest, **options))
        return runs[-1]

    yield make
    for run in runs:
        run.end_all()
