"""Ctrl-C and SIGTERM: a stop within seconds, a sentence, and nothing that is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from integration.local.conftest import MakeRun
from support.local_runs import INTERRUPTED, LocalRun
from support.manifests import manifest
from support.waiting import wait_until
from tiltyard_jobs.sim.request_log import asked_twice

SENTENCE = "stopped; run the same command again to continue\n"
REST = 4  # seconds; starting four processes takes less
SECONDS = 20  # on a busy machine; the requests under way have five


def slow(logs: Path, **spec: Any) -> dict[str, Any]:
    """A tournament whose requests take a while, and are logged."""
    document = manifest(2, judges=1, per_competitor=120, jobs={"shardSize": 128}, **spec)
    for player in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        player["serving"] = {"args": ["--latency-ms=300", f"--request-log={logs / player['name']}.jsonl"]}
    return document


def parts_reused(run: LocalRun) -> int:
    reused: int = sum(stage["shards"]["reused"] for stage in run.status()["stages"])
    return reused


def stop(run: LocalRun, process: subprocess.Popen[str], tell: Callable[[subprocess.Popen[str]], None]) -> None:
    told = time.monotonic()
    tell(process)
    finished = run.finish(process, timeout=SECONDS)
    assert (finished.code, finished.err) == (INTERRUPTED, SENTENCE)
    assert finished.out == ""
    assert time.monotonic() - told < SECONDS


def send(number: int) -> Callable[[subprocess.Popen[str]], None]:
    return lambda process: process.send_signal(number)


def interrupt_impatiently(process: subprocess.Popen[str]) -> None:
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)  # the whole foreground group, as a terminal does
        time.sleep(0.05)


def test_who_watches_a_run_sees_that_it_was_stopped(tmp_path: Path, make_run: MakeRun) -> None:
    document = slow(tmp_path)
    for player in document["spec"]["competitors"]:
        player["serving"]["args"][0] = "--latency-ms=1500"  # it is far from its end when it is stopped
    run = make_run("run", document)
    process = run.start()
    wait_until(lambda: run.at_work("mine"))
    watcher = run.start("status", "--watch", "--output", "json")
    assert watcher.stderr is not None
    assert "%" in watcher.stderr.readline()  # it has seen the running tournament
    stop(run, process, send(signal.SIGINT))
    watched = run.finish(watcher)
    *before, last = (json.loads(line) for line in watched.out.splitlines())
    assert (watched.code, last["activity"], {one["activity"] for one in before}) == (3, "Interrupted", {"Running"})
    assert {model["state"] for model in last["models"]} == {"Stopped"}
    done, _, total = last["records"].partition("/")
    assert 0 < int(done) < int(total)


def test_a_run_that_is_stopped_again_and_again_goes_on_and_asks_nothing_twice(
    tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run("run", slow(tmp_path))
    at_work = -time.monotonic()
    process = run.start()
    wait_until(lambda: run.at_work("mine"))
    stop(run, process, interrupt_impatiently)
    for stage, number in (("answer", signal.SIGTERM), ("judge", signal.SIGHUP)):
        process = run.start()
        wait_until(partial(run.at_work, stage))
        stop(run, process, send(number))
    at_work += time.monotonic()

    time.sleep(REST)
    assert "interrupted" in run.finish(run.start("status")).out
    at_work -= time.monotonic()
    run.complete()
    at_work += time.monotonic()
    folder = run.run_folder()
    assert folder is not None
    ledger = json.loads((folder / "ledger.json").read_bytes())
    assert at_work / 4 < ledger["seconds"] < at_work
    assert parts_reused(run) == 0  # what the run itself has made is not reused
    assert "interrupted" not in run.finish(run.start("status")).out
    counts = asked_twice(sorted(tmp_path.glob("*.jsonl")))
    assert counts.distinct > 500
    assert counts.asked_twice == 0


def test_a_stop_before_anything_is_asked(make_run: MakeRun) -> None:
    run = make_run("run", manifest(3))
    process = run.start()
    wait_until(lambda: run.pids() != [])  # preflight
    stop(run, process, send(signal.SIGTERM))
    assert run.models_started() == set()


def test_a_second_run_in_the_same_folder_is_refused(make_run: MakeRun) -> None:
    run = make_run("run", manifest(3, per_competitor=500))
    process = run.start()
    wait_until(lambda: run.pids() != [])
    second = subprocess.run(run.command("run"), capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert (
        second.stderr
        == f"{run.state}: another `tiltyard run` is in progress here; wait for it to end, or give another --state\n"
    )
    stop(run, process, send(signal.SIGTERM))
