"""A competitor whose answers exist already, on a real API server: no model is served for it, and no pod needs a key."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from support.arena import Arena
from tiltyard.observe.kinds import JOBS
from tiltyard.render.names import BUNDLE
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import open_store

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(400)]

SPEC: dict[str, Any] = {"curation": {"decontaminate": []}, "jobs": {"shardSize": 12}}
CASES = [f"Sort case {number}." for number in range(5)]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def test_answers_in_a_bucket_are_judged_beside_a_model(arena: Arena, credentials: Any) -> None:
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    store.put("p.jsonl", lines([{"id": f"c{n}", "prompt": text} for n, text in enumerate(CASES)]))
    store.put("old/a.jsonl", lines([{"q": f"c{n}", "output": f"Known {n}."} for n in (1, 0, 2)]))
    store.put("old/b.jsonl", lines([{"q": f"c{n}", "output": f"Known {n}."} for n in (4, 3, 9)]))
    instructions = {"uri": f"{arena.s3_uri}/p.jsonl", "idField": "id", "perCompetitor": len(CASES)}
    document = arena.manifest(1, judges=1, instructions={"from": instructions}, **SPEC)
    document["spec"]["competitors"].append(
        {"name": "old", "answers": {"uri": f"{arena.s3_uri}/old/", "idField": "q", "license": "mit"}}
    )
    await arena.apply(document)
    status = (await arena.wait_for_phase("Complete", "Failed", limit=200))["status"]
    assert status["phase"] == "Complete", yaml.safe_dump(status)
    assert {row["name"] for row in status["leaderboard"]} == {"m0", "old"}
    assert {model["name"] for model in status["models"]} == {"m0", "j0"}
    jobs = {job["metadata"]["annotations"][BUNDLE] for job in await arena.children(JOBS)}
    assert {bundle for bundle in jobs if bundle.startswith(("answer/", "collect/"))} == {
        "answer/m0/m0", "answer/m0/old", "collect/old/m0", "collect/old/old",
    }, "its answers are read and not asked for"  # fmt: skip
    table = store.get(f"runs/{status['run']}/tables/answers.parquet")
    assert table is not None
    answers = pq.read_table(io.BytesIO(table)).to_pylist()
    known = sorted(row["answer"] for row in answers if row["model"] == "old")
    assert known == [f"Known {n}." for n in range(len(CASES))]


async def test_answers_that_are_missing_are_told_before_a_model_is_served(arena: Arena, credentials: Any) -> None:
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    store.put("p.jsonl", lines([{"id": f"c{n}", "prompt": text} for n, text in enumerate(CASES)]))
    store.put("old.jsonl", lines([{"q": "c0", "output": "Known."}]))
    instructions = {"uri": f"{arena.s3_uri}/p.jsonl", "idField": "id", "perCompetitor": len(CASES)}
    document = arena.manifest(1, judges=1, instructions={"from": instructions}, **SPEC)
    document["spec"]["competitors"].append(
        {"name": "old", "answers": {"uri": f"{arena.s3_uri}/old.jsonl", "idField": "q"}}
    )
    await arena.apply(document)
    status = (await arena.wait_for_phase("Complete", "Failed", limit=200))["status"]
    assert status["phase"] == "Failed"
    (failed,) = (one for one in status["conditions"] if one["type"] == "Failed")
    assert failed["message"].startswith(
        f"spec.competitors[1].answers: {arena.s3_uri}/old.jsonl lacks answers to 4 of 5"
    )
    assert not [pod for pod in arena.player.started if "predictor" in pod]
