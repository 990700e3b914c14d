"""A tournament of experts of which some think, each in a way of its own, judged by one another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun, command_of, contents
from support.manifests import manifest
from support.waiting import wait_until
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.evaluation.benchmarks.humaneval import packaged_humaneval
from tiltyard_jobs.store import open_store

EXPERTS = {
    "inline": "thoughts=inline",
    "parsed": "thoughts=reasoning_content",
    "unopened": "thoughts=unopened&fences=1",
    "plain": "numbers=1",
    "own": "thoughts=inline&thoughts.opening=%7Bhm%7D&thoughts.closing=%7B%2Fhm%7D&fences=1",
}
THINKERS = ("inline", "parsed", "unopened", "own")
MARKS = {"own": {"opening": "{hm}", "closing": "{/hm}"}}
PARTS_OF_THOUGHTS = (
    "think>",
    "hm}",
    "<|",
    "Okay, let me look",
    "Or is it 2?",
    "def thought",
    "Let me check that again",
)


def tables(run: LocalRun) -> dict[str, list[dict[str, Any]]]:
    """All tables of a run's results, by name."""
    assert run.out is not None
    return {file.stem: pq.read_table(file).to_pylist() for file in run.out.glob("runs/*/*/*.parquet")}


def tournament(method: str, thoughts: str, tasks: Path) -> dict[str, Any]:
    """A tournament between the experts, each of which knows the solutions of a benchmark's tasks."""
    spec: dict[str, Any] = {
        "battles": {"verdict": {"method": method}, "orders": "Alternate", "answer": {"thoughts": thoughts}},
        "curation": {"decontaminate": [], "difficulty": {"keep": ["Excellent", "Good", "Average"]}},
        "evaluation": {
            "benchmarks": ["humaneval_plus"],
            "files": [{"benchmark": "humaneval_plus", "uri": tasks.as_uri()}],
            "competitors": True,
            "allowCodeExecution": True,
        },
    }
    document = manifest(len(EXPERTS), per_competitor=3, jobs={"shardSize": 164}, **spec)
    document["spec"]["competitors"] = [
        {"name": name, "model": {"uri": f"sim://{name}?judge.abstain=0&junk=0&humaneval.breaks=0&{query}"}}
        | ({"thoughtMarks": MARKS[name]} if name in MARKS else {})
        for name, query in EXPERTS.items()
    ]
    return document


@pytest.mark.timeout(480)
@pytest.mark.parametrize(("method", "thoughts"), [("Logprobs", "Drop"), ("Choice", "Drop"), ("Reasoned", "Keep")])
def test_thoughts_are_in_no_answer_no_row_and_no_score_and_every_judge_votes(
    make_run: MakeRun, tmp_path: Path, method: str, thoughts: str
) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(f"{json.dumps(task)}\n" for task in (packaged_humaneval() or [])[:3]))
    run = make_run("run", tournament(method, thoughts, tasks))
    run.complete()
    found = tables(run)
    verdicts = found["verdicts"]
    asked = Counter(row["judge"] for row in verdicts)
    assert asked.keys() == EXPERTS.keys()
    assert [row for row in verdicts if row["void"] is not None] == []
    assert all(len({row["vote"] for row in verdicts if row["judge"] == judge}) > 1 for judge in asked)
    assert found["instructions"]
    assert all(row["difficulty"] is not None for row in found["instructions"])
    assert [row for row in found["answers"] if row["void"] is not None] == []
    assert solved(run) == dict.fromkeys(EXPERTS, 1.0)
    if thoughts == "Keep":
        for row in found["answers"]:
            assert (row.pop("thought") is not None) == (row["model"] in THINKERS)
        for row in found["sft"]:
            asked_for, answered = row["messages"]
            assert asked_for["reasoning_content"] is None
            assert (answered.pop("reasoning_content") is not None) == (row["model"] in THINKERS)
        for row in found["preference"]:
            for side in ("chosen", "rejected"):
                (answered,) = row[side]
                assert (answered.pop("reasoning_content") is not None) == (row[f"{side}_model"] in THINKERS)
    for name, rows in found.items():
        assert not any(part in str(row) for row in rows for part in PARTS_OF_THOUGHTS), name
    killed = make_run("killed", tournament(method, thoughts, tasks))
    kill_while_asking(killed)
    stores = [open_store(StoreRef(uri=one.out.as_uri())) for one in (run, killed) if one.out is not None]
    undisturbed, disturbed = map(contents, stores)
    assert sorted(undisturbed) == sorted(disturbed)
    assert [key for key in sorted(undisturbed) if undisturbed[key] != disturbed[key]] == []


def solved(run: LocalRun) -> dict[str, float]:
    """The share of a benchmark's tasks that each expert has solved."""
    assert run.out is not None
    (scores,) = run.out.glob("runs/*/benchmarks.json")
    return {row["model"]: row["score"] for row in json.loads(scores.read_text())["scores"]}


def kill_while_asking(run: LocalRun) -> None:
    """Run to the end, with SIGKILL to a process of each kind as soon as a shard of a stage has made a record."""
    process = run.start()
    for stage, kill in (("mine", kill_shard), ("grade", kill_main), ("answer", kill_server), ("judge", kill_shard)):

        def strike(stage: str = stage, kill: Callable[..., bool] = kill, process: Any = process) -> bool:
            return process.poll() is not None or (run.at_work(stage) and kill(run, process))

        wait_until(strike, seconds=200, poll=0.005)
        if kill is kill_main:
            process.communicate()
            process = run.start()
        assert process.poll() is None, run.finish(process).err + run.logs()
    finished = run.finish(process)
    assert finished.code == 0, finished.err + run.logs()


def kill_main(run: LocalRun, process: subprocess.Popen[str]) -> bool:
    process.kill()
    return True


def kill_shard(run: LocalRun, process: subprocess.Popen[str]) -> bool:
    return kill_one(run, " --task ")


def kill_server(run: LocalRun, process: subprocess.Popen[str]) -> bool:
    return kill_one(run, "tiltyard_jobs.sim ")


def kill_one(run: LocalRun, words: str) -> bool:
    """Kill a process whose command line has these words; whether there was one."""
    for pid in run.pids():
        if words in command_of(pid):
            with suppress(ProcessLookupError):  # it has ended by itself meanwhile
                os.kill(pid, signal.SIGKILL)
                return True
    return False
