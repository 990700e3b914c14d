"""Difficulty: a judge's score from 1 to 10 becomes a grade (WarriorCoder, section 3.2), several judges one score."""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard_jobs.contracts.vocabulary import Grade

LOWEST, HIGHEST = 1, 10

_LOWER_BOUNDS: tuple[tuple[int, Grade], ...] = ((9, "Excellent"), (6, "Good"), (3, "Average"), (LOWEST, "Poor"))


def grade_of(score: int) -> Grade:
    """The grade of a score.

    Args:
        score: A whole number from 1 to 10.

    Raises:
        ValueError: the score is out of range.
    """
    if LOWEST <= score <= HIGHEST:
        for bound, grade in _LOWER_BOUNDS:
            if score >= bound:
                return grade
    raise ValueError(f"a difficulty score lies between {LOWEST} and {HIGHEST}, not {score}")


def combined_score(scores: Iterable[int | None]) -> int | None:
    """One score from several judges: the lower median of those who answered.

    With an even number of judges the lower of the two middle scores counts, so that one generous judge of two lifts no
    instruction over the bar, and the result is a score that a judge gave.

    Args:
        scores: Scores from 1 to 10; None where a judge's reply was void.

    Returns:
        The score, or None where no judge answered.

    Raises:
        ValueError: a score is out of range.
    """
    given = sorted(score for score in scores if score is not None)
    for score in given:
        grade_of(score)
    return given[(len(given) - 1) // 2] if given else None
