"""Real models on llama.cpp's server, as a package of the index brings it: part of `make test-real`."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import envs
from cluster.processes import free_port
from real_models import gguf_of
from support.local_runs import LocalRun

pytestmark = pytest.mark.timeout(7200)

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300
PLAYERS = ("qwen-coder-0.5b", "qwen-coder-1.5b")
JUDGE = "gemma-3-270m"  # a base model: it says little, and in the form that is asked for
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def served(model: str, log: Path) -> Iterator[str]:
    """The root of a server's API."""
    port = free_port()
    command = [str(envs.ensure("llama-cpp")), str(ROOT / "hack/llama_server.py"), str(gguf_of(model))]
    command += ["--name", model, "--port", str(port)]
    if model == JUDGE:
        command += ["--chat-template", "chatml"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the server has ended"
        try:
            with _HTTP.open(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


def test_coders_mine_and_answer_and_a_base_model_judges(tmp_path: Path) -> None:
    with ExitStack() as stack:
        urls = {name: stack.enter_context(served(name, tmp_path / f"{name}.log")) for name in (*PLAYERS, JUDGE)}
        endpoints = [
            {"name": name.replace(".", "-"), "endpoint": {"url": url, "model": name}} for name, url in urls.items()
        ]
        document: dict[str, Any] = {
            "apiVersion": "tiltyard.dev/v1alpha1",
            "kind": "Tournament",
            "metadata": {"name": "llama-cpp"},
            "spec": {
                "competitors": endpoints[:2],
                "judges": endpoints[2:],
                "instructions": {"mine": {"perCompetitor": 6, "maxTokens": 96}},
                "curation": {"decontaminate": [], "lint": "None", "difficulty": {"keep": []}},
                "battles": {"answer": {"maxTokens": 48}, "verdict": {"method": "Choice"}},
                "jobs": {"maxVoidFraction": "1"},
            },
        }
        run = LocalRun(tmp_path / "run", document)
        try:
            ended = run.run(timeout=3600)
        finally:
            run.end_all()
        print(ended.err, ended.out, sep="\n")
        assert ended.code == 0, f"{ended.err}\n{run.logs()}"
    assert run.out is not None
    prefixes = [json.loads(file.read_bytes()) for file in run.out.glob("mine/*/*.prefixes.json")]
    assert {one["source"] for part in prefixes for one in part} == {"apply-template"}
    assert all(one["stops"] for part in prefixes for one in part)
    mined = [row for file in run.out.glob("mine/*/*.rows.parquet") for row in pq.read_table(file).to_pylist()]
    assert len(mined) == 6 * len(PLAYERS)
    assert not [row for row in mined if row["instruction"] and "<|im_" in row["instruction"]]
    verdicts = [row for file in run.out.glob("judge/*/*.rows.parquet") for row in pq.read_table(file).to_pylist()]
    assert [row for row in verdicts if row["vote"] is not None], "its schema is enforced, so it votes"
