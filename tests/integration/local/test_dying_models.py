"""Models that die while they are asked: the run goes on at once, and what killed them twice is void."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun, command_of
from support.manifests import manifest
from support.waiting import wait_until
from tiltyard_jobs.sim.request_log import read_log

SOON = 120.0  # seconds; a shard would wait for its server for 600


def narrow(logs: Path, *, latency_ms: int = 0, **args: list[str]) -> dict[str, Any]:
    """A tournament with room for one model; each bundle of answers has a shard for each of two workers."""
    document = manifest(2, judges=1, per_competitor=32)
    for player in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        name = player["name"]
        options = [f"--request-log={logs / name}.jsonl", f"--latency-ms={latency_ms}"]
        player["serving"] = {"args": [*options, *args.get(name, [])]}
    document["spec"] |= {
        "curation": {"decontaminate": [], "diversity": {"perCompetitor": 24}},
        "serving": {"maxActive": 1},
        "jobs": {"shardSize": 16, "maxVoidFraction": "0.5"},
    }
    return document


def server_of(run: LocalRun, name: str) -> int | None:
    """The process that serves a model."""
    words = ("tiltyard_jobs.sim", f"--served-model-name {name} ")
    return next((pid for pid in run.pids() if all(word in command_of(pid) for word in words)), None)


def asking(run: LocalRun, stage: str) -> list[str]:
    """The models that shards of a stage ask, once for each shard."""
    found = (re.search(rf"/jobs/{stage}\.([^./]+)", command_of(pid)) for pid in run.pids())
    return [match[1] for match in found if match]


def test_a_server_that_ends_while_two_shards_ask_it_is_the_next_to_start(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("run", narrow(tmp_path, latency_ms=40))
    process, died = run.start("run", "--workers", "2"), list[str]()
    while len(died) < 2:

        def two_ask_another() -> bool:
            models = asking(run, "answer")
            return process.poll() is not None or (len(models) == 2 and not {*died} & {*models})

        wait_until(two_ask_another)
        assert process.poll() is None, run.finish(process)
        (model,) = {*asking(run, "answer")}
        server = server_of(run, model)
        assert server is not None
        os.kill(server, signal.SIGTERM)  # it ends with code 0
        died.append(model)
    finished = run.finish(process, SOON)
    assert finished.code == 0, finished.err + run.logs()
    assert not any(stage["void"] for stage in run.status()["stages"] if stage["name"] == "Answering")


def test_requests_that_kill_their_server_twice_are_void_and_the_model_is_kept(
    tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run("run", narrow(tmp_path, m1=["--fault-exit=0.04"]))
    # One shard at a time: a request that is alone in its own may die of one in another.
    finished = run.run("--workers", "1", timeout=SOON)
    assert finished.code == 0, finished.err + run.logs()
    requests = read_log(tmp_path / "m1.jsonl").requests
    killers = Counter(request.sha256 for request in requests if request.fault == "exit")
    assert len(killers) >= 2
    # One, where the server died of another request, before it had read this one.
    assert max(killers.values()) == 2, killers
    summaries = [json.loads(file.read_bytes()) for file in (run.state / "jobs").glob("*/*.summary.json")]
    void = sum(summary.get("voids", {}).get("KilledServer", 0) for summary in summaries)
    assert void
    # A probe's request has no record.
    lines = [line for file in (run.state / "jobs").glob("*/*log") for line in file.read_text().splitlines()]
    probes = [line for line in lines if '"event": "the model could not be probed"' in line]
    assert void + sum('"reason": "KilledServer"' in line for line in probes) == len(killers)
