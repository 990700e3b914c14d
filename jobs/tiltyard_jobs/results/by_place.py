"""Judges whose votes went by the place of an answer: a sentence for each, for the end of a run."""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard_jobs.results.documents import JudgeReportCard

BY_PLACE = 0.75
"""A judge goes by place where it gave one place this share of its votes or more; without a bias it is a half."""
FEWEST_VERDICTS = 16  # of which a share is told
FEWEST_ALIKE = 8  # if all of them went to one place: by chance that happens once in 128 times


def by_place(judges: Iterable[JudgeReportCard]) -> tuple[str, ...]:
    """The sentences, in the order of the judges. Those whose card marks it are told by `marked_judges`."""
    found = []
    for judge in judges:
        if judge.first_position is None or judge.first_position.marked:
            continue
        first = judge.first_position.value
        most = max(first, 1 - first)
        if most < BY_PLACE or judge.verdicts < (FEWEST_VERDICTS if most < 1 else FEWEST_ALIKE):
            continue
        place, share = ("first", first) if first > 0.5 else ("second", 1 - first)
        found.append(
            f"judge {judge.name} goes by place: it gave {share:.2f} of its {judge.verdicts} votes to the answer shown"
            f" {place}"
        )
    return tuple(found)
