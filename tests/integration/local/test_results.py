"""What a run leaves behind: the same bytes wherever it goes, however often it is run and whatever goes wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml

from integration.local.conftest import MakeRun
from support.local_runs import Finished, LocalRun, asked, contents, differences
from support.manifests import manifest
from support.s3server import S3Server
from tiltyard.cli.schema import schema_of
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.sim.request_log import MODEL_WORK
from tiltyard_jobs.store import open_store

pytestmark = pytest.mark.xdist_group("results")  # one worker makes the run that most of them read

FAULTS = ["--fault-429=0.1", "--fault-cut=0.02", "--fault-500=0.02", "--retry-after=0"]


def small(*, args: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    """Two players and a judge: every stage, none of much work."""
    curation = {"decontaminate": [], "diversity": {"perCompetitor": 12}}
    document = manifest(2, judges=1, per_competitor=40, **{"curation": curation, "jobs": {"shardSize": 24}, **spec})
    for player in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        player["serving"] = {"args": args or []}
    return document


class Done(NamedTuple):
    """A finished run in a folder, how it ended, and what it made."""

    run: LocalRun
    finished: Finished
    contents: dict[str, bytes]


@pytest.fixture(scope="module")
def done(make_shared_run: MakeRun) -> Done:
    run = make_shared_run("done", small())
    finished = run.complete()
    assert run.out is not None
    return Done(run, finished, contents(open_store(StoreRef(uri=run.out.as_uri()))))


def test_a_bucket_holds_the_same_bytes_as_a_folder(
    done: Done, server: S3Server, credentials: S3Server, s3_uri: str, make_run: MakeRun
) -> None:
    output = {"s3": {"uri": s3_uri, "endpoint": server.endpoint}}
    run = make_run("bucket", small(output=output), out=None, env=server.env)
    finished = run.complete()
    assert f"{s3_uri}/runs/" in finished.out
    store = open_store(StoreRef(uri=s3_uri, endpoint=server.endpoint))
    assert differences(done.contents, contents(store)) == []
    store.close()

    named = make_run("named", small(), out=None, env={**server.env, "AWS_ENDPOINT_URL": server.endpoint})
    report = named.finish(named.start("report", "--out", s3_uri))
    assert report.code == 0, report.err
    assert f"{s3_uri}/runs/" in report.out
    other = named.finish(named.start("report", "--out", f"{s3_uri}/other"))
    assert f"is not complete in {s3_uri}/other" in other.err
    assert not (named.folder / "s3:").exists()


def test_faulty_experts_cost_retries_and_no_record(done: Done, tmp_path: Path, make_run: MakeRun) -> None:
    document = small()
    for player in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        player["serving"] = {"args": [*FAULTS, f"--request-log={tmp_path / player['name']}.jsonl"]}
    run = make_run("faulty", document)
    run.complete()
    requests = [request for request in asked(tmp_path.glob("*.jsonl")) if request.kind in MODEL_WORK]
    faults = {request.fault for request in requests} - {None}
    assert faults == {"429", "cut", "500"}
    assert run.out is not None
    assert differences(done.contents, contents(open_store(StoreRef(uri=run.out.as_uri())))) == []


def test_all_stages_leave_something(done: Done) -> None:
    stages = {key.partition("/")[0] for key in done.contents}
    assert stages == {
        "probe", "mine", "filter", "grade", "curate", "answer", "judge", "rate", "dataset", "report",
        "runs", "models",
    }  # fmt: skip
    assert done.run.models_started() == {"m0", "m1", "j0"}


def test_a_run_in_a_finished_place_starts_no_model_and_makes_nothing(done: Done, tmp_path: Path) -> None:
    run, out = done.run, done.run.out
    assert out is not None
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    state, run.state = run.state, tmp_path / "state"
    try:
        again = run.complete()
        # Nothing was spent by this one.
        assert again.out == "".join(
            line for line in done.finished.out.splitlines(keepends=True) if not line.startswith("Cost: ")
        )
        assert run.models_started() == set()
        assert len(run.pids()) == 2  # the fork server and preflight
    finally:
        run.state = state
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_the_same_manifest_in_another_place_has_a_cost_of_its_own(done: Done, make_run: MakeRun) -> None:
    run = make_run("twice", small())
    run.complete()
    run.out = run.folder / "elsewhere"
    run.complete()
    usage = run.status()["usage"]
    for member in ("promptTokens", "completionTokens"):
        # Not the sum of both; how many shards of an author probe it hangs on which of them is first.
        assert usage[member] == pytest.approx(done.run.status()["usage"][member], rel=0.05)
    assert {model["loads"] for model in run.status()["models"]} == {1}


def test_plan_before_and_after(done: Done, tmp_path: Path, make_run: MakeRun) -> None:
    fresh = make_run("fresh", small())
    finished = fresh.finish(fresh.start("plan", "--output", "json"))
    assert finished.code == 0, finished.err
    before = json.loads(finished.out)
    jsonschema.validate(before, schema_of("Plan"))
    assert all(bundle["exist"] == 0 for bundle in before["bundles"])
    assert before["total"]["calls"] > 0
    assert before["modelLoads"] == {"total": 3, "byModel": {"m0": 1, "m1": 1, "j0": 1}}
    assert not fresh.state.exists()
    assert fresh.out is not None
    assert not fresh.out.exists()

    after = json.loads(done.run.finish(done.run.start("plan", "--output", "json")).out)
    jsonschema.validate(after, schema_of("Plan"))
    assert after["run"] == before["run"]
    assert all(bundle["exist"] == bundle["shards"] for bundle in after["bundles"])
    assert after["total"] == {"calls": 0, "promptTokens": 0, "completionTokens": 0}
    assert after["modelLoads"]["total"] == 0

    table = done.run.finish(done.run.start("plan"))
    assert table.code == 0
    assert "Model loads: 0" in table.out


def test_status_of_a_finished_run(done: Done, make_run: MakeRun) -> None:
    document = json.loads(done.run.finish(done.run.start("status", "--output", "json")).out)
    assert (document["phase"], document["progress"]) == ("Complete", "100%")
    assert {model["name"]: model["loads"] for model in document["models"]} == {"m0": 1, "m1": 1, "j0": 1}
    assert document["usage"]["completionTokens"] > 0
    assert {row["name"] for row in document["leaderboard"]} == {"m0", "m1"}
    table = done.run.finish(done.run.start("status"))
    assert table.code == 0
    assert "Judging" in table.out

    nothing = make_run("nothing", small())
    finished = nothing.finish(nothing.start("status"))
    assert finished.code == 2
    assert finished.err == (
        f"{nothing.state} contains no run of test: name the folder of its state with --state, or start a run with"
        " `tiltyard run`\n"
    )


def test_the_status_is_of_the_run_that_the_manifest_describes(done: Done, make_run: MakeRun) -> None:
    first = make_run("edited", small())
    first.complete()
    before = first.finish(first.start("status"))
    edited = small()
    edited["spec"]["rating"] = {"alpha": "0.4"}
    first.write(edited)
    unknown = first.finish(first.start("status"))
    assert unknown.code == 2
    assert unknown.out == ""
    runs = re.findall(r"run ([0-9a-f]{12})", before.out)
    assert f"of test, only {runs[0]}: the manifest, or a file that it names, has changed since" in unknown.err
    first.complete()
    assert runs[0] not in first.finish(first.start("status")).out
    first.write(small())
    assert first.finish(first.start("status")).out == before.out


def test_report_copies_what_the_manifest_names(done: Done, tmp_path: Path, make_run: MakeRun) -> None:
    finished = done.run.finish(done.run.start("report", "--to", str(tmp_path / "copy")))
    assert finished.code == 0, finished.err
    assert f"copied to {tmp_path / 'copy'}" in finished.out
    named = json.loads((tmp_path / "copy" / "manifest.json").read_bytes())["files"]
    assert {file["path"] for file in named} >= {
        "report.html",
        "README.md",
        "data/sft.parquet",
        "tables/ratings.parquet",
    }
    for file in named:
        data = (tmp_path / "copy" / file["path"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file["sha256"], file["size"])

    unfinished = make_run("un finished", small())
    finished = unfinished.finish(unfinished.start("report"))
    assert finished.code == 2
    assert f"{unfinished.out}: there is no such folder; name that of the results with --out" in finished.err
    assert unfinished.out is not None
    unfinished.out.mkdir(parents=True)
    finished = unfinished.finish(unfinished.start("report"))
    assert finished.code == 2
    assert f"is not complete in {unfinished.out}: finish it with `tiltyard run`" in finished.err


def test_a_document_says_where_the_pages_of_battles_are(done: Done) -> None:
    assert done.run.out is not None
    first, second = (
        json.loads(done.run.finish(done.run.start("report", *options, "-o", "json")).out)
        for options in ([], ["--battles", "3"])
    )
    assert "battles" not in first
    page = done.run.out / "runs" / first["run"] / "battles" / "index.html"
    try:
        assert second["battles"] == page.as_uri()
        assert page.exists()
    finally:
        shutil.rmtree(page.parent)  # other tests compare what is in the store


def test_a_jury_compared_with_itself_agrees(done: Done) -> None:
    finished = done.run.finish(done.run.start("compare", str(done.run.file)))
    assert finished.code == 0, finished.err
    assert "same leader          yes" in finished.out


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["run"], "Status"),
        (["status"], "Status"),
        (["plan"], "Plan"),
        (["plan", "--prompts"], "Prompts"),
        (["report"], "Report"),
        (["compare", "{file}"], "Comparison"),
        (["validate"], "Validation"),
    ],
)
def test_with_json_standard_output_is_one_document_of_its_schema(done: Done, command: list[str], kind: str) -> None:
    name, *options = (word.format(file=done.run.file) for word in command)
    finished = done.run.finish(done.run.start(name, *options, "-o", "json"))
    assert finished.code == 0, finished.err
    document = json.loads(finished.out)
    assert document["kind"] == kind
    jsonschema.Draft202012Validator(schema_of(kind)).validate(document)
    as_yaml = done.run.finish(done.run.start(name, *options, "-o", "yaml"))
    assert {**yaml.safe_load(as_yaml.out), "conditions": None} == {**document, "conditions": None}
