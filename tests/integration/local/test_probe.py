"""What the probe finds of models that a run serves itself, as its user sees it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from integration.local.conftest import MakeRun
from support.local_runs import asked
from support.manifests import manifest
from tiltyard_jobs.sim.request_log import RequestKind


def judged_by(uri: str, log: Path) -> dict[str, Any]:
    document = manifest(2, judges=1, per_competitor=12, jobs={"shardSize": 64})
    judge = {"name": "j", "model": {"uri": uri}, "serving": {"args": [f"--request-log={log}"]}}
    document["spec"]["judges"] = [judge]
    return document


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("sim://j?thoughts=inline&thoughts.endless=1", "begins with a thought and never ends it within"),
        ("sim://j?judge.abstain=1", "names no side in any of 4 verdicts (only 0.07 of the probability is on 1, 2 and"),
    ],
)
def test_a_judge_that_cannot_vote_costs_four_verdicts(
    make_run: MakeRun, tmp_path: Path, uri: str, sentence: str
) -> None:
    log = tmp_path / "requests.jsonl"
    run = make_run("run", judged_by(uri, log))
    finished = run.run()
    assert finished.code == 2
    assert "probe/j: spec.judges[0]: http://127.0.0.1:" in finished.err
    assert sentence in finished.err
    once = 4 if "abstain" in uri else 8  # with little room, then with all of it
    assert len([one for one in asked([log]) if one.kind is RequestKind.JUDGE]) == once
    assert run.out is not None
    made = {seal.parts[0] for seal in (path.relative_to(run.out) for path in run.out.rglob("*.json"))}
    assert not made & {"grade", "answer", "judge"}, "nobody was asked for anything that is paid"
    told = run.status()
    assert [one["state"] for one in told["stages"] if one["name"] == "Probing"] == ["Failed"]


def test_a_served_judge_that_cannot_hold_the_longest_given_instruction_is_told_of_before_anybody_answers(
    make_run: MakeRun, tmp_path: Path
) -> None:
    document = judged_by("sim://j?max_model_len=4000&judge.abstain=0&judge.noise=0", tmp_path / "requests.jsonl")
    document["spec"] |= {"instructions": {"from": {"uri": "file://./prompts.jsonl"}}, "curation": {"decontaminate": []}}
    document["spec"]["battles"] = {"answer": {"maxTokens": 256}}
    run = make_run("run", document)
    told = []
    for size in (60, 9000):
        lines = [json.dumps({"prompt": f"Sort list {number}. ".ljust(size, "x")}) for number in range(4)]
        (run.folder / "prompts.jsonl").write_text("\n".join(lines))
        told.append(run.complete().out)
        shutil.rmtree(run.out or tmp_path)
    short, long = told
    assert "it holds 4000 tokens" not in short
    (line,) = [line for line in long.splitlines() if "it holds 4000 tokens" in line]
    assert "spec.judges[0]: " in line
    assert "a verdict on two answers of 256 to the longest given instruction (9000 bytes) takes up to" in line


def test_where_only_verdicts_are_lacking_the_judge_is_loaded_once_and_tried_by_its_own_jobs(
    make_run: MakeRun, tmp_path: Path
) -> None:
    logs = [tmp_path / "requests.jsonl", tmp_path / "again.jsonl"]
    run = make_run("run", judged_by("sim://j", logs[0]))
    plan = run.finish(run.start("plan"))
    assert re.search(r"Probing +1 +1 +0 +4 ", plan.out), plan.out
    run.complete()
    assert len(list((run.out or tmp_path).glob("probe/*/*.json"))) == 1
    for stage in ("probe", "judge"):
        shutil.rmtree((run.out or tmp_path) / stage)
    plan = run.finish(run.start("plan"))
    assert re.search(r"Probing +1 +1 +1 +0 ", plan.out), plan.out
    assert "Model loads: 1 (m0 0, m1 0, j 1)" in plan.out
    run.write(judged_by("sim://j", logs[1]))
    run.complete()
    assert not list((run.out or tmp_path).glob("probe/*/*.json"))
    assert len([one for one in asked(logs[1:]) if one.kind is RequestKind.JUDGE]) > 4


def test_a_judge_that_goes_by_place_is_told_of_twice(make_run: MakeRun, tmp_path: Path) -> None:
    uri = "sim://j?judge.position_bias=1&judge.abstain=0"
    run = make_run("run", judged_by(uri, tmp_path / "requests.jsonl"))
    told = run.complete().out
    assert "spec.judges[0]: " in told
    assert "judge 'j': it prefers the answer shown first, whatever it is" in told
    share = re.search(r"judge j gives (\d+)% of its votes to the answer shown first; without it", told)
    assert share is not None, told
    assert int(share[1]) > 90
    again = run.complete().out  # nothing is made again, and it is still so
    assert share[0] in again
