"""SIGTERM while nothing but a silent endpoint is waited for: there is nothing to keep, so the worker ends at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.stage_world import StageWorld, answer_recipe, curate_recipe, mine_recipe
from tiltyard_jobs.contracts.recipes import EmbedderRecipe
from tiltyard_jobs.contracts.solo_tasks import NamedEndpoint, PreflightTask, SoloTask
from tiltyard_jobs.contracts.tasks import BundleTask, EndpointRef

SECONDS = 20  # on a busy machine; an endpoint that says nothing would be waited for much longer


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def task_of(world: StageWorld, kind: str, endpoint: EndpointRef) -> BundleTask | SoloTask:
    texts = world.instructions([f"Write a function number {number}." for number in range(200)])
    if kind == "preflight":
        named = NamedEndpoint(name="x", endpoint=endpoint)
        return PreflightTask(tournament="test", store=world.store_ref, run="0" * 12, artifacts=(), endpoints=(named,))
    if kind == "mine":
        return world.bundle(mine_recipe(prefix=None), endpoint=endpoint)
    if kind == "curate":
        embedder = EmbedderRecipe(method="Endpoint", model=endpoint.model)
        recipe = curate_recipe(texts, diversity="KCenterGreedy", embedder=embedder, limit=9)
        return world.bundle(recipe, embedder=endpoint)
    return world.bundle(answer_recipe(texts, rows=9), endpoint=endpoint)


@pytest.mark.parametrize("kind", ["preflight", "mine", "curate", "answer"])
def test_a_silent_endpoint_holds_nobody(world: StageWorld, silent: socket.socket, kind: str) -> None:
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
    endpoint = EndpointRef(url=url, model="m", field="spec.competitors[0].endpoint")
    task = task_of(world, kind, endpoint)
    document, summary = world.root / "task.json", world.root / "summary.json"
    document.write_bytes(task.canonical())
    process = subprocess.Popen(
        [sys.executable, "-m", "tiltyard_jobs", task.stage, "--task", str(document)],
        env=os.environ | {"TILTYARD_SUMMARY": str(summary), "TILTYARD_WORK_DIR": str(world.root / "work")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1)  # it has asked, and waits
            process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            _, errors = process.communicate(timeout=30)
            assert time.monotonic() - told < SECONDS
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143, errors
    assert [json.loads(line)["event"] for line in errors.splitlines()][-1] == "stopped"
    assert json.loads(summary.read_text())["exitCode"] == 143
