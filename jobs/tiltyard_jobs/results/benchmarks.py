"""What the benchmarks say of each model, from the rows of its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import ScoredModel
from tiltyard_jobs.evaluation.intervals import mean, paired_difference
from tiltyard_jobs.results.documents import BenchmarkScore, Gain
from tiltyard_jobs.shard.artifacts import Artifacts


def read_scores(artifacts: Artifacts, scored: Sequence[ScoredModel]) -> tuple[BenchmarkScore, ...]:
    """The scores in the manifest's order.

    Raises:
        PermanentError: one is not made.
    """
    return tuple(_score(artifacts, one) for one in scored)


def read_gains(artifacts: Artifacts, scored: Sequence[ScoredModel], base: str, trained: str) -> tuple[Gain, ...]:
    """What training gave, a row for each benchmark that both models were asked.

    Args:
        artifacts: the store's.
        scored: all scores.
        base: the name of the base model among them.
        trained: the trained model's.

    Raises:
        PermanentError: a score is not made.
    """
    refs = {(one.model, one.benchmark): one.scores for one in scored}
    gains = []
    for benchmark in dict.fromkeys(one.benchmark for one in scored):
        if (base, benchmark) not in refs or (trained, benchmark) not in refs:
            continue
        before, after = (_values(artifacts, refs[name, benchmark]) for name in (base, trained))
        both = [task for task in before if task in after]
        if not both:
            continue
        was, now = [before[task] for task in both], [after[task] for task in both]
        difference = paired_difference(was, now)
        gains.append(
            Gain(
                benchmark=benchmark,
                tasks=len(both),
                before=sum(was) / len(both),
                after=sum(now) / len(both),
                difference=difference.value,
                low=difference.low,
                high=difference.high,
            )
        )
    return tuple(gains)


def _values(artifacts: Artifacts, scores: ArtifactRef) -> dict[str, float]:
    """What each task is worth; without those that have no reply."""
    rows = artifacts.rows(scores, columns=["task_id", "value"])
    return {row["task_id"]: row["value"] for row in rows if row["value"] is not None}


def _score(artifacts: Artifacts, scored: ScoredModel) -> BenchmarkScore:
    outcomes: Counter[str] = Counter()
    voids: Counter[str] = Counter()
    values: list[float] = []
    for row in artifacts.rows(scored.scores, columns=["value", "outcome", "void"]):
        if row["void"] is None:
            outcomes[row["outcome"]] += 1
            values.append(row["value"])
        else:
            voids[row["void"]] += 1
    estimate = mean(values) if values else None
    return BenchmarkScore(
        model=scored.model,
        benchmark=scored.benchmark,
        tasks=len(values),
        outcomes=dict(sorted(outcomes.items())),
        voids=dict(sorted(voids.items())),
        score=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
    )
