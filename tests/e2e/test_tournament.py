"""A whole tournament between three real models, served one at a time by vLLM processes that `tiltyard run` starts."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import yaml

from support.manifests import manifest
from support.tiny_model import BEGIN, END_OF_TURN, START_OF_TURN, tiny_model
from support.vllm_server import SERVER_ARGUMENTS, server_environment, vllm_python

# Eight loads of half a minute each; the first of a new environment takes longer, and its installation longer still.
pytestmark = pytest.mark.timeout(1800)

PLAYERS = ("alpha", "beta", "gamma")


class Run(NamedTuple):
    """A tournament that was played."""

    process: subprocess.CompletedProcess[str]
    manifest: Path
    out: Path
    state: Path

    def status(self) -> dict[str, Any]:
        (file,) = self.state.glob("runs/*/status.json")
        document: dict[str, Any] = json.loads(file.read_bytes())
        return document

    def table(self, stage: str) -> list[dict[str, Any]]:
        """All rows of a stage's main tables."""
        paths = sorted((self.out / stage).glob("*/*.rows.parquet"))
        return [row for path in paths for row in pq.read_table(path).to_pylist()]


def play(folder: Path, document: dict[str, Any]) -> Run:
    """`tiltyard run` of a manifest, as a user runs it."""
    path = folder / "tournament.yaml"
    path.write_text(yaml.safe_dump(document))
    out, state = folder / "out", folder / "state"
    command = [sys.executable, "-m", "tiltyard", "run", str(path), "--out", str(out), "--state", str(state)]
    command += ["--vllm-python", str(vllm_python()), "--progress", "lines"]
    process = subprocess.run(command, env=server_environment(), capture_output=True, text=True, check=False)
    return Run(process, path, out, state)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("tournament")
    document = manifest(
        list(PLAYERS),
        per_competitor=24,
        serving={"maxActive": 1},
        curation={
            "decontaminate": [],
            "difficulty": {"keep": ["Excellent", "Good", "Average", "Poor"]},
            "diversity": {"perCompetitor": 8},
        },
        battles={"answer": {"maxTokens": 96}, "verdict": {"method": "Choice"}},
        jobs={"shardSize": 32, "maxVoidFraction": "0.2"},
    )
    document["spec"]["instructions"]["mine"]["maxTokens"] = 160
    for seed, competitor in enumerate(document["spec"]["competitors"], 1):
        model = tiny_model(vllm_python(), folder / f"model-{seed}", seed)
        competitor["model"] = {"uri": model.as_uri(), "license": "apache-2.0"}
        competitor["serving"] = {"args": [*SERVER_ARGUMENTS]}
    return play(folder, document)


def loads_of(run: Run) -> int:
    """Times that a model was started, over the whole run."""
    return sum(model["loads"] for model in run.status()["models"])


def restarts_of(run: Run) -> int:
    """Times that a server died by itself and was started again, by the models' logs."""
    logs = (path.read_text(errors="replace") for path in (run.state / "models").glob("*.log"))
    return sum(line.startswith("tiltyard: ") for log in logs for line in log.splitlines())


def test_it_completes_with_one_model_up_at_a_time(run: Run) -> None:
    assert run.process.returncode == 0, run.process.stderr
    status = run.status()
    assert status["phase"] == "Complete"
    # Each mines, answers and judges; the last one up for a stage starts the next; the grader's own wait for another.
    # A server that dies under its work is started again, which is one load more and no failure; its log tells.
    assert loads_of(run) == 3 * len(PLAYERS) - 1 + restarts_of(run)
    assert restarts_of(run) <= 1
    assert {row["name"] for row in status["leaderboard"]} == set(PLAYERS)


def test_instructions_were_mined_with_the_template_s_own_prefix(run: Run) -> None:
    mined = run.table("mine")
    assert len(mined) == 24 * len(PLAYERS)
    prefix = f"{BEGIN}{START_OF_TURN}system\nYou are a tiny expert.{END_OF_TURN}\n{START_OF_TURN}user\n"
    assert {row["prefix_sha256"] for row in mined} == {hashlib.sha256(prefix.encode()).hexdigest()}
    said = [row for row in mined if row["void"] is None]
    assert said
    assert all(START_OF_TURN not in row["instruction"] and END_OF_TURN not in row["instruction"] for row in said)


def test_verdicts_are_structured_and_nearly_all_there(run: Run) -> None:
    verdicts = run.table("judge")
    votes = Counter(row["vote"] for row in verdicts if row["void"] is None)
    assert votes.keys() <= {0.0, 0.5, 1.0}
    assert votes.total() >= 0.9 * len(verdicts) > 0
    assert all(row["judge_id"] not in (row["model_a_id"], row["model_b_id"]) for row in verdicts)


def test_usage_is_the_servers_own_and_the_prefix_cache_was_used(run: Run) -> None:
    usage = run.status()["usage"]
    assert usage["promptTokens"] > usage["cachedTokens"] > 0
    assert usage["completionTokens"] > 0
    assert all(row["prompt_tokens"] > 0 for row in run.table("answer") if row["void"] is None)


def test_again_it_starts_nothing(run: Run) -> None:
    before = loads_of(run)
    again = play(run.manifest.parent, yaml.safe_load(run.manifest.read_text()))
    assert again.process.returncode == 0, again.process.stderr
    assert loads_of(again) == before
    assert again.process.stdout == run.process.stdout
