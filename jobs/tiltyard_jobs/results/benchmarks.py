"""What the benchmarks say of each model, from the rows of its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import BASE_MODEL, TRAINED_MODEL, ScoredModel
from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.evaluation.intervals import mean, paired_difference
from tiltyard_jobs.results.documents import BenchmarkScore, Gain
from tiltyard_jobs.results.shortfalls import fell_short
from tiltyard_jobs.shard.artifacts import Artifacts

_WHO = {BASE_MODEL: "the base model", TRAINED_MODEL: "the trained model"}


def read_scores(
    artifacts: Artifacts, scored: Sequence[ScoredModel], solutions: Mapping[str, ArtifactRef]
) -> tuple[BenchmarkScore, ...]:
    """The scores in the manifest's order.

    Args:
        artifacts: the store's.
        scored: all scores.
        solutions: the replies, by `solve/MODEL/BENCHMARK`.

    Raises:
        PermanentError: one is not made.
    """
    return tuple(_score(artifacts, one, solutions[f"solve/{one.model}/{one.benchmark}"]) for one in scored)


def silences(scores: Sequence[BenchmarkScore]) -> tuple[str, ...]:
    """A sentence for each model and benchmark where many replies are empty: the score alone does not show it."""
    return tuple(_silence(one) for one in scores if fell_short(one.replies, sum(one.unanswered.values())))


def _silence(one: BenchmarkScore) -> str:
    nothing = sum(one.unanswered.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(one.unanswered.items()))
    return (
        f"{_WHO.get(one.model, one.model)} answered nothing in {nothing} of {one.replies} tasks of {one.benchmark}"
        f" ({reasons})"
    )


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


def _unanswered(artifacts: Artifacts, solutions: ArtifactRef) -> tuple[int, Counter[str]]:
    """How many replies were written, and how many of them hold no answer, by reason: their score is 0."""
    replies, reasons = 0, Counter[str]()
    for row in artifacts.rows(solutions, columns=["reply", "detail"]):
        if row["reply"] is None:
            continue
        replies += 1
        if not row["reply"].strip():
            reasons[(row["detail"] or VoidReason.EMPTY).partition(":")[0]] += 1
    return replies, reasons


def _score(artifacts: Artifacts, scored: ScoredModel, solutions: ArtifactRef) -> BenchmarkScore:
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
    replies, unanswered = _unanswered(artifacts, solutions)
    return BenchmarkScore(
        model=scored.model,
        benchmark=scored.benchmark,
        tasks=len(values),
        outcomes=dict(sorted(outcomes.items())),
        voids=dict(sorted(voids.items())),
        replies=replies,
        unanswered=dict(sorted(unanswered.items())),
        score=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
    )
