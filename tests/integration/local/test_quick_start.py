"""The quick start as the README shows it, and the notebook of the same tournament.

The planted faults are told of these judges, and nothing of any other.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.local.conftest import MakeRun
from support.documents import ROOT

PLANTED = {("charles", "firstPosition"), ("dorothy", "length")}
FAULTS = ("firstPosition", "scale", "length", "family")


@pytest.mark.timeout(1100)
def test_only_the_planted_faults_are_marked_and_the_notebook_reads_the_same_run(
    make_run: MakeRun, tmp_path: Path
) -> None:
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
    sentences = re.findall(r"^    ((?:Instructions: |judge ).*)…$", readme, re.MULTILINE)
    assert len(sentences) == 1 + len(PLANTED)
    for sentence in sentences:
        assert sentence.strip() in finished.out
    the_notebook_runs(Path(run.out), file.parent.name, tmp_path)


def the_notebook_runs(finished: Path, run: str, place: Path) -> None:
    """Where its tournament has been run already, so that it reads the results and makes none."""
    shutil.copytree(ROOT / "examples", place / "examples")
    shutil.copytree(finished, place / "out" / "notebook")
    notebook = json.loads((place / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in notebook["cells"])  # outputs are not kept
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(cells)],
        cwd=place / "examples",
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert f"run {run}: at most 0 calls" in ran.stdout
    assert re.search(r"^1\. ada ", ran.stdout, re.MULTILINE)
