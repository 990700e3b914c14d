"""Training: the loss by step, and the scores before and after beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.evaluation.benchmarks import find_benchmark
from tiltyard_jobs.report.benchmarks import title_of
from tiltyard_jobs.report.formats import count, decimal, percent, visible
from tiltyard_jobs.results.documents import CurvePoint, Gain

POINTS = 200  # of one curve that are drawn, at most

TITLES = {"sft": "Supervised fine-tuning", "dpo": "Preference optimisation (DPO)"}


class Curve(NamedTuple):
    """One stage's loss.

    Attributes:
        points: of an SVG polyline in a box of 100 by 100.
        words: what it shows, for those who do not see it.
    """

    title: str
    points: str
    first: str
    last: str
    steps: str
    words: str


class GainRow(NamedTuple):
    """A benchmark before and after, as text."""

    benchmark: str
    tasks: str
    before: str
    after: str
    difference: str
    interval: str
    paper: str


def curves(points: Sequence[CurvePoint]) -> tuple[Curve, ...]:
    """A curve for each stage, in order."""
    return tuple(
        _curve(stage, [point for point in points if point.stage == stage])
        for stage in dict.fromkeys(point.stage for point in points)
    )


def _curve(stage: str, points: Sequence[CurvePoint]) -> Curve:
    every = -(-len(points) // POINTS)
    shown = [*points[:-1:every], points[-1]]
    low, high = min(point.loss for point in shown), max(point.loss for point in shown)
    span, begin, end = (high - low) or 1.0, points[0].step, points[-1].step
    places = (
        (100 * (point.step - begin) / max(1, end - begin), 96 - 92 * (point.loss - low) / span) for point in shown
    )
    first, last = decimal(points[0].loss, 3), decimal(points[-1].loss, 3)
    title = TITLES.get(stage, visible(stage))
    return Curve(
        title=title,
        points=" ".join(f"{x:.2f},{y:.2f}" for x, y in places),
        first=first,
        last=last,
        steps=count(end),
        words=f"{title}: loss {first} at the first step, {last} at step {count(end)}",
    )


def gain_rows(gains: Sequence[Gain]) -> tuple[GainRow, ...]:
    """A row for each benchmark."""
    return tuple(
        GainRow(
            benchmark=title_of(one.benchmark),
            tasks=count(one.tasks),
            before=percent(one.before, 1),
            after=percent(one.after, 1),
            difference=decimal(100 * one.difference, 1, plus=True),
            interval=f"{decimal(100 * one.low, 1, plus=True)} to {decimal(100 * one.high, 1, plus=True)}",
            paper=_paper(one.benchmark),
        )
        for one in gains
    )


def _paper(name: str) -> str:
    """The paper's score on a benchmark."""
    ours = find_benchmark(name)
    return percent(ours.paper if ours is not None else None, 1)
