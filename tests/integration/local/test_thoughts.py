"""A tournament of experts of which some think, each in a way of its own, judged by one another."""

from __future__ import annotations

import subprocess
from collections import Counter
from functools import partial
from typing import Any

import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun, contents, wait_until
from support.manifests import manifest
from tiltyard_jobs.contracts.tasks import StoreRef
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


def tournament(method: str, thoughts: str) -> dict[str, Any]:
    """A tournament between the experts."""
    spec: dict[str, Any] = {
        "battles": {"verdict": {"method": method}, "orders": "Alternate", "answer": {"thoughts": thoughts}},
        "curation": {"decontaminate": [], "difficulty": {"keep": ["Excellent", "Good", "Average"]}},
    }
    document = manifest(len(EXPERTS), per_competitor=3, jobs={"shardSize": 64}, **spec)
    document["spec"]["competitors"] = [
        {"name": name, "model": {"uri": f"sim://{name}?judge.abstain=0&junk=0&{query}"}}
        | ({"thoughtMarks": MARKS[name]} if name in MARKS else {})
        for name, query in EXPERTS.items()
    ]
    return document


@pytest.mark.timeout(480)
@pytest.mark.parametrize(("method", "thoughts"), [("Logprobs", "Drop"), ("Choice", "Drop"), ("Reasoned", "Keep")])
def test_thoughts_are_in_no_answer_no_row_and_no_score_and_every_judge_votes(
    make_run: MakeRun, method: str, thoughts: str
) -> None:
    run = make_run("run", tournament(method, thoughts))
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
    if method == "Reasoned":
        killed = make_run("killed", tournament(method, thoughts))
        kill_while_asking(killed)
        stores = [open_store(StoreRef(uri=one.out.as_uri())) for one in (run, killed) if one.out is not None]
        undisturbed, disturbed = map(contents, stores)
        assert sorted(undisturbed) == sorted(disturbed)
        assert [key for key in sorted(undisturbed) if undisturbed[key] != disturbed[key]] == []


def kill_while_asking(run: LocalRun) -> None:
    """Run to the end, with the main process killed as soon as a shard of each of some stages has made a record."""
    for stage in ("mine", "grade", "answer", "judge"):
        process = run.start()
        wait_until(partial(is_at_work, run, process, stage), seconds=200, poll=0.005)
        assert process.poll() is None, run.finish(process).err + run.logs()
        process.kill()
        process.communicate()
    run.complete()


def is_at_work(run: LocalRun, process: subprocess.Popen[str], stage: str) -> bool:
    return run.at_work(stage) or process.poll() is not None
