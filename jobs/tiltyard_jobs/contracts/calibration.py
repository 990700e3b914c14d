"""What labels say of a run's judges: the answer of `tiltyard calibrate`."""

from __future__ import annotations

from tiltyard_jobs.contracts.frozen import Contract

FEW_LABELS = 30
"""With fewer, intervals are too narrow, and no judge is said to add nothing."""


class Ranged(Contract):
    """A number with its 95% interval; None: it is not told."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def possible(self) -> bool:
        """Not all of a share's interval was below 0 or above 1, which leaves no width of it."""
        return self.low is None or self.low != self.high


class CalibratedRate(Contract):
    """A player's win rate by one judge or the jury.

    Attributes:
        plain: its mean share of the votes.
        corrected: by the votes' distance from the labels in its own battles.
        by_rates: by sensitivity and specificity alone (arXiv 2511.21140), which takes a judge to err as often
            everywhere.
    """

    player: str
    plain: float | None = None
    corrected: Ranged
    by_rates: Ranged


class CalibratedJudge(Contract):
    """A judge, or the jury.

    Attributes:
        sensitivity: share of its votes for the attacker's answer where that is the better one.
        specificity: share of its votes for the defender's answer where that is the better one.
        right: share of its votes for the better answer; of the jury, how often it prefers that one.
        gain: how much more often the jury is right with it than without.
        adds_nothing: for sure no gain of a hundredth.
        verdicts: that it gave in the whole run: what it cost.
    """

    name: str
    sensitivity: Ranged
    specificity: Ranged
    right: Ranged
    gain: Ranged | None = None
    adds_nothing: bool = False
    verdicts: int
    win_rates: tuple[CalibratedRate, ...]


class Calibration(Contract):
    """All of them.

    Attributes:
        labels: battles whose better answer the labels name.
        unknown: labels of battles that the run does not have, or that no judge decided.
        agreement: Krippendorff's alpha of the judges.
        judges_each: judges on a labelled battle, on average.
        votes: how many independent votes the jury is worth.
        correlation: mean of two judges' errors.
        independent: how often the jury would be right if judges erred independently.
        judges: in the manifest's order; `jury` is all together.
    """

    labels: int
    ties: int
    unknown: int
    agreement: float | None = None
    judges_each: float | None = None
    votes: Ranged
    correlation: float | None = None
    independent: float | None = None
    judges: tuple[CalibratedJudge, ...]
    jury: CalibratedJudge
