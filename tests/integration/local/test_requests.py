"""What is added to the requests to a model, in whole runs."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun
from support.manifests import manifest


def rows(run: LocalRun, table: str) -> list[dict[str, Any]]:
    assert run.out is not None
    (file,) = run.out.glob(f"runs/*/*/{table}.parquet")
    found: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return found


def test_a_model_that_thinks_is_asked_not_to(make_run: MakeRun) -> None:
    document = manifest(2, judges=1, per_competitor=4, battles={"answer": {"thoughts": "Keep"}}, jobs={"shardSize": 64})
    first, second = document["spec"]["competitors"]
    first["model"] = second["model"] = {"uri": "sim://one?thoughts=inline&junk=0"}
    second["request"] = {"extraBody": {"chat_template_kwargs": {"enable_thinking": False}}}
    run = make_run("run", document)
    run.complete()
    answers = rows(run, "answers")
    assert {row["model"] for row in answers} == {first["name"], second["name"]}
    assert all((row["thought"] is not None) == (row["model"] == first["name"]) for row in answers)
