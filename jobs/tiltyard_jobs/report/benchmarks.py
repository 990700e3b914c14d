"""Benchmarks: a row for each model and benchmark, with its interval drawn on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.evaluation.benchmarks import find_benchmark
from tiltyard_jobs.report.charts import Axis, Tick, Whisker
from tiltyard_jobs.report.formats import DASH, count, percent, visible
from tiltyard_jobs.results.documents import BenchmarkScore
from tiltyard_jobs.sandbox.host import ProgramResult

PROGRAM_OUTCOMES = frozenset(get_args(ProgramResult))
AXIS = Axis(0.0, 1.0, tuple(Tick(float(place), f"{place}") for place in range(0, 101, 25)))


class BenchmarkRow(NamedTuple):
    """A model's score on one benchmark, as text."""

    model: str
    score: str
    interval: str
    mark: Whisker | None
    passed: str
    failed: str
    timed_out: str
    unanswered: str
    void: str


class BenchmarkTable(NamedTuple):
    """One benchmark, its models in the manifest's order.

    Attributes:
        metric: the harness's; empty where programs ran.
        unsolvable: there are tasks that cannot be solved where programs ran.
    """

    name: str
    tasks: str
    metric: str
    unsolvable: bool
    rows: tuple[BenchmarkRow, ...]


def benchmark_tables(scores: Sequence[BenchmarkScore]) -> tuple[BenchmarkTable, ...]:
    """A table for each benchmark, in the order of the scores."""
    tables = []
    for name in dict.fromkeys(one.benchmark for one in scores):
        these = [one for one in scores if one.benchmark == name]
        tasks = count(max(one.tasks + sum(one.voids.values()) for one in these))
        rows = tuple(_row(one) for one in these)
        unsolvable = any(VoidReason.UNSOLVABLE in one.voids for one in these)
        tables.append(BenchmarkTable(title_of(name), tasks, _metric(these), unsolvable, rows))
    return tuple(tables)


def title_of(name: str) -> str:
    """How people name a benchmark."""
    ours = find_benchmark(name)
    return ours.title if ours is not None else visible(name)


def _metric(these: Sequence[BenchmarkScore]) -> str:
    measured = {outcome for one in these for outcome in one.outcomes} - PROGRAM_OUTCOMES
    return visible(", ".join(sorted(measured)).replace(",", ", "))


def _row(one: BenchmarkScore) -> BenchmarkRow:
    known = one.low is not None and one.high is not None
    outcomes = one.outcomes
    return BenchmarkRow(
        model=visible(one.model),
        score=percent(one.score, 1),
        interval=f"{percent(one.low, 1)} to {percent(one.high, 1)}" if known else DASH,
        mark=Whisker.on(AXIS, one.score, one.low, one.high),
        passed=count(outcomes.get("Passed", 0)),
        failed=count(outcomes.get("Failed", 0) + outcomes.get("Crashed", 0)),
        timed_out=count(outcomes.get("TimedOut", 0)),
        unanswered=_by_reason(one.unanswered),
        void=_by_reason(one.voids),
    )


def _by_reason(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count(number)} {visible(reason)}" for reason, number in sorted(counts.items())) or "0"
