"""`report`, `compare` and `status` are about the run of the manifest as it is now, and never about another of its name.

All runs here share one store and one state folder, but those of `Apart`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
import yaml

from integration.local.conftest import MakeRun
from support.local_runs import Finished, LocalRun
from support.manifests import manifest
from support.s3server import S3Server, s3_server
from tiltyard_jobs.store.folder import FolderStore
from tiltyard_jobs.store.s3 import S3Store

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
    for which, document, other in (("first", NEVER_RUN, FIRST), ("second", FIRST, NEVER_RUN)):
        finished = two.ask(document, "compare", two.beside(other))
        assert (finished.code, finished.out) == (2, "")
        assert re.search(rf"the {which} run, \w{{12}}, has no ratings in .*: finish that run first", finished.err)


def test_two_runs_of_one_name_are_compared_as_two(two: TwoRuns) -> None:
    first, second = json.loads(two.first.out)["run"], json.loads(two.second.out)["run"]
    told = two.told(FIRST, "compare", two.beside(SECOND))
    assert (told["first"], told["second"]) == (first, second)
    assert told["goldSame"] < told["goldCompared"]
    itself = two.told(SECOND, "compare", two.beside(SECOND))
    assert (itself["first"], itself["second"]) == (second, second)
    assert (itself["kendall"], itself["goldSame"]) == (1.0, itself["goldCompared"])


def test_of_a_run_with_a_damaged_table_the_ratings_are_compared(two: TwoRuns, tmp_path: Path) -> None:
    assert isinstance(two.run.out, Path)
    run = LocalRun(tmp_path, FIRST, out=shutil.copytree(two.run.out, tmp_path / "copy"))
    whole = two.told(FIRST, "compare", two.beside(SECOND))
    (table,) = (tmp_path / "copy" / "runs").glob(f"*{whole['first']}/tables/battles.parquet")
    table.write_bytes(table.read_bytes()[:-100])
    finished = run.finish(run.start("compare", two.beside(SECOND)))
    assert finished.code == 0, finished.err
    assert "same leader" in finished.out
    assert "battles are not compared: " in finished.err
    assert "tables/battles.parquet" in finished.err
    asked = run.finish(run.start("compare", two.beside(SECOND), "--html", str(tmp_path / "page.html")))
    assert asked.code != 0
    assert "is damaged or cut short" in asked.err
    table.parent.with_name("manifest.json").unlink()
    unfinished = run.finish(run.start("compare", two.beside(SECOND)))
    assert unfinished.code == 0, unfinished.err
    assert "battles are not compared; finish it with `tiltyard run`" in unfinished.err


class Apart(NamedTuple):
    """The two runs in two buckets, each on a server with credentials of its own."""

    folder: Path
    documents: tuple[dict[str, Any], dict[str, Any]]
    env: dict[str, str]

    def compare(self, *words: str, out: Path | None = None) -> Finished:
        """`compare` with the credentials of the first server in the environment, and a profile of the second one."""
        first, second = self.documents
        run = LocalRun(self.folder, first, out=out, env=self.env)
        other = self.folder / "other.yaml"
        other.write_text(yaml.safe_dump(second))
        return run.finish(run.start("compare", str(other), *words))


@pytest.fixture(scope="module")
def apart(two: TwoRuns, server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    made = [json.loads(each.out)["run"] for each in (two.first, two.second)]
    assert two.run.out is not None
    files = FolderStore(two.run.out)
    ratings_of = {}  # of each run the key of its ratings, which the other one's bucket must not have
    for run in made:
        artifacts = json.loads(files.get(f"runs/{run}/manifest.json") or b"")["artifacts"]
        (ratings_of[run],) = [one["key"] for one in artifacts if one["stage"] == "rate"]
    with s3_server(folder / "second", "bucket", access_key="second", secret_key="second-secret") as second:
        documents = []
        for one, run, other, document in ((server, *made, FIRST), (second, *reversed(made), SECOND)):
            s3 = {"uri": f"s3://bucket/{run}", "endpoint": one.endpoint}
            documents.append({**document, "spec": document["spec"] | {"output": {"s3": s3}}})
            session = boto3.session.Session(one.access_key, one.secret_key, region_name="us-east-1")
            client = session.client("s3", endpoint_url=one.endpoint)
            bucket = S3Store("bucket", run, client)
            for info in files.list(""):
                if other not in info.key and ratings_of[other] not in info.key:
                    bucket.put(info.key, files.get(info.key) or b"")
            bucket.close()
        profiles = folder / "profiles"
        profiles.write_text(
            f"[theirs]\naws_access_key_id = {second.access_key}\naws_secret_access_key = {second.secret_key}\n"
        )
        env = server.env | {"AWS_SHARED_CREDENTIALS_FILE": str(profiles)}
        yield Apart(folder / "run", (documents[0], documents[1]), env)


def test_runs_in_two_buckets_with_credentials_of_their_own_are_compared(apart: Apart, two: TwoRuns) -> None:
    page = apart.folder / "page.html"
    finished = apart.compare("--other-profile", "theirs", "--html", str(page), "-o", "json")
    assert finished.code == 0, finished.err
    told = json.loads(finished.out)
    assert told.pop("html") == str(page)
    places = [change["path"] for change in told["changes"] if change["path"].startswith("spec.output.")]
    assert sorted(places) == ["spec.output.s3.endpoint", "spec.output.s3.uri"]
    told["changes"] = [change for change in told["changes"] if change["path"] not in places]
    assert told == two.told(FIRST, "compare", two.beside(SECOND))
    assert told["first"] in page.read_text()
    assert told["second"] in page.read_text()
    beside = apart.compare("--other-out", str(two.run.out), "-o", "json")
    assert json.loads(beside.out) | {"changes": []} == told | {"changes": []}, "a bucket and a folder"


def test_another_runs_bucket_takes_no_credentials_that_are_not_its_own(apart: Apart, two: TwoRuns) -> None:
    second = apart.documents[1]["spec"]["output"]["s3"]["uri"]
    for words, said in (
        ((), second),
        (
            ("--other-profile", "nix"),
            "--other-profile nix: AWS's configuration files have no such profile; they have theirs\n",
        ),
        (("--other-profile", "theirs", "--other-out", str(two.run.out)), "needs no credentials"),
        (("--other-profile", "theirs", "--other-out", "s3://bucket/nothing"), "finish that run first"),
    ):
        finished = apart.compare(*words)
        assert (finished.code, finished.out) == (2, ""), words
        assert said in finished.err
        assert "secret" not in finished.err
