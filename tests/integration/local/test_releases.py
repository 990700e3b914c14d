"""What an earlier release has left on a machine: this one goes on from it, and all commands read it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun, contents, differences
from support.read_runs import served
from support.releases import Release, releases
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import open_store


@pytest.fixture(params=releases(), ids=lambda release: str(release.version))
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.fixture
def left(release: Release, make_run: MakeRun) -> LocalRun:
    """The release's store and state, before this version has run."""
    run = make_run("left", release.manifest)
    assert run.out is not None
    release.copy(run.out, run.state)
    return run


def words(run: LocalRun, *command: str) -> str:
    """What a command prints; it must succeed."""
    finished = run.finish(run.start(*command))
    assert finished.code == 0, finished.err
    return finished.out


def tiltyard(*arguments: str | Path) -> str:
    """What a command prints that is told of a folder and no manifest; it must succeed."""
    ended = subprocess.run([sys.executable, "-m", "tiltyard", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_only_what_is_said_is_made_again(release: Release, left: LocalRun) -> None:
    changed = {change.bundle for change in release.changes()}
    again = [bundle for bundle in release.graph().bundles if bundle.name in changed]
    before = files(release.folder / "store")
    left.complete()
    assert {folder.name for folder in (left.state / "jobs").iterdir() if folder.is_dir()} == {
        "preflight", *(bundle.name.replace("/", ".") for bundle in again)
    }  # fmt: skip
    assert left.models_started() == {bundle.model for bundle in again} - {None}
    assert left.out is not None
    after = files(left.out)
    same = {key: body for key, body in after.items() if key in before}
    assert differences(before, same) == [], "what the release has made is as it was"
    if not again:
        assert differences(before, after) == []


def test_results_of_the_same_battles_come_out_the_same(release: Release, left: LocalRun) -> None:
    """Otherwise the same key would name other bytes: a stage that makes something else has another version."""
    if release.changes():
        pytest.skip("this version makes artifacts of other keys")
    assert left.out is not None
    for stage in ("rate", "dataset", "report", "runs"):
        shutil.rmtree(left.out / stage)
    left.complete()
    assert left.models_started() == set()
    store, made = (open_store(StoreRef(uri=place.as_uri())) for place in (release.folder / "store", left.out))
    assert differences(contents(store), contents(made)) == []


def test_commands_read_its_run(release: Release, left: LocalRun, tmp_path: Path) -> None:
    assert left.out is not None
    folder = left.out / "runs" / release.run
    if not any(change.stage == "report" for change in release.changes()):
        told = json.loads(words(left, "report", "--to", str(tmp_path / "copy"), "-o", "json"))
        assert told["run"] == release.run
        assert (tmp_path / "copy" / "report.html").read_bytes() == (folder / "report.html").read_bytes()
        page = tmp_path / "compared.html"
        told = json.loads(words(left, "compare", str(left.file), "--html", str(page), "-o", "json"))
        assert (told["first"], told["second"], told["kendall"]) == (release.run, release.run, 1.0)
        assert page.stat().st_size > 0

    battle = pq.read_table(folder / "tables" / "battles.parquet").to_pylist()[0]
    name = f"{battle['instruction_id']}/{battle['model_a']}/{battle['model_b']}"
    assert f"=== {name}" in tiltyard("show", folder, name)
    with served(str(folder), folder=tmp_path) as view:
        page_of_battle = view.get(f"/battle/{name}")
        assert (page_of_battle.status, battle["instruction_id"] in view.get("/all").text) == (200, True)
    rows = tmp_path / "rows"
    tiltyard("export", folder, "--to", "jsonl", "--table", "battles", "--table", "sft", "--out", rows)
    written = {file.stem: len(file.read_text().splitlines()) for file in rows.glob("*.jsonl")}
    tables = {"battles": folder / "tables" / "battles.parquet", "sft": folder / "data" / "sft.parquet"}
    assert written == {table: pq.read_metadata(file).num_rows for table, file in tables.items()}
