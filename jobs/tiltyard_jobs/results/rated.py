"""From ballots to ratings, gold answers and the judges' report cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.contracts.recipes import RateRecipe
from tiltyard_jobs.contracts.tasks import Limits
from tiltyard_jobs.contracts.vocabulary import VoteKind
from tiltyard_jobs.errors import PermanentError, VoidReason
from tiltyard_jobs.rating.battles import Battles, WinRates, sum_by, win_rates
from tiltyard_jobs.rating.bradley_terry import BradleyTerryRatings, bradley_terry
from tiltyard_jobs.rating.breakdown import Part, parts_by
from tiltyard_jobs.rating.controls import AGREED, LEADER, LONGEST, RATINGS, VOTES, Control, controls, longest, shares_of
from tiltyard_jobs.rating.covariate import CovariateRatings, home_side, with_covariate
from tiltyard_jobs.rating.elo import EloRatings, elo
from tiltyard_jobs.rating.gold import Gold, gold_answers
from tiltyard_jobs.rating.intervals import Intervals, intervals
from tiltyard_jobs.rating.jury import Opinions, Worth, agreement, opinions_of, worth
from tiltyard_jobs.rating.probability import Scales, scales
from tiltyard_jobs.rating.report_card import ReportCard, report_card
from tiltyard_jobs.rating.votes import Tally
from tiltyard_jobs.results.ballots import Ballots, Roster
from tiltyard_jobs.results.columns import POINTS, fixed, points
from tiltyard_jobs.results.facets import Facets
from tiltyard_jobs.results.shortfalls import Account


class Without(NamedTuple):
    """The ratings (N,) without the votes of some judges, and their intervals, as `Intervals` has them."""

    judges: tuple[int, ...]
    ratings: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Rated(NamedTuple):
    """Everything that the votes say, by the numbers of the roster."""

    tally: Tally
    rates: WinRates
    elo: EloRatings
    bradley_terry: BradleyTerryRatings
    order: list[int]
    """Players by rank."""
    intervals: Intervals
    style: CovariateRatings
    home: CovariateRatings
    gold: Gold
    controls: tuple[Control, ...]
    breakdowns: tuple[tuple[str, Part], ...]
    """The ratings over each part of the instructions, with the column by which the part is taken."""
    card: ReportCard
    worth: Worth
    """Of the jury, where the higher-rated player's answer stands in for the better one."""
    agreement: float
    scales: Scales
    by_kind: dict[VoteKind, NDArray[np.float64]]
    """The ratings by plain and by calibrated votes; empty where no judge can be calibrated."""
    without: tuple[Without, ...]
    """For each judge with a mark, and for all of them together."""


class AnswerVotes(NamedTuple):
    """What each answer got in its battles: (I, N) arrays."""

    votes: NDArray[np.float64]
    """Votes won; a verdict is one vote, which may be shared."""
    verdicts: NDArray[np.int64]
    """Verdicts answered: the votes cast."""
    opponents: NDArray[np.int64]
    """Battles in which a judge voted."""
    quorum: NDArray[np.bool_]
    """None of its battles lacks a quorum."""


