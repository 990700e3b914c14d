"""Foreign software in a process of its own: what it sees of the worker's environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tiltyard_jobs.contracts.stores import STORES
from tiltyard_jobs.engine import Engine, run_engine

ENGINE = Engine("the program", "run", "nothing", "--python", "use less")
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
