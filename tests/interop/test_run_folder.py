"""A finished run's folder, as `tiltyard run` leaves it, read with the tools that its users have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs the interpreter with other people's tools (`python hack/envs.py interop`)")

import datasets
import duckdb
from datasets import load_dataset
from trl.data_utils import is_conversational

import tiltyard


@pytest.fixture(scope="module")
def run(outputs: Path) -> Path:
    """The folder of the one run below the outputs."""
    (manifest,) = outputs.glob("runs/*/manifest.json")
    return manifest.parent


@pytest.mark.parametrize(("name", "column"), [("sft", "messages"), ("preference", "chosen")])
def test_datasets_reads_the_folder_by_its_card_and_trl_knows_the_form(run: Path, name: str, column: str) -> None:
    rows = load_dataset(str(run), name, split="train")
    files = {file["path"]: file["rows"] for file in json.loads((run / "manifest.json").read_text())["files"]}
    assert rows.num_rows == files[f"data/{name}.parquet"] > 0
    assert is_conversational(rows[0])
    assert all(turn["content"] for row in rows for turn in row[column])


def test_what_the_end_of_a_run_prints_loads_as_printed(outputs: Path, run: Path) -> None:
    printed = (outputs.parent / "printed").read_text().splitlines()
    (line,) = [line.removeprefix("load").strip() for line in printed if line.startswith("load ")]
    loaded = eval(line, {"datasets": datasets})
    files = {file["path"]: file["rows"] for file in json.loads((run / "manifest.json").read_text())["files"]}
    assert loaded["train"].num_rows == files["data/sft.parquet"]


@pytest.mark.parametrize("name", ["ratings", "scores"])
def test_ratings_and_scores_are_configurations(run: Path, name: str) -> None:
    files = {file["path"]: file["rows"] for file in json.loads((run / "manifest.json").read_text())["files"]}
    assert load_dataset(str(run), name, split="train").num_rows == files[f"tables/{name}.parquet"]


def test_duckdb_finds_in_the_tables_what_the_leaderboard_says(run: Path) -> None:
    board = {row["name"]: row["gold"] for row in json.loads((run / "leaderboard.json").read_text())["players"]}
    tables = run / "tables"
    told = duckdb.execute("select player, gold from read_parquet(?)", [str(tables / "ratings.parquet")]).fetchall()
    assert dict(told) == board
    gold = duckdb.execute(
        "select model, count(*) from read_parquet(?) group by model",
        [str(run / "data" / "sft.parquet")],
    ).fetchall()
    assert {name: count for name, count in board.items() if count} == dict(gold)


def test_a_table_becomes_a_data_frame_of_pandas(run: Path) -> None:
    results = tiltyard.Results.open(run)
    frame = results.table("battles").to_pandas()
    files = {file["path"]: file["rows"] for file in json.loads((run / "manifest.json").read_text())["files"]}
    assert len(frame) == files["tables/battles.parquet"] > 0
    assert {*frame["model_a"], *frame["model_b"]} <= {row["name"] for row in results.leaderboard}