def rate_ballots(
    ballots: Ballots, roster: Roster, recipe: RateRecipe, facets: Facets, agreed: NDArray[np.int64]
) -> Rated:
    """Rate.

    Args:
        ballots: all that is rated.
        roster: who takes part.
        recipe: the rules.
        facets: by what the ratings are broken down.
        agreed: (I,): whose answer is most like the others; -1 for none.

    Raises:
        PermanentError: not one vote was given, so there is nothing to rate.
    """
    counted = ballots.counted(recipe.ties, recipe.unanswered, recipe.votes)
    battles = counted.battles()
    if not len(battles.score):
        raise PermanentError(nothing_decided(ballots))
    rated = elo(battles, seed=recipe.seed, k=float(recipe.k))
    side = home_side(battles, ballots.attacker)
    home = with_covariate(battles, side)
    strengths = bradley_terry(battles)
    order = ranking(strengths, rated)
    difference = ballots.difference(battles.instruction, battles.player_a, battles.player_b)
    gold = _gold(ballots, battles, rated, home, recipe)
    asked, opinions = ballots.verdicts, opinions_of(ballots.verdicts)
    fitted = scales(asked)
    card = report_card(
        asked,
        length_difference=ballots.difference(asked.instruction, asked.attacker, asked.defender),
        families=roster.families(),
    )
    return Rated(
        tally=counted,
        rates=win_rates(battles),
        elo=rated,
        bradley_terry=strengths,
        order=order,
        intervals=intervals(battles, order),
        style=with_covariate(battles, difference),
        home=home,
        gold=gold,
        controls=_controls(ballots, battles, (rated, home, recipe), gold, order[0], agreed),
        breakdowns=tuple(
            (by, part) for by, values in facets.items() for part in parts_by(battles, gold.player, values)
        ),
        card=card,
        worth=_worth(opinions, strengths.ratings),
        agreement=agreement(opinions),
        scales=fitted,
        by_kind=_by_kind(ballots, recipe, fitted),
        without=tuple(_without(ballots, judges, recipe) for judges in _suspects(card)),
    )


def _worth(opinions: Opinions, ratings: NDArray[np.float64]) -> Worth:
    above = ratings[opinions.attacker] - ratings[opinions.defender]
    told = np.abs(np.nan_to_num(above)) > 0.5 * 10.0**-POINTS
    return worth(opinions.select(told), above[told] > 0)


def _by_kind(ballots: Ballots, recipe: RateRecipe, fitted: Scales) -> dict[VoteKind, NDArray[np.float64]]:
    if np.isnan(fitted.scale).all():
        return {}
    kinds: tuple[VoteKind, ...] = ("Plain", "Calibrated")
    tallies = {kind: ballots.counted(recipe.ties, recipe.unanswered, kind) for kind in kinds}
    return {kind: bradley_terry(counted.battles()).ratings for kind, counted in tallies.items()}


def _suspects(card: ReportCard) -> list[tuple[int, ...]]:
    """Each judge with a mark, then all of them."""
    marked = tuple(np.flatnonzero(card.marked).tolist())
    return [(judge,) for judge in marked] + ([marked] if len(marked) > 1 else [])


def _without(ballots: Ballots, judges: tuple[int, ...], recipe: RateRecipe) -> Without:
    left = ballots.verdicts.select(~np.isin(ballots.verdicts.judge, judges))
    battles = ballots._replace(verdicts=left).counted(recipe.ties, recipe.unanswered, recipe.votes).battles()
    ratings = bradley_terry(battles).ratings
    if not len(battles.score):
        return Without(judges, ratings, ratings, ratings)
    spread = intervals(battles)
    return Without(judges, ratings, spread.low, spread.high)


def ranking(ratings: BradleyTerryRatings, other: EloRatings) -> list[int]:
    """Players by rank: by Bradley–Terry rating as it is written down, then Elo, then their order; unrated last."""

    def key(player: int) -> tuple[float, float, int]:
        rating = points(ratings.ratings[player])
        return (np.inf if rating is None else -rating, -fixed(other.ratings[player], POINTS), player)

    return sorted(range(len(other.ratings)), key=key)


def _controls(
    ballots: Ballots,
    battles: Battles,
    made_by: tuple[EloRatings, CovariateRatings, RateRecipe],
    gold: Gold,
    leader: int,
    agreed: NDArray[np.int64],
) -> tuple[Control, ...]:
    scored = ~np.isnan(gold.scores)
    shares = np.where(scored, shares_of(battles, len(ballots.ids)), np.nan)
    picks = {
        RATINGS: _gold(ballots, battles, *made_by, alpha=1.0).player,
        VOTES: _gold(ballots, battles, *made_by, alpha=0.0).player,
        LEADER: np.where(scored[:, leader], leader, -1),
        LONGEST: longest(ballots.lengths, scored),
        AGREED: agreed,
    }
    return controls(gold.player, shares, picks)


