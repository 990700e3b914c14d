"""What labelled pairs say of the judges, in sentences for the end of a run, its status and its report."""

from __future__ import annotations

from tiltyard_jobs.contracts.calibration import FEW_LABELS, CalibratedJudge, Calibration, Ranged

CHANCE = 0.5


def calibration_notes(found: Calibration | None) -> tuple[str, ...]:
    """How often the jury is right, which judges are no better than chance, and which add nothing."""
    if found is None:
        return ()
    if found.labels < FEW_LABELS:
        return (f"{found.labels} labelled pairs are too few to judge the judges by: give at least {FEW_LABELS}",)
    jury = f"the jury prefers the better answer in {ranged(found.jury.right)} of {found.labels} labelled pairs"
    return (jury, *filter(None, map(_doubt, found.judges)))


def _doubt(judge: CalibratedJudge) -> str:
    right = judge.right
    if right.low is not None and right.low <= CHANCE:
        better = "worse" if right.high is not None and right.high < CHANCE else "not surely better"
        return f"{judge.name} is {better} than chance on the labelled pairs: {ranged(right)} of its votes are right"
    if judge.adds_nothing:
        return f"{judge.name} adds nothing that the labelled pairs show, for {judge.verdicts:,} verdicts"
    return ""


def ranged(one: Ranged) -> str:
    """A share with its interval, in hundredths."""
    if one.value is None:
        return "–"
    if one.low is None or one.high is None:
        return f"{100 * one.value:.0f}%"
    return f"{100 * one.value:.0f}% ({100 * one.low:.0f} to {100 * one.high:.0f})"
