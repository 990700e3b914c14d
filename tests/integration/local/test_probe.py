"""What the probe finds of models that a run serves itself, as its user sees it."""

from __future__ import annotations

import re
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
    finished = make_run("run", judged_by(uri, log)).run()
    assert finished.code == 2
    assert "spec.judges[0]: http://127.0.0.1:" in finished.err
    assert sentence in finished.err
    bundles = 2  # one for each attacker; both may have begun
    once = 4 if "abstain" in uri else 8  # with little room, then with all of it
    assert len([one for one in asked([log]) if one.kind is RequestKind.JUDGE]) <= bundles * once


def test_a_judge_that_goes_by_place_is_told_of_twice(make_run: MakeRun, tmp_path: Path) -> None:
    uri = "sim://j?judge.position_bias=1&judge.abstain=0"
    run = make_run("run", judged_by(uri, tmp_path / "requests.jsonl"))
    told = run.complete().out
    assert "spec.judges[0]: " in told
    assert "judge 'j': it prefers the answer shown first, whatever it is" in told
    share = re.search(r"judge j gives (\d+) % of its votes to the answer shown first; without it", told)
    assert share is not None, told
    assert int(share[1]) > 90
    again = run.complete().out  # nothing is made again, and it is still so
    assert share[0] in again
