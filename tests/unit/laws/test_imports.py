"""What the import contracts and ruff refuse, tried on a copy of the tree with forbidden lines planted in it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]

IMPURE = ("aiohttp", "asyncio", "os", "random", "secrets", "socket", "subprocess", "tempfile", "threading", "time")
"""Some packages that no list of ours names: the contract must refuse them because it does not allow them."""


def pure_modules() -> list[str]:
    """The packages and modules that the purity contract names."""
    (contract,) = (each for each in PROJECT["importlinter"]["contracts"] if each["name"].startswith("The plan is pure"))
    modules: list[str] = contract["source_modules"]
    return modules


def path_of(module: str, root: Path = ROOT) -> Path:
    """The folder or the file of one of our modules."""
    source = root / {"tiltyard": "operator", "tiltyard_jobs": "jobs"}[module.partition(".")[0]]
    folder = source.joinpath(*module.split("."))
    return folder if folder.is_dir() else folder.with_suffix(".py")


def worker_modules() -> list[str]:
    """Every module of the worker but its contracts, packages included."""
    files = (path.relative_to(ROOT / "jobs").with_suffix("") for path in (ROOT / "jobs/tiltyard_jobs").rglob("*.py"))
    names = (".".join(file.parts).removesuffix(".__init__") for file in files)
    return sorted(name for name in names if not name.startswith("tiltyard_jobs.contracts"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the linters read."""
    for folder in ("operator", "jobs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path, *command: str) -> str:
    """Run one of the linters in a copy of the tree; it must find something."""
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'operator'}:{tree / 'jobs'}", "COLUMNS": "200"}
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def plant(place: Path, *lines: str) -> str:
    """Add lines to a module, or a module of them to a package; returns what the linters call it."""
    if place.is_dir():
        place /= "planted.py"
    before = place.read_text() if place.exists() else ""
    place.write_text("\n".join([before, *lines, ""]))
    return place.stem


def test_the_operator_may_import_no_module_of_the_worker_but_its_contracts(tree: Path) -> None:
    # `tiltyard_jobs` itself holds nothing but the others.
    forbidden = [name for name in worker_modules() if name != "tiltyard_jobs"]
    plant(tree / "operator/tiltyard/cluster", *(f"import {name}" for name in forbidden))
    plant(tree / "operator/tiltyard/cli", "from tiltyard_jobs import brought_later")
    (tree / "jobs/tiltyard_jobs/brought_later.py").touch()
    plant(tree / "operator/tiltyard/local", "from tiltyard_jobs.contracts import tasks")
    found = lint(tree, "lint-imports", "--no-cache")
    refused = {line.split(" -> ")[1].split(" (")[0] for line in found.splitlines() if "planted -> " in line}
    assert {*forbidden, "tiltyard_jobs.brought_later"} <= refused
    assert "tiltyard_jobs.contracts.tasks" not in refused


def test_the_contracts_may_import_nothing_else_of_the_worker(tree: Path) -> None:
    plant(tree / "jobs/tiltyard_jobs/contracts", "import tiltyard_jobs.errors")
    assert "tiltyard_jobs.contracts.planted -> tiltyard_jobs.errors" in lint(tree, "lint-imports", "--no-cache")


def test_what_is_computed_may_import_of_the_worker_its_contracts_and_errors(tree: Path) -> None:
    (tree / "jobs/tiltyard_jobs/brought_later.py").touch()
    lines = [f"import tiltyard_jobs.{name}" for name in ("store", "curation", "brought_later", "errors")]
    plant(tree / "jobs/tiltyard_jobs/rating", *lines)
    found = lint(tree, "lint-imports", "--no-cache")
    refused = [line for line in lines if f"rating.planted -> {line.removeprefix('import ')} " in found]
    assert refused == lines[:-1]


def test_what_is_pure_may_import_what_only_computes(tree: Path) -> None:
    for module in pure_modules():
        plant(path_of(module, tree), *(f"import {name}" for name in IMPURE))
    found = lint(tree, "lint-imports", "--no-cache")
    for module in pure_modules():
        importer = f"{module}.planted" if path_of(module).is_dir() else module
        missed = [name for name in IMPURE if f"{importer} -> {name} " not in found]
        assert not missed, f"{module} may import {missed}"


def test_what_is_pure_takes_the_time_as_an_argument(tree: Path) -> None:
    lines = ("import datetime", "import urllib.request", "NOW = datetime.datetime.now()", "DAY = datetime.date.today()")
    planted = {module: plant(path_of(module, tree), *lines) for module in pure_modules()}
    found = lint(tree, "ruff", "check", "--no-cache", "--select", "TID251", "--output-format", "concise")
    for module, name in planted.items():
        folder = path_of(module, tree)
        path = (folder / name).with_suffix(".py") if folder.is_dir() else folder
        hits = [line for line in found.splitlines() if line.startswith(f"{path.relative_to(tree)}:")]
        assert len(hits) == 3, f"{module}: {hits}"


def test_what_is_pure_opens_and_prints_nothing() -> None:
    writes_the_crd = path_of("tiltyard.api.crd")
    places = (path_of(module) for module in pure_modules())
    files = [path for place in places for path in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    assert [use for path in files if path != writes_the_crd for use in input_and_output(path)] == []


def test_no_process_imports_scipys_distributions() -> None:
    # They take as long as the rest of NumPy and SciPy together; `scipy.special` has the same quantiles.
    files = [file for folder in ("operator", "jobs") for file in (ROOT / folder).rglob("*.py")]
    assert files
    assert [file for file in files if "scipy.stats" in file.read_text()] == []


def input_and_output(path: Path) -> Iterator[str]:
    names = {"open", "print", "input", "breakpoint", "eval", "exec", "__import__"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and node.id in names:
            yield f"{path}:{node.lineno}: {node.id}"
