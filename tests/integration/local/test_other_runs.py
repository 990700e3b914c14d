"""`report`, `compare` and `status` are about the run of the manifest as it is now, and never about another of its name.

All runs here share one store and one state folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from integration.local.conftest import MakeRun
from support.local_runs import Finished, LocalRun
from support.manifests import manifest

pytestmark = pytest.mark.xdist_group("other-runs")  # one worker makes the two


def judged_by(judge: str, **spec: Any) -> dict[str, Any]:
    """A small tournament, always of the same name."""
    curation = {"decontaminate": [], "diversity": {"perCompetitor": 6}}
    document = manifest(3, judges=1, per_competitor=20, curation=curation, **spec)
    document["spec"]["judges"][0]["model"]["uri"] = judge
    return document


FIRST = judged_by("sim://j0?skill=0.99")
SECOND = judged_by("sim://j0?skill=0.01&judge.noise=1")
NEVER_RUN = judged_by("sim://j0?skill=0.5")


class TwoRuns(NamedTuple):
    """Two complete runs of one name; what `run` printed for each."""

    run: LocalRun
    first: Finished
    second: Finished

    def ask(self, document: dict[str, Any], *words: str) -> Finished:
        """A command about one manifest, and others beside it."""
        self.run.write(document)
        return self.run.finish(self.run.start(*words))

    def told(self, document: dict[str, Any], *words: str) -> dict[str, Any]:
        """The same as a document; it must succeed."""
        finished = self.ask(document, *words, "-o", "json")
        assert finished.code == 0, finished.err
        told: dict[str, Any] = json.loads(finished.out)
        return told

    def beside(self, document: dict[str, Any]) -> str:
        """Another manifest's file."""
        file = self.run.folder / "other.yaml"
        file.write_text(yaml.safe_dump(document))
        return str(file)


@pytest.fixture(scope="module")
def two(make_shared_run: MakeRun) -> TwoRuns:
    run = make_shared_run("two", FIRST)
    first = run.complete("-o", "json")
    run.write(SECOND)
    return TwoRuns(run, first, run.complete("-o", "json"))


def ratings(document: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row["rating"] for row in document["leaderboard"]}


def test_a_report_is_about_the_run_of_its_manifest(two: TwoRuns, tmp_path: Path) -> None:
    first, second = json.loads(two.first.out), json.loads(two.second.out)
    assert first["run"] != second["run"]
    assert ratings(first) != ratings(second), "or the test shows nothing"
    for document, made in ((FIRST, first), (SECOND, second), (FIRST, first)):
        for command in ("report", "status"):
            told = two.told(document, command)
            assert (told["run"], ratings(told)) == (made["run"], ratings(made)), command
            assert all(made["run"] in uri for uri in told["outputs"].values()), command
        copy = tmp_path / made["run"]
        two.told(document, "report", "--to", str(copy))
        assert json.loads((copy / "manifest.json").read_bytes())["run"] == made["run"]
        players = json.loads((copy / "leaderboard.json").read_bytes())["players"]
        assert {row["name"]: round(row["rating"]) for row in players} == {
            name: round(float(rating)) for name, rating in ratings(made).items()
        }


def test_a_run_that_was_never_made_shows_no_other_ones_numbers(two: TwoRuns) -> None:
    for command, said in (("report", " is not complete in "), ("status", " contains no run ")):
        finished = two.ask(NEVER_RUN, command)
        assert (finished.code, finished.out) == (2, ""), command
        assert said in finished.err
    for document, other in ((NEVER_RUN, FIRST), (FIRST, NEVER_RUN)):
        finished = two.ask(document, "compare", two.beside(other))
        assert (finished.code, finished.out) == (2, "")
        assert "finish that run first" in finished.err


def test_two_runs_of_one_name_are_compared_as_two(two: TwoRuns) -> None:
    first, second = json.loads(two.first.out)["run"], json.loads(two.second.out)["run"]
    told = two.told(FIRST, "compare", two.beside(SECOND))
    assert (told["first"], told["second"]) == (first, second)
    assert told["goldSame"] < told["goldCompared"]
    itself = two.told(SECOND, "compare", two.beside(SECOND))
    assert (itself["first"], itself["second"]) == (second, second)
    assert (itself["kendall"], itself["goldSame"]) == (1.0, itself["goldCompared"])
