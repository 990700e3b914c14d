"""The quick start as the README shows it, the notebook of the same tournament, and the commands of the documents.

The planted faults are told of these judges, and nothing of any other. The commands are those of a reader who has played
the quick start and has its files under the names that the documents use.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import yaml

from integration.local.conftest import MakeRun
from support.documented_commands import COMMANDS
from support.documents import ROOT
from support.local_runs import Finished, LocalRun
from support.manifests import manifest
from support.read_runs import served
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import Cost, estimate
from unit.docs.test_sizing_document import bytes_at_most

pytestmark = [pytest.mark.timeout(1100), pytest.mark.xdist_group("quick start")]

PLANTED = {("charles", "firstPosition"), ("dorothy", "length")}
FAULTS = ("firstPosition", "scale", "length", "family")


REASONS: Mapping[str, str] = {
    r"s3://": "a bucket of the reader's; tests/integration/store has servers of S3",
    r"-n research quickstart": "a Tournament on a cluster; tests/integration/cluster/test_python.py",
    r"^operator ": "a cluster; tests/e2e installs the chart, which runs it",
    r"--push-to-hub": "publishes a dataset; tests/interop/test_hub.py",
    r"--vllm-python": "GPUs, and gigabytes of weights; tests/e2e and tests/real run vLLM",
    r"--programs-python": "libraries of a benchmark; tests/integration/sandbox",
    r"(plan|run) examples/endpoints.yaml": "the reader's own servers; tests/integration/local/test_servers.py",
    r"^init$": "asks a person; tests/integration/local/test_command_line.py",
}
"""Why no test runs a call of `tiltyard`, by what stands in it."""


class Played(NamedTuple):
    """The quick start, to its end."""

    run: LocalRun
    finished: Finished
    size: int  # of its store, before commands of the documents write into it

    @property
    def store(self) -> Path:
        assert isinstance(self.run.out, Path)
        return self.run.out

    @property
    def folder(self) -> Path:
        (folder,) = self.store.glob("runs/*")
        return folder


@pytest.fixture(scope="module")
def played(make_shared_run: MakeRun) -> Played:
    run = make_shared_run("run", yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text()))
    finished = run.complete(timeout=800)
    assert isinstance(run.out, Path)
    return Played(run, finished, sum(file.stat().st_size for file in run.out.rglob("*") if file.is_file()))


def test_only_the_planted_faults_are_marked_and_the_readme_shows_them(played: Played) -> None:
    board: dict[str, Any] = json.loads((played.folder / "leaderboard.json").read_text())
    marked = {
        (judge["name"], fault) for judge in board["judges"] for fault in FAULTS if (judge[fault] or {}).get("marked")
    }
    assert marked == PLANTED
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r"^ +\d  +\w+ +\d+ +\d+ … \d+ .*\S", readme, re.MULTILINE)
    assert [" ".join(row.split()) for row in shown] == [
        " ".join(row.split()) for row in played.finished.out.splitlines() if re.match(r" \d +\w", row)
    ]
    sentences = re.findall(r"^    ((?:Instructions: |judge |without the ).*)…$", readme, re.MULTILINE)
    assert len(sentences) == 2 + len(PLANTED)
    for sentence in sentences:
        assert sentence.strip() in played.finished.out


def test_its_store_is_no_larger_than_sizing_says(played: Played) -> None:
    graph = build_graph(load_tournament(ROOT / "examples/quickstart.yaml"))
    assert played.size < bytes_at_most(sum(estimate(graph, {}).values(), Cost()))


def test_the_notebook_reads_the_same_run(played: Played, tmp_path: Path) -> None:
    the_notebook_runs(played.store, played.folder.name, tmp_path)


@pytest.fixture
def place(played: Played, tmp_path: Path) -> Path:
    """A folder of a reader's: the examples, the quick start as a manifest and as results, labels, an empty folder."""
    for name in ("demo", "results"):
        (tmp_path / name).symlink_to(played.store)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / ".tiltyard").mkdir()
    (tmp_path / ".tiltyard/quickstart").symlink_to(played.run.state)
    for name in ("tournament.yaml", "first.yaml", "second.yaml"):
        shutil.copy(ROOT / "examples/quickstart.yaml", tmp_path / name)
    rows = pq.read_table(played.folder / "tables/battles.parquet").slice(0, 40).to_pylist()
    labels = [
        {name: row[name] for name in ("instruction_id", "model_a", "model_b")}
        | {"winner": "model_a" if row["score"] > 0.5 else "model_b", "part": "sample"}
        for row in rows
        if row["score"] is not None
    ]
    (tmp_path / "labels.jsonl").write_text("".join(f"{json.dumps(label)}\n" for label in labels))
    lines = [",".join(labels[0]), *(",".join(label.values()) for label in labels)]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def reason(call: list[str]) -> str | None:
    """Why a call of `tiltyard` is not run."""
    text = " ".join(call[1:])
    return next((why for pattern, why in REASONS.items() if re.search(pattern, text)), None)


