"""`tiltyard export` on a complete run: the worker's task, and the command as a user types it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from support.exported_run import KEPT, RUN, exported, lay_out, lines, rows
from support.stage_world import StageWorld
from tiltyard.cli.schema import schema_of
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.layout import run_prefix
from tiltyard_jobs.contracts.solo_tasks import ExportTask
from tiltyard_jobs.results.documents import Manifest

MEMORY = 384 << 20


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / RUN
    lay_out(folder, rows() | {"battles": []})
    return folder


def command(*arguments: str | Path) -> tuple[int, str, str]:
    line = [sys.executable, "-m", "tiltyard", "export", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_command_writes_training_rows_and_reports_what_is_left_out(run: Path, tmp_path: Path) -> None:
    code, out, err = command(run, "--to", "openai", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    told = out.splitlines()
    assert told[:2] == [str(tmp_path / "out" / "sft.jsonl"), str(tmp_path / "out" / "preference.jsonl")]
    assert "sft.jsonl: 3 rows" in told
    assert "sft.jsonl: left out, as openai has no place for them: 1 thoughts (reasoning_content)" in told
    (columns,) = [line for line in told if line.startswith("sft.jsonl: columns left out")]
    assert all(name in columns for name in (*KEPT, "source_id", "margin"))
    assert "attacker_uri" not in columns  # it has no value in any row
    assert len(lines(tmp_path / "out" / "sft.jsonl")) == 3


def test_what_is_written_as_a_document_of_its_schema(run: Path, tmp_path: Path) -> None:
    code, out, err = command(run, "--to", "openai", "--out", tmp_path / "out", "-o", "json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    jsonschema.Draft202012Validator(schema_of("Export")).validate(document)
    assert document["files"] == [str(tmp_path / "out" / name) for name in ("sft.jsonl", "preference.jsonl")]
    assert "sft.jsonl: 3 rows" in document["notes"]
    code, out, err = command("-", "--to", "openai", "--out", tmp_path / "more")
    assert (code, out, err.partition(";")[0]) == (2, "", "-: standard input is not read here")


def test_a_run_in_a_store_is_written_from_there(world: StageWorld) -> None:
    folder = world.root / "laid"
    lay_out(folder, rows())
    for path in folder.rglob("*"):
        if path.is_file():
            world.store.put(run_prefix(RUN) + str(path.relative_to(folder)), path.read_bytes())
    task = ExportTask(
        tournament="test",
        store=world.store_ref,
        run=RUN,
        folder=str(world.root / "out"),
        form="llamafactory",
        tables=("preference",),
    )
    ran = world.run_task(task)
    assert (ran.code, ran.summary["rows"]) == (0, 3)
    assert sorted(path.name for path in (world.root / "out").iterdir()) == ["dataset_info.json", "preference.jsonl"]
    info = json.loads((world.root / "out" / "dataset_info.json").read_text())
    assert info["test_preference"]["file_name"] == "preference.jsonl"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "openai", "--table", "battles"), "--table battles: openai is for training rows (sft, preference)"),
        (("--to", "csv", "--table", "score"), "--table score: run 0123456789ab has no such table, only sft,"),
    ],
)
def test_what_cannot_be_written_is_refused(run: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = command(run, *arguments, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert not (tmp_path / "out").exists()


def test_no_file_of_the_users_is_written_over(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    exported(run, "csv", out)  # an empty folder is as good as none
    before = (out / "sft.csv").read_bytes()
    code, _, err = command(run, "--to", "csv", "--out", out)
    assert (code, err) == (2, f"--out {out}: there is something already; name a folder that is not there yet\n")
    assert (out / "sft.csv").read_bytes() == before
    assert command(tmp_path / "nowhere", "--to", "csv", "--out", tmp_path / "new")[0] == 2
    code, _, err = command(run / "data", "--to", "csv", "--out", tmp_path / "new")
    assert (code, "has no complete run" in err) == (2, True)


def test_a_damaged_table_leaves_nothing(run: Path, tmp_path: Path) -> None:
    path = run / "data" / "preference.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    code, _, err = command(run, "--to", "csv", "--out", tmp_path / "out")
    assert (code, "preference.parquet" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_rows_are_read_and_written_in_bounded_memory(tmp_path: Path) -> None:
    """A table that is larger than the memory allowed for it; each of its rows is large."""
    folder, size = tmp_path / "run", 100_000
    (row,) = rows(1)["preference"]
    large = [row | {"chosen": [{"role": "assistant", "content": chr(0x4E00 + n % 999) * size}]} for n in range(1500)]
    lay_out(folder, {"preference": large})
    del large
    task = ExportTask(
        tournament="test", store={"uri": folder.as_uri()}, run="", folder=str(tmp_path / "out"), form="jsonl"
    )
    (tmp_path / "task.json").write_bytes(task.canonical())
    line = [sys.executable, "-m", "tiltyard_jobs", "export", "--task", str(tmp_path / "task.json")]
    # Threads, as many as there are cores, would count with the stacks and arenas that they might fill.
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, env={**os.environ, **one}, preexec_fn=_limited
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "preference.jsonl").stat().st_size > MEMORY
    assert digest((folder / "data" / "preference.parquet").read_bytes()) in {
        file.sha256 for file in Manifest.model_validate_json((folder / "manifest.json").read_bytes()).files
    }


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
