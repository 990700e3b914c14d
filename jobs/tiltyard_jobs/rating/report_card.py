"""The judges' report card: how far each judge's votes can be trusted, from the votes alone.

Sides: a vote above 1/2 is for the attacker, below for the defender; a vote of exactly 1/2 is a tie, which neither
agrees nor disagrees with anything (as in setup S2 of MT-bench: Zheng et al., arXiv 2306.05685).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating import bradley_terry as bt
from tiltyard_jobs.rating.battles import ratio, sum_by
from tiltyard_jobs.rating.votes import Matches, Verdicts, group

_SLOPE_PRIOR_PRECISION = 1.0 / 10.0**2
_LAST_STEP = 1e-6
_MAX_STEPS = 200


class ReportCard(NamedTuple):
    """One entry for each of the J judges; a share is NaN where there is nothing to take it of."""

    verdicts: NDArray[np.int64]
    """Verdicts asked and answered."""
    voids: NDArray[np.int64]
    """Verdicts asked and not answered (no reply, an abstention, nothing to judge)."""
    first_position_rate: NDArray[np.float64]
    """Mean share of the vote for the answer shown first; 1/2 for a judge without position bias, judging both orders."""
    exchanged: NDArray[np.int64]
    """Battles in which the judge took a side in both orders."""
    flips: NDArray[np.int64]
    """Those of them in which the side changed with the order."""
    consistency: NDArray[np.float64]
    """1 - flips / exchanged."""
    length_slope: NDArray[np.float64]
    """Log-odds of the vote for a unit of the normalised length difference. Better answers may be longer, so that only
    the difference between judges of the same battles tells of a bias."""
    compared: NDArray[np.int64]
    """Comparisons with another judge that took a side on the same battle in the same order."""
    agreement: NDArray[np.float64]
    """Share of them with the same side."""
    family_battles: NDArray[np.int64]
    """Battles with one player of the judge's family, also judged by judges of other families."""
    family_excess: NDArray[np.float64]
    """Mean share of the vote that the judge gave its family's player there, less what judges of other families gave."""


class Families(NamedTuple):
    """Who is kin to whom, by integer family; negative: no family."""

    players: NDArray[np.int64]
    """(N,)."""
    judges: NDArray[np.int64]
    """(J,)."""


def report_card(
    verdicts: Verdicts,
    *,
    length_difference: NDArray[np.float64] | None = None,
    families: Families | None = None,
) -> ReportCard:
    """Report on every judge.

    Args:
        verdicts: all verdicts asked, voids included.
        length_difference: (V,), z of the attacker's answer against the defender's for each verdict (see
            `covariate.length_difference`), NaN where unknown; None: the slopes are NaN.
        families: None: nobody is kin to anybody.

    Raises:
        ValueError: the verdicts are not verdicts (see `votes.group`), or another argument has the wrong shape.
    """
    matches = group(verdicts)
    answered = ~np.isnan(verdicts.vote)
    judges = verdicts.judges
    if families is None:
        families = Families(np.full(verdicts.players, -1), np.full(judges, -1))
    if np.shape(families.players) != (verdicts.players,) or np.shape(families.judges) != (judges,):
        raise ValueError("families must name one family for each player and each judge")
    judge = verdicts.judge[answered]
    first = np.where(verdicts.attacker_first, verdicts.vote, 1.0 - verdicts.vote)[answered]
    count = np.bincount(judge, minlength=judges)
    exchanged, flips = _exchange(verdicts, matches)
    compared, agreed = _agreement(verdicts, matches)
    family_battles, excess = _family(verdicts, matches, families)
    return ReportCard(
        verdicts=count,
        voids=np.bincount(verdicts.judge[~answered], minlength=judges),
        first_position_rate=ratio(sum_by(judge, first, judges), count.astype(np.float64)),
        exchanged=exchanged,
        flips=flips,
        consistency=ratio((exchanged - flips).astype(np.float64), exchanged.astype(np.float64)),
        length_slope=_length_slopes(verdicts, length_difference),
        compared=compared,
        agreement=ratio(agreed, compared.astype(np.float64)),
        family_battles=family_battles,
        family_excess=ratio(excess, family_battles.astype(np.float64)),
    )


