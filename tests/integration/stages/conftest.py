from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stage_world import Sim, StageWorld
from tiltyard_jobs.stages import endpoints


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world is many small objects, and none of these tests pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflight gives an endpoint that is silent a moment."""
    monkeypatch.setattr(endpoints, "ENDPOINT_SECONDS", 0.3)
    monkeypatch.setattr(endpoints, "RETRY_SECONDS", 0.05)


@pytest.fixture
def world(tmp_path: Path) -> StageWorld:
    return StageWorld(tmp_path)


@pytest.fixture(scope="session")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sim]:
    """One expert that mines, grades, answers and judges; it abstains now and then."""
    made = Sim("sim://sage?skill=0.7&junk=0.2&judge.abstain=0.1", tmp_path_factory.mktemp("sim"))
    yield made
    made.close()


@pytest.fixture
def refusing() -> Iterator[str]:
    """A URL where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"
