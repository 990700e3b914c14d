"""Runs for the battle reader that are as large as real ones: their folder alone, without the artifacts beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from support.read_runs import ATTACKS
from tiltyard_jobs.results.documents import Manifest, ManifestFile
from tiltyard_jobs.results.run_tables import BATTLES, RATINGS, RUN_ANSWERS, RUN_INSTRUCTIONS, RUN_VERDICTS
from tiltyard_jobs.shard.tables import GROUP_ROWS

Numbers = NDArray[Any]

PLAYERS = ("ada", "blaise", "charles", "dorothy", "edsger")
WORDS = "the of sort list tree when value returns empty each index queue lock retry parse key row".split()  # noqa: SIM905
BLOCK = 16  # row groups written at a time


def make_large_run(folder: Path, many: int) -> None:
    """Write the tables of a run's folder, and a manifest.

    Five players have answered each of the instructions; three judges have judged each of its four battles in both
    orders. One text in eight attacks.

    Args:
        folder: gets the files.
        many: how many instructions.
    """
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    ids = np.array([hashlib.sha256(b"%d" % number).hexdigest()[:20] for number in range(many)])
    attacker = np.arange(many) * len(PLAYERS) // many
    texts = [" ".join(rng.choice(WORDS, 240)) for _ in range(512)]
    names = np.array(PLAYERS)

    def said(number: int, length: int) -> str:
        attack = f"\n\n{ATTACKS[number // 8 % len(ATTACKS)]}" if number % 8 == 0 else ""
        return f"{number:x} {texts[number * 7919 % 512][:length]}{attack}"

    def instructions(rows: Numbers) -> dict[str, Any]:
        return {
            "instruction_id": ids[rows],
            "attacker": names[attacker[rows]],
            "instruction": [said(int(number), 400) for number in rows],
            "difficulty": rows % 5 + 6,
            "task_type": np.array(["Generation", "Debugging", "Theory"])[rows % 3],
            "gold": names[rows % 5],
            "margin": np.full(len(rows), 0.1),
        }

    def answers(rows: Numbers) -> dict[str, Any]:
        number, player = rows // 5, rows % 5
        return {
            "instruction_id": ids[number],
            "attacker": names[attacker[number]],
            "model": names[player],
            "answer": [said(int(one) + 99, 1_200) for one in rows],
            "score": (rows * 37 % 100) / 100,
            "gold": player == number % 5,
        }

    def who(number: Numbers, opponent: Numbers) -> tuple[Numbers, Numbers]:
        a = attacker[number]
        return a, opponent + (opponent >= a)

    def battles(rows: Numbers) -> dict[str, Any]:
        number, opponent = rows // 4, rows % 4
        a, b = who(number, opponent)
        return {
            "instruction_id": ids[number],
            "attacker": names[a],
            "model_a": names[a],
            "model_b": names[b],
            "score": (rows * 7919 % 1009) / 1009,
        }

    each = np.bincount(attacker, minlength=5)
    starts = np.concatenate([[0], np.cumsum(each)])
    # As the stages write them: a match at a time (attacker, B, judge), its instructions in order, each in both orders.
    order = np.concatenate(
        [
            np.repeat(np.arange(starts[one], starts[one + 1]), 2) * 24
            + opponent * 6
            + judge * 2
            + np.tile([0, 1], each[one])
            for one in range(5)
            for opponent in range(4)
            for judge in range(3)
        ]
    )

    def verdicts(rows: Numbers) -> dict[str, Any]:
        place = order[rows]
        number, opponent, judge, turned = place // 24, place // 6 % 4, place // 2 % 3, place % 2
        a, b = who(number, opponent)
        others = np.array(
            [[[j for j in range(5) if j not in (x, y)] if x != y else [0, 0, 0] for y in range(5)] for x in range(5)]
        )
        vote = (place * 104_729 % 1_013) / 1_013
        return {
            "instruction_id": ids[number],
            "attacker": names[a],
            "model_a": names[a],
            "model_b": names[b],
            "judge": names[others[a, b, judge]],
            "order": np.array(["AB", "BA"])[turned],
            "vote": pa.array(vote, mask=place % 500 == 0),
            "reason": [said(int(one), 80) for one in place],
            "void": pa.array(np.full(len(rows), "Undecided"), mask=place % 500 != 0),
        }

    def ratings(rows: Numbers) -> dict[str, Any]:
        return {"player": names[rows], "rating": 1_000.0 - 40 * rows, "rank": rows + 1}

    files = []
    for name, schema, rows, columns in (
        ("instructions", RUN_INSTRUCTIONS, many, instructions),
        ("answers", RUN_ANSWERS, 5 * many, answers),
        ("battles", BATTLES, 4 * many, battles),
        ("verdicts", RUN_VERDICTS, 24 * many, verdicts),
        ("ratings", RATINGS, 5, ratings),
    ):
        path = folder / "tables" / f"{name}.parquet"
        _write(path, schema, rows, columns)
        files.append(ManifestFile(path=f"tables/{name}.parquet", sha256="", size=path.stat().st_size, rows=rows))
    manifest = Manifest(
        tournament="bench",
        run="0" * 12,
        seed=0,
        versions={},
        leaderboard=(),
        outputs={},
        files=tuple(files),
        artifacts=(),
    )
    (folder / "manifest.json").write_text(json.dumps(manifest.model_dump(mode="json", by_alias=True)))


def _write(path: Path, schema: pa.Schema, rows: int, columns: Callable[[Numbers], dict[str, Any]]) -> None:
    """Write a table as `TableWriter` does; a column that is not given is null."""
    schema = pa.schema([field.remove_metadata() for field in schema])
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3) as writer:
        for block in _blocks(rows):
            given = columns(block)
            arrays = [
                pa.array(given[field.name]).cast(field.type)
                if field.name in given
                else pa.nulls(len(block), field.type)
                for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP_ROWS)


def _blocks(rows: int) -> Iterator[Numbers]:
    """Numbers of rows, a block at a time."""
    for start in range(0, rows, BLOCK * GROUP_ROWS):
        yield np.arange(start, min(rows, start + BLOCK * GROUP_ROWS))
