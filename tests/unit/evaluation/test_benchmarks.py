"""What the families of benchmarks declare."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.evaluation import benchmarks
from tiltyard_jobs.evaluation.benchmarks import benchmark, find_benchmark


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
    assert known.texts
    assert known.paper is None or 0 < known.paper < 1


def test_a_harness_s_task_is_none_of_ours() -> None:
    assert find_benchmark("gsm8k") is None
