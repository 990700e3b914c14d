"""The same answers before another jury, by the commands that a user would type: docs/rejudge.md."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.local_runs import Finished, LocalRun, asked
from support.manifests import manifest
from support.read_runs import Page
from tiltyard.cli.schema import schema_of
from tiltyard_jobs.sim.request_log import MODEL_WORK, RequestKind
from tiltyard_jobs.store.folder import FolderStore

pytestmark = pytest.mark.timeout(240)

PLAYERS, JUDGES = ("m0", "m1", "m2"), ("j0", "j1")
CURATED = 4  # instructions of each player
PROBE = 4  # verdicts that a judge is asked for before those on one attacker's instructions


def document(logs: Path, judges: int) -> dict[str, Any]:
    """A small tournament, each of whose models logs what it is asked."""
    made = manifest(
        len(PLAYERS),
        judges=judges,
        per_competitor=10,
        curation={"decontaminate": [], "diversity": {"perCompetitor": CURATED}},
        jobs={"shardSize": 100},
    )
    for one in [*made["spec"]["competitors"], *made["spec"]["judges"]]:
        one["serving"] = {"args": [f"--request-log={logs / one['name']}.jsonl"]}
    return made


def work(logs: Path, name: str) -> Counter[RequestKind]:
    """What a model was asked for that costs something, by kind."""
    log = logs / f"{name}.jsonl"
    return Counter(request.kind for request in asked([log] if log.exists() else []) if request.kind in MODEL_WORK)


def stored(run: LocalRun) -> set[str]:
    assert run.out is not None
    return {info.key for info in FolderStore(run.out).list("")}


def facts(printed: str) -> dict[str, str]:
    """The lines of `tiltyard compare` that have a name and a value, which stand above its sentence and its table."""
    lines = (re.split(r"  +", line, maxsplit=1) for line in printed.partition("\nPLAYER")[0].splitlines())
    return {line[0]: line[1] for line in lines if len(line) == 2}


def compare(one: LocalRun, other: LocalRun) -> Finished:
    return one.finish(one.start("compare", str(other.file)))


def moved_between(one: LocalRun, other: LocalRun) -> Any:
    """What moved, as a program reads it."""
    ended = one.finish(one.start("compare", str(other.file), "--battles", "3", "-o", "json"))
    found = json.loads(ended.out)
    jsonschema.Draft202012Validator(schema_of("Comparison")).validate(found)
    assert "spec.judges[j0].model.uri" in [change["path"] for change in found["changes"]]
    return found["differences"]


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[tuple[LocalRun, LocalRun]]:
    """The tournament judged by its own players, and by neutral judges; none has been run."""
    (tmp_path / "logs").mkdir()
    made = [
        LocalRun(tmp_path / name, document(tmp_path / "logs", judges), out=tmp_path / "out")
        for name, judges in (("first", 0), ("second", len(JUDGES)))
    ]
    yield made[0], made[1]
    for run in made:
        run.end_all()


def test_another_jury_over_the_same_answers(runs: tuple[LocalRun, LocalRun], tmp_path: Path) -> None:
    first, second = runs
    logs = tmp_path / "logs"
    first.complete()
    before, stored_before = {name: work(logs, name) for name in PLAYERS}, stored(first)
    total: Counter[RequestKind] = sum(before.values(), Counter())
    assert total.keys() == {RequestKind.MINE, RequestKind.GRADE, RequestKind.ANSWER, RequestKind.JUDGE}

    too_early = compare(first, second)
    assert too_early.code == 2
    assert "finish that run first" in too_early.err

    second.complete()
    assert second.models_started() == set(JUDGES)  # nothing is mined, graded or answered: no player is needed
    assert {name: work(logs, name) for name in PLAYERS} == before
    # Each instruction is fought over by its attacker and both others, in both orders; no answer was void. Each player
    # is asked for one answer by its first Job, and for one at the beginning of those on one attacker's instructions.
    instructions = CURATED * len(PLAYERS)
    assert total[RequestKind.ANSWER] == len(PLAYERS) * (instructions + 1 + len(PLAYERS))
    for name in JUDGES:
        assert work(logs, name) == {RequestKind.JUDGE: instructions * 2 * 2 + len(PLAYERS) * PROBE}
    assert stored_before <= stored(second)
    assert {key.partition("/")[0] for key in stored(second) - stored_before} == {
        "judge",
        "rate",
        "dataset",
        "report",
        "runs",
        "models",
    }

    compared = compare(first, second)
    assert compared.code == 0, compared.err
    lines = facts(compared.out)
    assert lines["players in both"] == "3"
    assert lines["same leader"] in ("yes", "no")
    assert -1 <= float(lines["Kendall's tau-b"]) <= 1
    assert -1 <= float(lines["Spearman's rho"]) <= 1
    same, of = map(int, lines["same gold answers"].split(" of "))
    assert 0 <= same <= of <= instructions
    assert of > 0

    file = tmp_path / "page.html"
    with_page = first.finish(first.start("compare", str(second.file), "--html", str(file), "--battles", "3"))
    assert with_page.code == 0, with_page.err
    assert with_page.out.splitlines() == [*compared.out.splitlines(), f"page                 {file}"]
    page = file.read_text()
    text = Page(page).text
    assert "The runs have the same instructions and answers, and differ from the stage judge on" in text
    assert re.search(r"spec\.judges\[j0\]\.model\.uri\s*–\s*sim://j0", text)
    assert "Both runs have the same instructions and the same battles" in text
    assert 1 <= page.count('<details class="battle"') <= 3

    unwanted = first.finish(first.start("compare", str(second.file), "--battles", "3"))
    assert unwanted.code == 2
    assert "--battles 3: the table names no battles; give --html PAGE, or -o json or yaml, too" in unwanted.err
    moved = moved_between(first, second)
    assert moved["why"] in text
    assert {one["name"] for one in moved["players"]} == set(PLAYERS)
    assert 1 <= len(moved["battles"]) <= 3

    itself = facts(compare(second, second).out)
    assert (itself["same leader"], itself["Kendall's tau-b"], itself["Spearman's rho"]) == ("yes", "1.000", "1.000")
    same, of = map(int, itself["same gold answers"].split(" of "))
    assert same == of > 0
