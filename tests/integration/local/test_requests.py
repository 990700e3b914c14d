"""What is added to the requests to a model, in whole runs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from integration.local.conftest import MakeRun
from integration.sim.process import SimProcess
from support.certificates import self_signed
from support.local_runs import LocalRun
from support.manifests import manifest

TICKET, TEAM = "ticket-0f9a3c", "team-7be1d2"
SECRET = {"name": "gate", "key": "ticket"}


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


def texts_below(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    return ((file, file.read_bytes()) for folder in folders for file in folder.rglob("*") if file.is_file())


async def test_endpoints_behind_a_gate_that_take_requests_in_a_form_of_their_own(
    make_run: MakeRun, tmp_path: Path
) -> None:
    cert, key = map(str, self_signed(tmp_path))
    gate = ("--require-header", f"X-Ticket: {TICKET}", "--require-header", f"X-Team: {TEAM}")
    tls = ("--ssl-certfile", cert, "--ssl-keyfile", key)
    refusals = ("max_tokens,long_seed", "seed,system", "temperature,top_p")
    async with AsyncExitStack() as stack:
        sims = [
            await stack.enter_async_context(SimProcess(f"sim://m{place}?junk=0&refuses={refuses}", *gate, *tls))
            for place, refuses in enumerate(refusals)
        ]
        document = manifest(2, per_competitor=4, jobs={"shardSize": 64})
        request = {
            "headers": [{"name": "X-Ticket", "valueSecretRef": SECRET}, {"name": "X-Team", "value": TEAM}],
            "caBundle": {"file": "file://./ca.pem"},
        }
        asked = [
            {"name": sim.model, "endpoint": {"url": f"{sim.url}/v1", "model": sim.model}, "request": request}
            for sim in sims
        ]
        document["spec"]["competitors"], document["spec"]["judges"] = asked[:2], asked[2:]
        run = make_run("run", document)
        shutil.copy(cert, run.folder / "ca.pem")
        refused = await asyncio.to_thread(run.run)
        assert refused.code == 2
        assert refused.err.count("request.headers[0].valueSecretRef: the secret does not exist") == 3
        assert "TILTYARD_SECRET_GATE_TICKET" in refused.err

        run.env["TILTYARD_SECRET_GATE_TICKET"] = "wrong"
        refused = await asyncio.to_thread(run.run)
        assert refused.code == 2
        assert "spec.competitors[0].endpoint: " in refused.err
        assert "(HTTP 401): check the endpoint's API key and request.headers" in refused.err

        run.env["TILTYARD_SECRET_GATE_TICKET"] = TICKET
        told = (await asyncio.to_thread(run.complete)).out
    assert "spec.competitors[1].endpoint: " in told
    assert "model 'm1' refuses a seed (" in told
    assert "model 'm2' refuses temperature 0 (" in told
    assert "m0' refuses" not in told
    assert rows(run, "verdicts")
    assert run.out is not None
    for value in (TICKET, TEAM):
        assert value not in told
        places = [str(file) for file, text in texts_below(run.out, run.state) if value.encode() in text]
        # A value that stands in the manifest is told to the worker, and nowhere else.
        assert all(file.endswith("task.json") for file in places) if value == TEAM else places == []
