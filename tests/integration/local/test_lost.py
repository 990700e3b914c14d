"""What was lost and comes out with other words keeps no votes and no rows; what comes out the same keeps all."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiohttp import web

from integration.local.conftest import MakeRun
from integration.local.test_given import is_probe
from support.local_runs import LocalRun
from support.manifests import manifest
from support.stage_world import Asked, Stub, stub

NAMES = ("m0", "m1", "m2")
PROMPTS = [f"Explain case {number} to a colleague, please." for number in range(4)]


class NeverTheSame:
    """Models that word each answer differently each time; `refuse` lets them refuse to judge."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self.refuse = False

    def reply(self, asked: Asked) -> str | web.Response:
        if str(asked.document["messages"][0]["content"]).startswith("TASK: judge"):
            if self.refuse and PROMPTS[0] not in asked.prompt and not is_probe(asked):
                return web.json_response({"error": {"message": "not now"}}, status=400)
            return json.dumps({"winner": "T" if is_probe(asked) else "1"})
        return f"<{next(self._count)}> is an answer of {asked.document['model']}."


@pytest.fixture
def models() -> Iterator[tuple[NeverTheSame, Stub]]:
    behind = NeverTheSame()
    with stub(behind.reply, models=NAMES) as server:
        yield behind, server


def run_of(make_run: MakeRun, url: str) -> LocalRun:
    document = manifest(2, instructions={"from": {"uri": "p.jsonl"}}, battles={"verdict": {"method": "Choice"}})
    named = [{"name": name, "endpoint": {"url": url, "model": name}} for name in NAMES]
    document["spec"] |= {"competitors": named[:2], "judges": named[2:]}
    document["spec"]["jobs"] = {"shardSize": 64, "backoffLimitPerShard": 0}
    run = make_run("run", document)
    (run.folder / "p.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in PROMPTS))
    return run


def delete_one(run: LocalRun, stage: str) -> None:
    assert run.out is not None
    shutil.rmtree(sorted((run.out / stage).iterdir())[0])


def texts_of(run: LocalRun, table: str, folder: str = "tables") -> list[dict[str, Any]]:
    assert run.out is not None
    (file,) = run.out.glob(f"runs/*/{folder}/{table}.parquet")
    return pq.read_table(file).to_pylist()


def all_was_judged(run: LocalRun, server: Stub) -> None:
    """Every answer of the tables, and of the training rows, was shown to a judge."""
    shown = "\n".join(
        one.prompt for one in server.asked if "TASK: judge" in str(one.document["messages"][0]["content"])
    )
    answers = [row["answer"] for row in texts_of(run, "answers")]
    answers += [row["messages"][-1]["content"] for row in texts_of(run, "sft", "data")]
    assert len(answers) > len(PROMPTS)
    assert [answer for answer in answers if answer not in shown] == []


@pytest.mark.parametrize("stage", ["answer", "filter"])
def test_no_vote_is_about_a_text_that_is_gone(stage: str, models: tuple[NeverTheSame, Stub], make_run: MakeRun) -> None:
    _, server = models
    run = run_of(make_run, server.url)
    run.complete()
    before = texts_of(run, "answers")

    delete_one(run, stage)
    asked = len(server.asked)
    finished = run.complete()
    all_was_judged(run, server)
    assert "that were made from parts that are gone or changed" in finished.out
    if stage == "filter":  # it comes out the same: endpoints are tried, and that is all
        assert texts_of(run, "answers") == before
        assert all(is_probe(one) or one.prompt == "1" for one in server.asked[asked:])
        assert "recomputed, since" not in finished.out
        return
    assert texts_of(run, "answers") != before
    assert "judge: recomputed, since what was there was made from earlier results of answer" in finished.out
    asked = len(server.asked)
    run.complete()
    assert all(is_probe(one) or one.prompt == "1" for one in server.asked[asked:])


def test_unfinished_work_is_about_the_text_as_well(models: tuple[NeverTheSame, Stub], make_run: MakeRun) -> None:
    behind, server = models
    run = run_of(make_run, server.url)
    behind.refuse = True
    assert run.run().code == 1  # some votes are in journals
    assert run.out is not None
    assert not (run.out / "rate").exists()
    shutil.rmtree(run.out / "answer")
    behind.refuse = False
    del server.asked[:]
    run.complete()
    all_was_judged(run, server)
