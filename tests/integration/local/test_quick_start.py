"""The quick start as the README shows it: the planted faults are told of these judges, and nothing of any other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.local.conftest import MakeRun
from support.documents import ROOT

PLANTED = {("charles", "firstPosition"), ("dorothy", "length")}
FAULTS = ("firstPosition", "scale", "length", "family")


@pytest.mark.timeout(900)
def test_only_the_planted_faults_are_marked(make_run: MakeRun) -> None:
    run = make_run("run", yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text()))
    finished = run.complete(timeout=800)
    assert run.out is not None
    (file,) = Path(run.out).glob("runs/*/leaderboard.json")
    board: dict[str, Any] = json.loads(file.read_text())
    marked = {
        (judge["name"], fault) for judge in board["judges"] for fault in FAULTS if (judge[fault] or {}).get("marked")
    }
    assert marked == PLANTED
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r"^ +\d  +\w+ +\d+ +\d+ … \d+ .*\S", readme, re.MULTILINE)
    assert [" ".join(row.split()) for row in shown] == [
        " ".join(row.split()) for row in finished.out.splitlines() if re.match(r" \d +\w", row)
    ]
