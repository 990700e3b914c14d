"""`import tiltyard`: a tournament planned, run and read from a program, as `docs/python.md` says."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

import tiltyard
from support.manifests import manifest
from support.s3server import S3Server
from support.stub_llm import serving


def small(**spec: Any) -> dict[str, Any]:
    return manifest(3, per_competitor=6, **spec)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_tournament_is_planned_run_and_read_in_a_notebook(place: Path) -> None:
    (place / "t.yaml").write_text(yaml.safe_dump(small()))
    tournament = tiltyard.Tournament.from_file("t.yaml")
    seen = []

    async def cell() -> tiltyard.Results:
        """A notebook's cell runs in an event loop."""
        plan = tournament.plan("out")
        assert plan.run == tournament.run_id()
        assert plan.total.calls > 0
        return tournament.run("out", on_status=lambda status: seen.append(status.progress))

    results = asyncio.run(cell())
    assert seen[-1] == "100%"
    assert results.run == tournament.run_id()
    assert results.folder == place / "out" / "runs" / results.run
    assert [player["rank"] for player in results.leaderboard] == sorted(one["rank"] for one in results.leaderboard)
    battles = results.table("battles")
    assert battles.num_rows == len(battles.to_pylist()) > 0
    assert {"sft", "preference", "ratings", "instructions"} <= set(results.names)
    assert results.report.is_file()
    assert tournament.status().activity == "Ended"
    assert tournament.plan("out").total.calls == 0
    with pytest.raises(tiltyard.UserError, match=f"table votes: run {results.run} has none of this name; it has ans"):
        results.table("votes")

    # A copy, and the store's own folder, are read alike.
    copy = shutil.copytree(results.folder, place / "copy")
    assert tiltyard.Results.open(copy).table("battles").equals(battles)
    assert tournament.results("out").leaderboard == results.leaderboard


def test_results_in_a_bucket(place: Path, server: S3Server, credentials: S3Server, s3_uri: str) -> None:
    output = {"s3": {"uri": s3_uri, "endpoint": server.endpoint}}
    tournament = tiltyard.Tournament.from_dict(small(output=output))
    results = tournament.run()
    folder = results.folder
    assert results.table("sft").num_rows > 0
    assert tournament.results().leaderboard == results.leaderboard
    del results
    assert not folder.exists()  # the copy lives as long as the object
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        opened = tiltyard.Results.open(f"{s3_uri}/runs/{tournament.run_id()}")
    assert opened.run == tournament.run_id()


def test_what_is_wrong_is_raised_with_its_sentence(place: Path) -> None:
    with pytest.raises(tiltyard.ManifestError, match=r"spec\.competitors: "):
        tiltyard.Tournament.from_dict({**small(), "spec": {**small()["spec"], "competitors": []}})
    tournament = tiltyard.Tournament.from_dict(small())
    with pytest.raises(tiltyard.UserError, match="contains no run of test: name the folder"):
        tournament.status()
    with pytest.raises(tiltyard.UserError, match="there is no such folder"):
        tournament.results("nowhere")
    with pytest.raises(TypeError, match="worker is not an option; options are state, "):
        tournament.run("out", worker=2)
    with pytest.raises(tiltyard.UserError, match=r"no complete run is there: manifest\.json"):
        tiltyard.Results.open(place)
    suspended = tiltyard.Tournament.from_dict(small(suspend=True))
    with pytest.raises(tiltyard.StoppedError):
        suspended.run("out")


def test_a_failed_tournament_says_why(place: Path) -> None:
    document = small()
    document["spec"]["competitors"][0] = {"name": "gone", "endpoint": {"url": "http://127.0.0.1:9/v1", "model": "m"}}
    tournament = tiltyard.Tournament.from_dict(document)
    with pytest.raises(tiltyard.TournamentFailedError) as caught:
        tournament.run("out")
    assert caught.value.status is not None
    assert caught.value.status.activity == "Ended"
    assert str(caught.value).startswith("spec.competitors[0].endpoint: http://127.0.0.1:9/v1")


@pytest.mark.parametrize("mined", [False, True], ids=["in preflight", "in a stage"])
async def test_the_first_status_of_a_failure_says_that_the_input_is_wrong(place: Path, mined: bool) -> None:
    async def chat(request: web.Request) -> web.Response:
        if mined and "sort a list" not in (await request.json())["messages"][-1]["content"]:
            choice = {"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
            return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        return web.json_response({"error": {"message": "this key is no longer valid"}}, status=401)

    rows = "".join(json.dumps({"prompt": f"sort a list {number}"}) + "\n" for number in range(6))
    (place / "p.jsonl").write_text(rows)
    prompts = {"from": {"uri": (place / "p.jsonl").as_uri(), "perCompetitor": 6}}
    document, seen = manifest(2, judges=1, instructions=prompts), list[bool]()

    def look(status: Any) -> None:
        if status.phase == "Failed":
            seen.append(tournament.status().wrong_input)

    async with serving({"/v1/chat/completions": chat}) as url:
        document["spec"]["competitors"][1] = {"name": "m1", "endpoint": {"url": f"{url}/v1", "model": "m"}}
        tournament = tiltyard.Tournament.from_dict(document)
        with pytest.raises(tiltyard.TournamentFailedError, match="refuses access to model 'm'"):
            await asyncio.to_thread(tournament.run, "out", on_status=look)
    assert seen[0]


def test_ctrl_c_keeps_the_work(place: Path) -> None:
    (place / "t.yaml").write_text(yaml.safe_dump(manifest(3, per_competitor=60)))
    program = (
        "import signal, tiltyard\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "def show(status):\n"
        "    if any(stage.shards.succeeded for stage in status.stages): print('begun', flush=True)\n"
        "tiltyard.Tournament.from_file('t.yaml').run('out', on_status=show)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert "KeyboardInterrupt" in errors
    tournament = tiltyard.Tournament.from_file("t.yaml")
    assert tournament.status().activity == "Interrupted"
    assert any(bundle.exist for bundle in tournament.plan("out").bundles)
