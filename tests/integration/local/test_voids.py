"""Runs in which a model does badly: too many voids end them, and the command line says who and why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun
from support.manifests import manifest


def tournament(
    *, allowed: str, judge: str = "judge.abstain=0", player: str = "seed=1", keep: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Two players and two judges.

    Args:
        allowed: the share of records that may fail.
        judge: parameters of the judge `wavering`.
        player: of the player m0.
        keep: grades; where there are none nothing is graded.
    """
    curation = {"decontaminate": [], "difficulty": {"keep": [*keep]}}
    jobs = {"shardSize": 64, "maxVoidFraction": allowed}
    document = manifest(2, per_competitor=24, curation=curation, jobs=jobs)
    for one, more in zip(document["spec"]["competitors"], (player, "seed=2"), strict=True):
        one["model"]["uri"] += f"?junk=0&{more}"
    document["spec"]["judges"] = [
        {"name": "sure", "model": {"uri": "sim://sure?judge.abstain=0"}},
        {"name": "wavering", "model": {"uri": f"sim://wavering?{judge}"}},
    ]
    return document


def lines(run: LocalRun, command: str) -> list[str]:
    """That a command prints."""
    return run.finish(run.start(command)).out.splitlines()


def test_a_judge_that_decides_too_little_ends_the_run_with_its_reason_and_log(make_run: MakeRun) -> None:
    ended = make_run("run", tournament(allowed="0.01", judge="judge.abstain=0.4")).run()
    assert ended.code == 1
    said = re.fullmatch(
        r"judge/wavering/m\d: (\d+) of \d+ records could not be made \(Undecided \1\), most often for this reason:"
        r" Undecided: only 0\.\d\d of the probability is on 1, 2 and T; spec\.jobs\.maxVoidFraction allows 3"
        r" \(and \d Undecided\): .*, or raise the fraction; the next attempt retries these records;"
        r" its log is (\S+)",
        ended.err.partition("\nNext:\n")[0].strip(),
    )
    assert said is not None, ended.err
    assert '"reason": "Undecided"' in Path(said[2]).read_text()


def test_where_voids_are_allowed_the_end_says_who_did_badly(make_run: MakeRun) -> None:
    """At the end of `run`, of `status` and of `report`, on the page, and where a later run finds all of it."""
    run = make_run("run", tournament(allowed="0.9", judge="judge.abstain=0.4"))
    out = run.complete().out
    told = re.search(r"^wavering decided (\d+) of (\d+) verdicts: it names no side \((\d+)\)$", out, re.MULTILINE)
    assert told is not None, out
    line = told[0]
    usable, asked, void = map(int, told.groups())
    assert usable + void == asked
    assert line in lines(run, "status")
    assert line in lines(run, "report")
    assert run.status()["notes"][0] == line
    assert run.out is not None
    (page,) = run.out.glob("runs/*/report.html")
    assert f"<p>{line}.</p>" in page.read_text()
    run.state = run.folder / "elsewhere"
    assert line in run.complete().out.splitlines()


def test_a_competitors_void_answers_are_its_own(make_run: MakeRun) -> None:
    """Its thought outruns the limit now and then; no judge is blamed for what it was not shown."""
    run = make_run("run", tournament(allowed="0.01", player="thoughts=inline&thoughts.endless=0.3"))
    out = run.complete().out
    assert re.search(r"^m0 answered \d+ of \d+ instructions: the token limit cuts its reply or its th", out, re.M)
    assert "decided" not in out


def test_a_model_that_answers_nothing_to_a_benchmark_is_told(make_run: MakeRun, tmp_path: Path) -> None:
    """A score of 0 looks the same for a model that writes wrong programs."""
    file = tmp_path / "tasks.jsonl"
    task = {
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    }
    file.write_text("".join(json.dumps({"task_id": f"t/{number}"} | task) + "\n" for number in range(8)))
    document = tournament(allowed="0.9", player="thoughts=inline&thoughts.silent=0.4")
    document["spec"]["evaluation"] = {
        "benchmarks": ["humaneval_plus"],
        "files": [{"benchmark": "humaneval_plus", "uri": file.as_uri()}],
        "competitors": True,
        "allowCodeExecution": True,
    }
    run = make_run("run", document)
    (said,) = re.finditer(r"^m0 answered nothing in (\d) of 8 tasks .*$", run.complete().out, re.MULTILINE)
    assert said[0] == f"m0 answered nothing in {said[1]} of 8 tasks of humaneval_plus (NoAnswer {said[1]})"
    assert said[0] in lines(run, "status")
    assert run.out is not None
    (scores,) = run.out.glob("runs/*/benchmarks.json")
    unanswered = {one["model"]: one["unanswered"] for one in json.loads(scores.read_text())["scores"]}
    assert unanswered == {"m0": {"NoAnswer": int(said[1])}, "m1": {}}


def test_a_grader_of_whom_nothing_is_usable_ends_the_run(make_run: MakeRun) -> None:
    """Whatever share of voids is allowed."""
    player = "thoughts=inline&thoughts.silent=1"
    ended = make_run("run", tournament(allowed="1", player=player, keep=("Excellent", "Good"))).run()
    assert ended.code == 2
    assert re.match(r"mine/m0: spec\.competitors\[0\]: \S+ model 'm0' thinks, and then", ended.err), ended.err


def test_a_run_in_which_all_goes_well_says_nothing(make_run: MakeRun) -> None:
    run = make_run("run", tournament(allowed="0.01"))
    *_, load, cost = run.complete().out.splitlines()
    assert (load[:5], cost[:6]) == ("load ", "Cost: ")
    assert "notes" not in run.status() or run.status()["notes"] == []
