"""Every way to say a tournament runs to its end: where instructions come from, who meets whom, how verdicts come."""

from __future__ import annotations

import asyncio
import csv
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from integration.sim.process import SimProcess
from support.local_runs import LocalRun
from support.manifests import manifest

PROMPTS = [
    "Write a function that merges two sorted lists without extra memory.",
    "Explain why a mutable default argument surprises people, with an example.",
    "Debug a parser that loses the last line of a file without a line break at its end.",
    "Design a cache that forgets what was used least recently, in O(1) per access.",
    "Test a function that rounds money; say which cases matter.",
    "Turn a recursive walk over a tree into an iterative one.",
]


def table_of(run: LocalRun, name: str) -> list[dict[str, Any]]:
    """A table of the run's results."""
    assert run.out is not None
    (file,) = run.out.glob(f"runs/*/*/{name}.parquet")
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def written(file: Path) -> Path:
    """The prompts in a file of the kind that its name says, with the competitor that each is of."""
    rows = [{"prompt": prompt, "who": f"m{number % 2}"} for number, prompt in enumerate(PROMPTS)]
    match file.suffix:
        case ".jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".csv":
            with file.open("w", newline="") as output:
                writer = csv.DictWriter(output, ["prompt", "who"])
                writer.writeheader()
                writer.writerows(rows)
        case _:
            pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def with_prompts(make_run: MakeRun, players: int, name: str, **spec: Any) -> LocalRun:
    """A complete run over the prompts in a file beside the manifest."""
    run = make_run("run", {})
    written(run.folder / name)
    run.write(manifest(players, judges=1, jobs={"shardSize": 64}, **spec))
    run.complete()
    return run


@pytest.mark.parametrize(
    ("name", "source", "battles", "curation"),
    [
        (
            "prompts.jsonl",
            {"attackerField": "who"},
            {"verdict": {"method": "Choice"}},
            {"dedup": {"method": "Semantic", "threshold": "0.9"}, "difficulty": {"keep": []}},
        ),
        (
            "prompts.parquet",
            {},
            {"verdict": {"method": "Logprobs", "criteria": "general-v1"}},
            {
                "difficulty": {"keep": ["Excellent", "Good", "Average", "Poor"]},
                "diversity": {"method": "Random", "perCompetitor": 2},
            },
        ),
    ],
    ids=["jsonl", "parquet"],
)
def test_instructions_of_ones_own(
    name: str, source: dict[str, Any], battles: dict[str, Any], curation: dict[str, Any], make_run: MakeRun
) -> None:
    instructions = {"from": {"uri": f"file://./{name}", "field": "prompt", **source}}
    curation = {"decontaminate": [], **curation}
    run = with_prompts(make_run, 2, name, instructions=instructions, battles=battles, curation=curation)
    rows = table_of(run, "instructions")
    dealt = {(prompt, f"m{number % 2}") for number, prompt in enumerate(PROMPTS)}
    assert {(row["instruction"], row["attacker"]) for row in rows} <= dealt
    graded = "diversity" in curation
    assert len(rows) == (2 * 2 if graded else len(PROMPTS))
    assert all((row["difficulty"] is not None) == graded for row in rows)
    verdicts = table_of(run, "verdicts")
    assert len(verdicts) == len(rows) * 2
    assert {row["judge"] for row in verdicts} == {"j0"}
    assert any(row["void"] is None for row in verdicts)
    assert run.models_started() == {"j0", "m0", "m1"}


def test_everybody_meets_everybody(make_run: MakeRun) -> None:
    run = with_prompts(
        make_run,
        3,
        "prompts.csv",
        instructions={"from": {"uri": "file://./prompts.csv", "field": "prompt"}},
        battles={"pairing": "AllPairs", "orders": "Alternate", "verdict": {"method": "Reasoned"}},
        curation={
            "decontaminate": [],
            "dedup": {"method": "None"},
            "difficulty": {"keep": []},
            "diversity": {"method": "None"},
        },
    )
    verdicts = table_of(run, "verdicts")
    assert len(verdicts) == len(PROMPTS) * 3
    assert {row["order"] for row in verdicts} == {"AB", "BA"}
    names = {"m0", "m1", "m2"}
    expected = {(attacker, attacker, other) for attacker in names for other in names - {attacker}}
    for attacker in names:
        first, second = sorted(names - {attacker})
        expected.add((attacker, first, second))
    assert {(row["attacker"], row["model_a"], row["model_b"]) for row in verdicts} == expected


async def test_endpoints_that_run_already(make_run: MakeRun) -> None:
    """No model is ours to start; one of them also embeds. Mining needs their templates, which they tell."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(SimProcess(f"sim://e{number}")) for number in range(3)]
        endpoints = [{"url": f"{server.url}/v1", "model": server.model} for server in servers]
        document = manifest(2, instructions={"mine": {"perCompetitor": 24}}, jobs={"shardSize": 64})
        document["spec"]["competitors"] = [
            {"name": f"m{number}", "endpoint": endpoint} for number, endpoint in enumerate(endpoints[:2])
        ]
        secret = {"name": "judge", "key": "token"}
        document["spec"]["judges"] = [{"name": "j0", "endpoint": {**endpoints[2], "apiKeySecretRef": secret}}]
        embedder = {"method": "Endpoint", "endpoint": endpoints[2]}
        diversity = {"perCompetitor": 4, "embedder": embedder}
        document["spec"]["curation"] = {"decontaminate": [], "diversity": diversity}
        run = make_run("run", document, env={"TILTYARD_SECRET_JUDGE_TOKEN": "s3cret-of-the-judge"})
        await asyncio.to_thread(run.complete)
        assert run.models_started() == set()
        assert len(table_of(run, "instructions")) == 8
        for file in run.state.rglob("*"):
            assert not file.is_file() or b"s3cret-of-the-judge" not in file.read_bytes()
