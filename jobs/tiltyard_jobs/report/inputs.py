"""All that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.report.words import Excerpt
from tiltyard_jobs.results.documents import BenchmarkScore, CurvePoint, DataSummary, Gain, ManifestFile, Standings


class Sample(NamedTuple):
    """One instruction with its gold answer.

    Attributes:
        attacker: who mined it.
        winner: whose answer is gold.
        margin: of the gold answer's final score to the second; None where there was no second.
        difficulty: from 1 to 10; None where nothing was graded.
    """

    instruction_id: str
    attacker: str
    winner: str
    margin: float | None
    difficulty: int | None
    task_type: str | None
    instruction: Excerpt
    answer: Excerpt


class StageCount(NamedTuple):
    """What one stage left: its artifacts, their parts, and rows."""

    stage: str
    artifacts: int
    parts: int
    rows: int


class ReportInput(NamedTuple):
    """What the page is made of. Only `ledger` may differ between two runs of the same artifacts.

    Attributes:
        benchmarks: scores of models, in the manifest's order.
        gains: what training gave.
        curve: of the training; empty: there was none.
        kept_scores: curated instructions by difficulty.
        stages: in the order in which they ran.
        files: of the run's folder, but for the report and the manifest.
        versions: of packages.
    """

    tournament: str
    run: str
    standings: Standings
    data: DataSummary
    benchmarks: tuple[BenchmarkScore, ...]
    gains: tuple[Gain, ...]
    curve: tuple[CurvePoint, ...]
    kept_scores: Mapping[int, int]
    stages: tuple[StageCount, ...]
    samples: tuple[Sample, ...]
    files: tuple[ManifestFile, ...]
    versions: Mapping[str, str]
    ledger: tuple[LedgerRow, ...]
