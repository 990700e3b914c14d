"""The page of a run at work: a real run, a real reader, and the command line between them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.browser import VARIABLE, browser
from support.local_runs import LocalRun
from support.manifests import manifest
from support.read_runs import Page, Run, Served, make_run, served
from support.waiting import until, wait_until
from tiltyard_jobs.contracts.reading import ReadTask
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.reader.live import Live, Status, words_of
from tiltyard_jobs.reader.server import Reader
from tiltyard_jobs.reader.session import Session

pytestmark = pytest.mark.timeout(300)
HOSTILE = "<script>alert(1)</script> \u202eevil"


def slow() -> dict[str, Any]:
    document = manifest(2, judges=1, per_competitor=400, jobs={"shardSize": 400})
    for player in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        player["serving"] = {"args": ["--latency-ms=1500"]}
    return document


@pytest.fixture
def run(tmp_path: Path) -> Iterator[LocalRun]:
    made = LocalRun(tmp_path / "run", slow())
    yield made
    made.end_all()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("made"))


def live(run: LocalRun) -> Any:
    return served(str(run.file), "--out", str(run.out), "--state", str(run.state), folder=run.folder)


def page_says(reader: Served, *words: str) -> Callable[[], bool]:
    return lambda: all(word in Page(reader.get("/live").text).text for word in words)


def test_a_run_is_seen_at_work_and_dead(run: LocalRun) -> None:
    with live(run) as reader:
        page = Page(reader.get("/live").text)
        assert "contains no run of test" in page.text  # the reader may be there first
        process = run.start()
        wait_until(lambda: run.at_work("mine"))
        assert reader.get("/").headers["location"] == "/live"
        wait_until(page_says(reader, "running", "of ", "records", "Busy", "Tokens written"), seconds=120)
        answer = reader.get("/live")
        assert answer.headers["content-security-policy"].endswith("; connect-src 'self'")
        assert "connect-src" not in reader.get("/close").headers["content-security-policy"]
        assert "/live" in Page(reader.get("/close").text).links()
        process.kill()
        process.wait()
        wait_until(page_says(reader, "interrupted", "No process is working on this run"), seconds=120)
        page = Page(reader.get("/live").text)
        assert ("main", {}) in page.elements  # it does not look again
        assert "Busy" not in page.text


def test_a_run_that_is_read_from_its_folder_has_no_live_page(made: Run) -> None:
    with served(str(made.store), folder=made.world.root) as reader:
        assert reader.get("/live").status == 404
        assert "/live" not in Page(reader.get("/close").text).links()


STATUS = {
    "tournament": "test",
    "activity": "Running",
    "phase": "Judging",
    "progress": "61%",
    "records": "812/4000",
    "eta": "2027-01-15T08:20:00Z",
    "stages": [
        {
            "name": "Judging",
            "state": "Running",
            "shards": {"total": 8, "succeeded": 1},
            "records": {"done": 812, "total": 4000},
            "recordsPerSecond": "35.2",
            "void": 3,
            "voids": [{"reason": "Truncated", "records": 3}],
        }
    ],
    "models": [{"name": "ada", "state": "Ready", "activity": "Busy", "asking": 32, "queued": 3156, "loads": 2}],
    "usage": {
        "promptTokens": 1000,
        "completionTokensPerSecond": "1210",
        "modelSeconds": 7260,
        "gpuSeconds": 5400,
        "cost": "3.75",
        "currency": "EUR",
    },
    "conditions": [{"type": "Waiting", "status": "True", "message": HOSTILE}],
    "notes": [HOSTILE],
    "somethingNew": {"of": "a later release"},
}


def test_the_words_of_a_status() -> None:
    words = words_of(Status.model_validate(STATUS), 1_800_000_000.0)
    assert words["pace"][:2] == ["812 of 4,000 records", "1,210 tokens/s written"]
    assert words["pace"][2].endswith("(in 20 min)")
    (stage,) = words["stages"]
    assert (stage["rate"], stage["left"], stage["voids"]) == ("35.2/s", "about 2 min", "Truncated 3")
    assert words["models"][0]["doing"] == "Busy"
    costs = dict(words["costs"])
    assert (costs["Time at models"], costs["GPU-hours"], costs["Cost"]) == ("2 h 1 min", "1.50", "3.75 EUR")


def test_no_time_is_promised_where_there_is_no_rate() -> None:
    stage = {"name": "Judging", "state": "Running", "records": {"done": 8, "total": 40}}
    words = words_of(Status.model_validate({"tournament": "t", "activity": "Running", "stages": [stage]}), 0.0)
    assert (words["pace"], words["stages"][0]["rate"], words["stages"][0]["left"]) == ([], "", "")


def says(*lines: str, then: str = "") -> list[str]:
    program = f"import sys, time; [print(line, flush=True) for line in {lines!r}]; {then}"
    return [sys.executable, "-c", program]


async def test_what_a_status_says_is_text(made: Run) -> None:
    session = Session(made.world.store, ReadTask(action="View", store=StoreRef(uri="file:///"), run="0123456789ab"))
    reader = Live(says(json.dumps(STATUS)))
    status, missing = await reader.look()
    await reader.close()
    assert status is not None
    assert missing == ""
    words = {"missing": "", "refresh": 2} | words_of(status, 0.0)
    html = Reader(session, live=reader)._pages().pages.live(words)
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "alert(1)" in Page(html).text


async def test_a_command_that_fails_is_asked_again_after_a_while(tmp_path: Path) -> None:
    now, file = 0.0, tmp_path / "status"
    program = f"import sys; sys.stdout.write(open({str(file)!r}).read())"
    reader = Live([sys.executable, "-c", program], lambda: now)
    assert "No such file" in (await reader.look())[1]
    file.write_text(json.dumps(STATUS) + "\n")
    await reader.close()
    assert (await reader.look())[0] is None  # not at each look
    now += 5.0
    status, _ = await reader.look()
    assert status is not None
    assert status.phase == "Judging"
    await reader.close()


async def test_a_line_that_is_no_status_is_passed_over() -> None:
    reader = Live(says("no JSON", '{"kind": "Status"}', json.dumps(STATUS)))
    status, _ = await reader.look()
    await reader.close()
    assert status is not None


async def test_a_line_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiltyard_jobs.reader.live._LINE", 4096)
    lines = json.dumps(STATUS), "x" * 20_000, json.dumps(STATUS | {"phase": "Rating"})
    reader = Live(says(*lines, then="time.sleep(600)"))

    async def is_rating() -> bool:
        status, _ = await reader.look()
        return status is not None and status.phase == "Rating"

    await until(is_rating)
    await reader.close()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10])
async def test_a_process_that_is_being_started_is_ended(turns: int, tmp_path: Path) -> None:
    reader = Live([*says(then="time.sleep(600)"), str(tmp_path)])
    looking = asyncio.create_task(reader.look())
    for _ in range(turns):
        await asyncio.sleep(0)
    await reader.close()
    looking.cancel()
    assert commands_with(str(tmp_path)) == []


@pytest.mark.parametrize("then", ["time.sleep(600)", "[print('x' * 65536) for _ in iter(int, 1)]"])
async def test_a_process_that_has_said_something_is_ended(then: str, tmp_path: Path) -> None:
    reader = Live([*says(json.dumps(STATUS), then=then), str(tmp_path)])
    status, _ = await reader.look()
    assert status is not None
    assert len(commands_with(str(tmp_path))) == 1
    await reader.close()
    assert commands_with(str(tmp_path)) == []


async def test_a_process_whose_end_is_waited_for_is_gone_when_the_page_is(tmp_path: Path) -> None:
    # It has said all that it says, and takes a moment to end.
    lasts = "import signal, os; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.close(1); os.close(2); time.sleep(1)"
    reader = Live([*says(json.dumps(STATUS), then=lasts), str(tmp_path)])
    await reader.look()
    await until(lambda: asyncio.sleep(0, reader._ending is not None))
    await reader.close()
    assert commands_with(str(tmp_path)) == []


def commands_with(word: str) -> list[bytes]:
    """The command lines of this machine's processes that have a word in them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes())
    return [line for line in found if word.encode() in line]


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no browser")
async def test_the_page_looks_again_by_itself_in_a_browser(run: LocalRun) -> None:
    process = run.start()
    wait_until(lambda: run.at_work("mine"))
    with live(run) as reader:
        origin = f"http://127.0.0.1:{reader.port}/"
        async with browser() as tab:
            await tab.enter(reader.address)
            await tab.until("location.pathname === '/live' && document.querySelector('#stages') !== null")
            await tab.value("window.marked = true")
            pace = await tab.value("document.querySelector('.number').textContent")
            await tab.until(f"document.querySelector('.number').textContent !== {pace!r}")
            process.send_signal(signal.SIGINT)
            await tab.until("document.querySelector('main').textContent.includes('No process is working')")
            assert await tab.value("window.marked"), "the page was loaded anew"
            assert await tab.value("document.querySelector('main').dataset.refresh") == ""
            assert tab.faults == []
            assert [one for one in tab.requests if not one.startswith((origin, "data:"))] == []
            await tab.press("l")
            await tab.until("document.querySelector('h1').textContent === 'Live'")