def _gold(
    ballots: Ballots,
    battles: Battles,
    rated: EloRatings,
    home: CovariateRatings,
    recipe: RateRecipe,
    alpha: float | None = None,
) -> Gold:
    side, rule = home_side(battles, ballots.attacker), recipe.gold
    if rule != "Pairwise":
        side, ratings = np.zeros_like(side), rated.ratings
    else:
        # Where players meet on a third one's instruction, no answer has met all others: their means are compared.
        ratings, rule = home.ratings, "Pairwise" if side.all() else "Mean"
        battles, side = battles.turned(side < 0), np.abs(side)
    return gold_answers(
        battles,
        ratings,
        instructions=len(ballots.ids),
        alpha=float(recipe.alpha) if alpha is None else alpha,
        answered=ballots.answered,
        rule=rule,
        home=home.worth * side,
    )


def answer_votes(counted: Tally, instructions: int) -> AnswerVotes:
    """The votes of each answer, summed over its battles."""
    players = counted.players
    cells = instructions * players
    a = counted.instruction * players + counted.attacker
    b = counted.instruction * players + counted.defender
    both = np.concatenate([a, b])
    cast = np.rint(counted.votes_attacker + counted.votes_defender).astype(np.int64)
    decided, lacking = np.tile(~np.isnan(counted.score), 2), np.tile(counted.lacks_quorum, 2)

    def count(values: NDArray[np.bool_] | NDArray[np.float64]) -> NDArray[np.float64]:
        return sum_by(both, values, cells).reshape(-1, players)

    return AnswerVotes(
        votes=count(np.concatenate([counted.votes_attacker, counted.votes_defender])),
        verdicts=count(np.tile(cast, 2).astype(np.float64)).astype(np.int64),
        opponents=count(decided).astype(np.int64),
        quorum=count(lacking) == 0,
    )


def require_instructions(counts: Mapping[str, int]) -> None:
    """Make sure that there is something to fight over.

    Args:
        counts: how many instructions curation dropped, by reason, and under `kept` how many are left.

    Raises:
        PermanentError: none is left.
    """
    if counts.get("kept"):
        return
    dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()) if count)
    raise PermanentError(
        f"No instruction is left after curation{f' (dropped: {dropped})' if dropped else ''}: mine more"
        " (spec.instructions.mine.perCompetitor), give more (spec.instructions.from), or loosen"
        " spec.curation.difficulty.keep or spec.curation.dedup.threshold."
    )


def require_opinions(ballots: Ballots, roster: Roster, limits: Limits) -> None:
    """Make sure that each judge gave as many votes as `spec.jobs.maxVoidFraction` asks for.

    Its shards are held to the same, but a small shard alone says little.

    Raises:
        PermanentError: a judge did not.
    """
    verdicts = ballots.verdicts
    votes = np.bincount(verdicts.judge[~np.isnan(verdicts.vote)], minlength=verdicts.judges).tolist()
    for judge, count, voids in zip(roster.judges, votes, ballots.voids, strict=True):
        void = sum(voids.values())
        allowed = limits.max_failures(count + void) + limits.max_undecided(count + void)
        if void > allowed or (void > 1 and not count):
            raise PermanentError(
                f"{Account(judge.name, 'judge', count + void, voids)}; spec.jobs.maxVoidFraction allows {allowed}: use"
                " another judge, try another spec.battles.verdict.method, or raise the fraction; verdicts are kept."
            )


def nothing_decided(ballots: Ballots) -> str:
    """Why there is nothing to rate, as a sentence."""
    voids: Counter[str] = Counter()
    for by_reason in ballots.voids:
        voids.update(by_reason)
    if not_asked := int(np.isnan(ballots.verdicts.vote).sum()) - voids.total():
        voids[VoidReason.INPUT_VOID] = not_asked
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(voids.items()))
    return (
        f"Not one of {len(ballots.verdicts.vote)} verdicts gave a vote{f' ({reasons})' if reasons else ''}, so there is"
        " nothing to rate: choose other judges in spec.judges, or another spec.battles.verdict.method."
    )
