"""Win rates corrected by what judges get wrong, as measured on battles whose better answer is known.

A judge gives the attacker's answer `sensitivity` of its vote where that is the better one, and the defender's
`specificity` where that is. A mean share p of the votes then stands for

    (p + specificity - 1) / (sensitivity + specificity - 1)

wins (Rogan and Gladen, American Journal of Epidemiology 107, 1978). The interval allows for both samples, the battles
and the labels, as in arXiv 2511.21140: by the delta method, each spread clustered by instruction, with a right and a
wrong answer added to each side of the labels, so that a judge without a mistake among a few is not taken for one that
makes none. A judge whose two rates do not surely add up to more than chance corrects nothing.

That takes a judge to err as often in every battle. Where it errs in close ones, as real judges do, the corrected rates
are too far from one half: on the recorded tournament by 0.20 on average, where the plain ones are off by 0.06. So the
win rate that is to be believed is another, `by_difference`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tiltyard_jobs.rating.battles import ratio, sum_by
from tiltyard_jobs.rating.judge_bias import Estimates, mean_of
from tiltyard_jobs.rating.jury import Opinions, Spread

_NORMAL_975 = 1.959963984540054


class Rates(NamedTuple):
    """Of J judges, and last the jury: (J + 1,) each."""

    sensitivity: Spread
    specificity: Spread
    labels: NDArray[np.int64]
    """(2, J + 1): battles whose better answer is the attacker's, and the defender's."""


class Corrected(NamedTuple):
    """Win rates of N players by J judges and, last, the jury: (J + 1, N) each; NaN where they cannot be told."""

    plain: NDArray[np.float64]
    """Mean share of the votes, as it is."""
    rate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def with_jury(opinions: Opinions) -> Opinions:
    """With the mean of the judges as one more column."""
    known = ~np.isnan(opinions.share)
    mean = ratio(np.where(known, opinions.share, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))
    return opinions._replace(share=np.concatenate([opinions.share, mean[:, None]], axis=1))


def rates(labelled: Opinions, attacker_better: NDArray[np.bool_]) -> Rates:
    """Sensitivity and specificity.

    Args:
        labelled: the battles whose better answer is known, with the jury.
        attacker_better: (M,): it is the attacker's.
    """
    sides = [_means(labelled.select(attacker_better == side), 0.0 if side else 1.0) for side in (True, False)]
    return Rates(sides[0][0], sides[1][0], np.stack([sides[0][1], sides[1][1]]))


def accuracy(labelled: Opinions, attacker_better: NDArray[np.bool_]) -> Rates:
    """As `rates`, where it is chance which answer is the attacker's: both rates are the share of votes that is right.

    Args:
        labelled: as there.
        attacker_better: likewise.
    """
    right = np.where(attacker_better[:, None], labelled.share, 1.0 - labelled.share)
    value, count = _means(labelled._replace(share=right), 0.0)
    return Rates(value, value, np.stack([count, count]))


def corrected(opinions: Opinions, measured: Rates, players: int, *, together: bool = False) -> Corrected:
    """Each player's win rate over all of its battles, by each judge.

    Args:
        opinions: all battles, with the jury.
        measured: of the same judges.
        players: N.
        together: its two rates are one number, as those of `accuracy`.
    """
    names = opinions.share.shape[1]
    plain, rate, error = (np.full((names, players), np.nan) for _ in range(3))
    right, wrong = measured.sensitivity.value, 1.0 - measured.specificity.value
    spread = [(side.high - side.low) / (2.0 * _NORMAL_975) for side in (measured.sensitivity, measured.specificity)]
    for name in range(names):
        gap = right[name] - wrong[name]
        both = spread[0][name] + spread[1][name] if together else np.hypot(spread[0][name], spread[1][name])
        sure = gap > _NORMAL_975 * both
        there = np.flatnonzero(~np.isnan(opinions.share[:, name]))
        share, rows = opinions.share[there, name], opinions.instruction[there]
        by_home = [
            mean_of(side[there], rows, own, players)
            for side, own in ((opinions.attacker, share), (opinions.defender, 1.0 - share))
        ]
        count = [np.bincount(side[there], minlength=players) for side in (opinions.attacker, opinions.defender)]
        weight = np.stack(count) / np.maximum(np.sum(count, axis=0), 1)
        means = np.stack([np.nan_to_num(one.value) for one in by_home])
        plain[name] = np.where(weight.sum(axis=0) > 0, np.sum(weight * means, axis=0), np.nan)
        if not sure:
            continue
        # At home a share stands for wins as it is; abroad for what the attacker did not win.
        home, abroad = (means[0] - wrong[name]) / gap, 1.0 - (1.0 - means[1] - wrong[name]) / gap
        rate[name] = np.where(np.isnan(plain[name]), np.nan, weight[0] * home + weight[1] * abroad)
        votes = np.sum((weight / gap * np.stack([np.nan_to_num(one.error) for one in by_home])) ** 2, axis=0)
        slope_right = (-weight[0] * home + weight[1] * (1.0 - abroad)) / gap
        slope_wrong = (-weight[0] * (1.0 - home) + weight[1] * abroad) / gap
        if together:
            labels = ((slope_right - slope_wrong) * spread[0][name]) ** 2
        else:
            labels = (slope_right * spread[0][name]) ** 2 + (slope_wrong * spread[1][name]) ** 2
        error[name] = np.sqrt(votes + labels)
    margin = _NORMAL_975 * error
    return Corrected(plain, *(np.clip(value, 0.0, 1.0) for value in (rate, rate - margin, rate + margin)))


def by_difference(opinions: Opinions, label: NDArray[np.float64], players: int) -> Corrected:
    """Each player's win rate, corrected by how far the votes are from the labels in its own labelled battles.

    The mean share of the votes over all battles, and the mean of label less share over the labelled ones
    (prediction-powered inference: Angelopoulos and others, Science 382, 2023). It takes the labelled battles to be a
    random part of all, and nothing of where judges err.

    Args:
        opinions: all battles, with the jury.
        label: (M,): 1 where the attacker's answer is better, 0 where the defender's is; NaN where it is unknown.
        players: N.
    """
    names = opinions.share.shape[1]
    plain, rate, margin = (np.full((names, players), np.nan) for _ in range(3))
    for name, column in enumerate(opinions.share.T):
        known = ~np.isnan(column)
        labelled = known & ~np.isnan(label)
        votes = _by_player(opinions.select(known), column[known], 1.0 - column[known], players)
        less = (label - column)[labelled]
        missing = _by_player(opinions.select(labelled), less, -less, players)
        plain[name] = votes.value
        rate[name] = votes.value + missing.value
        error = np.sqrt(votes.error**2 + missing.error**2)
        margin[name] = stdtrit(np.maximum(missing.clusters - 1, 1), 0.975) * error
    low, high = rate - margin, rate + margin
    return Corrected(plain, *(np.clip(value, 0.0, 1.0) for value in (rate, low, high)))


def _by_player(
    opinions: Opinions, of_attacker: NDArray[np.float64], of_defender: NDArray[np.float64], players: int
) -> Estimates:
    """Each player's mean over its battles, of one number as their attacker and another as their defender."""
    player = np.concatenate([opinions.attacker, opinions.defender])
    instruction = np.concatenate([opinions.instruction, opinions.instruction])
    return mean_of(player, instruction, np.concatenate([of_attacker, of_defender]), players)


def _means(labelled: Opinions, wrong: float) -> tuple[Spread, NDArray[np.int64]]:
    """Mean share of the votes for the better side by each judge, and the battles behind it."""
    rows, name = np.nonzero(~np.isnan(labelled.share))
    names = labelled.share.shape[1]
    right = np.abs(labelled.share[rows, name] - wrong)
    found = mean_of(name, labelled.instruction[rows], right, names)
    count = np.bincount(name, minlength=names)
    # One right and one wrong answer more.
    value = (sum_by(name, right, names) + 1.0) / (count + 2.0)
    coins = np.sqrt(value * (1.0 - value) / (count + 2.0))
    error = np.where(found.clusters > 1, np.maximum(np.nan_to_num(found.error), coins * (found.clusters < 30)), coins)
    margin = _NORMAL_975 * error
    unknown = np.where(count > 0, 0.0, np.nan)
    return Spread(value + unknown, value - margin + unknown, np.minimum(value + margin, 1.0) + unknown), count