def _side(vote: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 for the attacker, -1 for the defender, 0 for a tie or a void."""
    return np.sign(np.nan_to_num(vote, nan=0.5) - 0.5).astype(np.int64)


def _exchange(verdicts: Verdicts, matches: Matches) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each judge, the battles in which it took a side in both orders, and the flips among them."""
    side = _side(verdicts.vote)
    seats = len(matches.seat_battle)
    both = np.zeros((2, seats), dtype=np.int64)
    both[verdicts.attacker_first.astype(np.int64), matches.seat] = side
    product = both[0] * both[1]
    judge = matches.seat_judge
    return (
        np.bincount(judge[product != 0], minlength=verdicts.judges),
        np.bincount(judge[product < 0], minlength=verdicts.judges),
    )


def _agreement(verdicts: Verdicts, matches: Matches) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each judge, its comparisons with others on the same battle and order, and how many had the same side."""
    side = _side(verdicts.vote)
    sided = side != 0
    question = matches.battle[sided] * 2 + verdicts.attacker_first[sided]
    for_attacker = side[sided] > 0
    size = 2 * len(matches.first)
    attackers = np.bincount(question[for_attacker], minlength=size)
    total = np.bincount(question, minlength=size)
    others = total[question] - 1
    same = np.where(for_attacker, attackers[question], (total - attackers)[question]) - 1
    judge = verdicts.judge[sided]
    compared = sum_by(judge, others.astype(np.float64), verdicts.judges).astype(np.int64)
    return compared, sum_by(judge, same.astype(np.float64), verdicts.judges)


def _family(verdicts: Verdicts, matches: Matches, families: Families) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each judge, the battles that tell of a preference for its family, and the sum of its excess over them."""
    answered = ~np.isnan(verdicts.vote)
    vote = np.where(answered, verdicts.vote, 0.0)
    seats, battles = len(matches.seat_battle), len(matches.first)
    given = sum_by(matches.seat, vote, seats)
    asked = sum_by(matches.seat, answered, seats)

    # What judges of the same family gave the battle is taken out of the comparison. Judges without one stand alone.
    alone = families.judges.max(initial=-1) + 1 + np.arange(verdicts.judges)
    kin = np.where(families.judges < 0, alone, families.judges)[matches.seat_judge]
    width = int(kin.max(initial=0)) + 1
    clans, clan = np.unique(matches.seat_battle * width + kin, return_inverse=True)
    others_given = (
        sum_by(matches.seat_battle, given, battles)[matches.seat_battle] - sum_by(clan, given, len(clans))[clan]
    )
    others_asked = (
        sum_by(matches.seat_battle, asked, battles)[matches.seat_battle] - sum_by(clan, asked, len(clans))[clan]
    )

    own = families.judges[matches.seat_judge]
    attacker = families.players[verdicts.attacker[matches.first]][matches.seat_battle] == own
    defender = families.players[verdicts.defender[matches.first]][matches.seat_battle] == own
    telling = (own >= 0) & (attacker != defender) & (asked > 0) & (others_asked > 0)
    excess = given[telling] / asked[telling] - others_given[telling] / others_asked[telling]
    judge = matches.seat_judge[telling]
    return (
        np.bincount(judge, minlength=verdicts.judges),
        sum_by(judge, np.where(attacker[telling], excess, -excess), verdicts.judges),
    )


def _length_slopes(verdicts: Verdicts, difference: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Slope of each judge's logistic regression, with an intercept, of the vote on the length difference.

    Both coefficients have a normal prior of standard deviation 10, so that they are finite for a judge that always
    votes one way. All judges are fitted at once by damped Newton steps (see `bradley_terry.fit`).
    """
    slopes = np.full(verdicts.judges, np.nan)
    if difference is None:
        return slopes
    if np.shape(difference) != np.shape(verdicts.vote):
        raise ValueError("the length difference must be one number for each verdict")
    usable = ~np.isnan(verdicts.vote) & ~np.isnan(difference)
    judge, vote, z = verdicts.judge[usable], verdicts.vote[usable], difference[usable]
    judges = verdicts.judges
    coefficient = np.zeros((judges, 2))
    for _ in range(_MAX_STEPS):
        probability = expit(coefficient[judge, 0] + coefficient[judge, 1] * z)
        residual, weight = vote - probability, probability * (1.0 - probability)
        gradient = np.stack([sum_by(judge, residual, judges), sum_by(judge, residual * z, judges)], axis=1)
        gradient -= _SLOPE_PRIOR_PRECISION * coefficient
        hessian = np.empty((judges, 2, 2))
        hessian[:, 0, 0] = sum_by(judge, weight, judges) + _SLOPE_PRIOR_PRECISION
        hessian[:, 0, 1] = hessian[:, 1, 0] = sum_by(judge, weight * z, judges)
        hessian[:, 1, 1] = sum_by(judge, weight * z * z, judges) + _SLOPE_PRIOR_PRECISION
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        reach = np.abs(step).sum(axis=1)  # the most that any log-odds can change, as |z| <= 1
        coefficient += step * bt.damping(reach)[:, None]
        if reach.max(initial=0.0) < _LAST_STEP:
            break
    else:
        raise ArithmeticError(f"no convergence of the length slopes after {_MAX_STEPS} steps")
    seen = np.bincount(judge, minlength=judges) > 0
    slopes[seen] = coefficient[seen, 1]
    return slopes
