"""The benchmarks of programming tasks, a module for each family: its records, what is asked, how a reply is checked.

A new one is such a module with `BENCHMARKS`, and a line in `tiltyard_jobs.contracts.benchmarks`.
"""

from __future__ import annotations

from importlib import import_module

from tiltyard_jobs.contracts import benchmarks
from tiltyard_jobs.evaluation.benchmarks.base import Benchmark


def benchmark(name: str) -> Benchmark:
    """The benchmark of a name that a manifest has for it.

    Raises:
        KeyError: there is none of this name.
    """
    family = import_module(f"{__name__}.{benchmarks.BENCHMARKS[name].family}")
    found: Benchmark = family.BENCHMARKS[name]
    return found


def find_benchmark(name: str) -> Benchmark | None:
    """The benchmark of a name; None where it is none of ours, as the tasks of lm-evaluation-harness are not."""
    return benchmark(name) if name in benchmarks.BENCHMARKS else None
