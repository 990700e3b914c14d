"""A benchmark has one home: its family's module, and a line in the contracts."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.evaluation import benchmarks
from tiltyard_jobs.evaluation.benchmarks import benchmark, find_benchmark

ROOT = Path(__file__).parents[3]
REGISTRY = "jobs/tiltyard_jobs/contracts/benchmarks.py"
FAMILIES = "jobs/tiltyard_jobs/evaluation/benchmarks/"
DEFAULTS = {  # of fields of the manifest
    ("operator/tiltyard/api/evaluation.py", "humaneval_plus"),
    ("operator/tiltyard/api/evaluation.py", "mbpp_plus"),
    ("operator/tiltyard/api/curation.py", "humaneval"),
}


def test_what_the_families_declare_is_what_the_contracts_list() -> None:
    declared = {
        name: module.name
        for module in iter_modules(benchmarks.__path__)
        if module.name != "base"
        for name in import_module(f"{benchmarks.__name__}.{module.name}").BENCHMARKS
    }
    assert declared == {name: facts.family for name, facts in BENCHMARKS.items()}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_whole(name: str) -> None:
    known = benchmark(name)
    assert find_benchmark(name) == known
    assert known.title
    assert bool(known.texts) == BENCHMARKS[name].decontaminates
    assert known.paper is None or 0 < known.paper < 1


def test_a_harness_s_task_is_none_of_ours() -> None:
    assert find_benchmark("gsm8k") is None


def test_no_other_source_names_a_benchmark() -> None:
    named = {
        (str(path.relative_to(ROOT)), node.value)
        for folder in ("operator", "jobs")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in BENCHMARKS
    }
    homes = {(f"{FAMILIES}{facts.family}.py", name) for name, facts in BENCHMARKS.items()}
    assert named - {(REGISTRY, name) for name in BENCHMARKS} - homes == DEFAULTS