CALLS = {
    name: [call for call in all_ if call[0].endswith("tiltyard") and not reason(call)]
    for name, all_ in COMMANDS.items()
    if name != "rejudge.md"
}


def test_each_reason_is_about_a_call() -> None:
    texts = [" ".join(call[1:]) for all_ in COMMANDS.values() for call in all_ if call[0].endswith("tiltyard")]
    assert [pattern for pattern in REASONS if not any(re.search(pattern, text) for text in texts)] == []


@pytest.mark.parametrize("document", [name for name, found in CALLS.items() if found])
def test_commands_of_a_document_run_in_order(document: str, place: Path, played: Played) -> None:
    some_id = pq.read_table(played.folder / "tables/instructions.parquet").column("instruction_id")[0].as_py()
    words = {"FILE": "tournament.yaml", "OTHER": "second.yaml", "DIR": "results", "out": "results"}
    words |= {"FOLDER": "shared", "3f2a": some_id}
    for call in CALLS[document]:
        command, *rest = [
            re.sub(r"^(out|results)/runs/\w+$", f"results/runs/{played.folder.name}", words.get(word, word))
            for word in call[1:]
        ]
        if command == "view":
            with served(*rest, folder=place) as reader:
                assert reader.get("/all").status == 200
        else:
            run(command, *rest, place=place)


def run(command: str, *rest: str, place: Path) -> str:
    """Run a command as a reader does, and return what it prints."""
    if command == "init":
        file, *options = rest
        rest = ("new.yaml" if (place / file).exists() else file, *(options or ("--template", "simulated")))
    if command == "render":
        rest = tuple("examples/cluster.yaml" if word == "tournament.yaml" else word for word in rest)
    given = ROOT / ("charts/tiltyard/values.yaml" if "-f" in rest else "examples/cluster.yaml")
    line = [sys.executable, "-m", "tiltyard", command]
    line += [str(file.name) for word in rest for file in place.glob(word)] if "*.yaml" in rest else rest
    ran = subprocess.run(
        line, cwd=place, input=given.read_text(), capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, (line, ran.stdout, ran.stderr)
    return ran.stdout


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


def test_another_jury_as_its_page_has_it(tmp_path: Path) -> None:
    """docs/rejudge.md: the plan is the one that it shows, the comparison has its lines."""
    page = (ROOT / "docs/rejudge.md").read_text(encoding="utf-8")
    document = manifest(["ada", "bob", "cyd", "dot"], per_competitor=100, jobs={"shardSize": 512})
    document["spec"]["curation"] = {"decontaminate": [], "diversity": {"perCompetitor": 24}}
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(document))
    (fragment,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    document["spec"] |= yaml.safe_load(fragment)
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(document))
    printed = {tuple(call[1:]): run(*call[1:], place=tmp_path) for call in COMMANDS["rejudge.md"] if not reason(call)}
    plan, comparison = (
        [line.split() for line in text.splitlines()]
        for command in ("plan", "compare")
        for call, text in printed.items()
        if call[0] == command and "--html" not in call
    )
    shown = [line.split() for line in re.findall(r"^    (.*\S)$", page, re.MULTILINE)]
    starts, ends = ([line[0] for line in shown].index(word) for word in ("PHASE", "Model"))
    assert [line for line in shown[starts : ends + 1] if line not in plan] == []
    first_words = [line[:2] for line in shown if line[0] in ("players", "same", "Kendall's", "Spearman's")]
    assert len(first_words) == 5
    assert [words for words in first_words if words not in [line[:2] for line in comparison]] == []
