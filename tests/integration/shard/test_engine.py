"""Foreign software in a process of its own: what it sees of the worker's environment."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from tiltyard_jobs.contracts.stores import STORES
from tiltyard_jobs.engine import Engine, run_engine
from tiltyard_jobs.errors import ConfigurationError, TransientError

ENGINE = Engine("the program", "run", "nothing", "--python", "trainer", "use less")
WRITE_NAMES = "import json, os, sys\nwith open(sys.argv[1], 'w') as out:\n    json.dump(sorted(os.environ), out)\n"


async def test_it_sees_no_credentials_of_a_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    credentials = {name for facts in STORES.values() for name in facts.credentials}
    assert credentials
    for name in (*credentials, "TILTYARD_SECRET_A_KEY", "HARMLESS", "HF_TOKEN"):
        monkeypatch.setenv(name, "value")
    program, out = tmp_path / "program.py", tmp_path / "names.json"
    program.write_text(WRITE_NAMES)
    await run_engine(ENGINE, sys.executable, [str(program), str(out)], tmp_path / "log")
    names = set(json.loads(out.read_text()))
    assert names.isdisjoint({*credentials, "TILTYARD_SECRET_A_KEY"})
    assert {"HARMLESS", "HF_TOKEN"} <= names


async def test_a_message_does_not_repeat_a_token_that_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    fails = "import os, sys; sys.exit(f'no access with {os.environ[\"HF_TOKEN\"]}')"
    with pytest.raises(TransientError) as caught:
        await run_engine(ENGINE, sys.executable, ["-c", fails], tmp_path / "log")
    assert "its last output is 'no access with (not shown)'" in str(caught.value)


async def test_its_output_is_echoed_once_while_it_runs(tmp_path: Path) -> None:
    program, log, more = tmp_path / "program.py", tmp_path / "log", tmp_path / "more"
    log.write_text("of an earlier program\n")
    program.write_text(
        "import os, sys, time\nprint('one', flush=True)\nwhile not os.path.exists(sys.argv[1]):\n    time.sleep(0.05)\n"
        "print('two')\n"
    )
    echo = io.BytesIO()

    def each() -> None:
        if b"one" in echo.getvalue():
            more.touch()

    await asyncio.wait_for(run_engine(ENGINE, sys.executable, [str(program), str(more)], log, each=each, echo=echo), 60)
    assert echo.getvalue() == b"one\ntwo\n"
    assert log.read_text() == "of an earlier program\none\ntwo\n"


async def test_in_a_pod_the_image_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def words(python: str, *arguments: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            await run_engine(ENGINE, python, arguments, tmp_path / "log")
        return str(caught.value)

    absent = ("-c", "import nothing_of_this_name")
    assert (await words(sys.executable, *absent)).endswith("give an interpreter that has nothing with --python")
    monkeypatch.setenv("TILTYARD_IMAGE", "registry.example/worker:1")
    advice = (
        "the image registry.example/worker:1 must have nothing: name one that has it in the chart's trainer.image, and"
        " its interpreter in trainer.python"
    )
    assert (await words(sys.executable, *absent)).endswith(advice)
    assert await words("/nowhere") == f"the program cannot be started: /nowhere: No such file or directory; {advice}"
