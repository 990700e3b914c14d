"""What labels say of the judges, as a document: of the tournament's own battles, or of pairs from elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.contracts.calibration import FEW_LABELS, CalibratedJudge, CalibratedRate, Calibration, Ranged
from tiltyard_jobs.contracts.recipes import ANSWERS, CalibrationRecipe
from tiltyard_jobs.rating.calibration import Corrected, Rates, accuracy, by_difference, corrected, rates, with_jury
from tiltyard_jobs.rating.jury import Opinions, Spread, Worth, agreement, opinions_of, worth
from tiltyard_jobs.results.ballots import Ballots, Roster, batches, not_of_these
from tiltyard_jobs.results.columns import rounded
from tiltyard_jobs.shard.artifacts import Artifacts


class Labels(NamedTuple):
    """The better answers, by the run's battles."""

    label: NDArray[np.float64]
    """(M,): 1 the attacker's, 0 the defender's; NaN: unknown, or a tie."""
    ties: int
    unknown: int


class Judged(NamedTuple):
    """Labelled pairs with each judge's votes."""

    instruction: NDArray[np.int64]
    """(M,): pairs with one instruction have one number."""
    first_better: NDArray[np.bool_]
    """(M,)."""
    votes: NDArray[np.float64]
    """(2, M, J): for the first answer, where it was shown first, and where second; NaN: void."""
    ties: int


def read_judged(artifacts: Artifacts, recipe: CalibrationRecipe, roster: Roster) -> Judged:
    """The pairs and the verdicts on them.

    Raises:
        PermanentError: a table is missing or damaged, or is not about these pairs.
    """
    columns = ["instruction_id", "instruction", "history", "better"]
    rows = list(artifacts.rows(recipe.pairs, columns=columns))
    place = {row["instruction_id"]: number for number, row in enumerate(rows)}
    asked = [repr((row["instruction"], row["history"])) for row in rows]
    votes = np.full((2, len(rows), len(roster.judges)), np.nan)
    for judge, ref in recipe.verdicts.items():
        for batch in batches(artifacts, ref, ["instruction_id", "order", "vote", "void"]):
            for row in batch.to_pylist():
                if row["instruction_id"] not in place:
                    raise not_of_these(ref)
                if row["void"] is None:
                    votes[int(row["order"] != "AB"), place[row["instruction_id"]], roster.judge[judge]] = row["vote"]
    return Judged(
        instruction=np.unique(np.array(asked), return_inverse=True)[1].astype(np.int64),
        first_better=np.array([row["better"] == ANSWERS[0] for row in rows], dtype=np.bool_),
        votes=votes,
        ties=sum(seal.counts.get("ties", 0) for seal in artifacts.require(recipe.pairs)),
    )


def by_pairs(judged: Judged, ballots: Ballots, roster: Roster) -> Calibration:
    """What labelled pairs from elsewhere say; the share of its votes that is right corrects a judge's win rates."""
    known = ~np.isnan(judged.votes)
    orders = known.sum(axis=0)
    share = np.full(orders.shape, np.nan)
    np.divide(np.where(known, judged.votes, 0.0).sum(axis=0), orders, out=share, where=orders > 0)
    nobody = np.zeros_like(judged.instruction)
    opinions = Opinions(judged.instruction, nobody, nobody, share)
    # As whoever is shown first may be the better one or not, both in one half of the verdicts.
    first, second = judged.votes
    twice, no_players = np.tile(judged.instruction, 2), np.tile(nobody, 2)
    by_order = Opinions(twice, no_players, no_players, np.concatenate([first, 1.0 - second]))
    shown = rates(with_jury(by_order), np.concatenate([judged.first_better, ~judged.first_better]))
    right = accuracy(with_jury(opinions), judged.first_better)
    players = len(roster.players)
    by_rates = corrected(with_jury(opinions_of(ballots.verdicts)), right, players, together=True)
    unknown = Corrected(by_rates.plain, *(np.full_like(by_rates.plain, np.nan) for _ in range(3)))
    given = Labels(judged.first_better.astype(np.float64), judged.ties, 0)
    value = worth(opinions, judged.first_better)
    return _document(value, shown, (unknown, by_rates), agreement(opinions), ballots, roster, given)


def by_labels(opinions: Opinions, given: Labels, ballots: Ballots, roster: Roster) -> Calibration:
    """What labels of the tournament's own battles say."""
    players = len(roster.players)
    labelled = ~np.isnan(given.label) & ~np.isnan(opinions.share).all(axis=1)
    better = given.label[labelled] > 0.5
    value, whole = worth(opinions.select(labelled), better), with_jury(opinions)
    measured = rates(whole.select(labelled), better)
    both = by_difference(whole, given.label, players), corrected(whole, measured, players)
    return _document(value, measured, both, agreement(opinions), ballots, roster, given)


def _document(
    value: Worth,
    measured: Rates,
    win_rates: tuple[Corrected, Corrected],
    alpha: float,
    ballots: Ballots,
    roster: Roster,
    given: Labels,
) -> Calibration:
    rate, by_rates = win_rates
    verdicts = np.bincount(ballots.verdicts.judge[~np.isnan(ballots.verdicts.vote)], minlength=len(roster.judges))

    def judged(place: int, name: str) -> CalibratedJudge:
        jury = place == len(roster.judges)
        return CalibratedJudge(
            name=name,
            sensitivity=_share(measured.sensitivity, place),
            specificity=_share(measured.specificity, place),
            right=_share(value.right, place),
            gain=None if jury else _ranged(value.gain, place),
            adds_nothing=not jury and value.battles >= FEW_LABELS and bool(value.adds_nothing[place]),
            verdicts=int(verdicts.sum() if jury else verdicts[place]),
            win_rates=tuple(
                CalibratedRate(
                    player=player.name,
                    plain=rounded(rate.plain[place, number]),
                    corrected=_of(rate, place, number),
                    by_rates=_of(by_rates, place, number),
                )
                for number, player in enumerate(roster.players)
            ),
        )

    return Calibration(
        labels=value.battles,
        ties=given.ties,
        unknown=given.unknown,
        agreement=rounded(alpha),
        judges_each=rounded(value.judges),
        votes=_ranged(value.votes, 0),
        correlation=rounded(value.correlation),
        independent=rounded(value.independent),
        judges=tuple(judged(place, judge.name) for place, judge in enumerate(roster.judges)),
        jury=judged(len(roster.judges), "jury"),
    )


def _ranged(spread: Spread, place: int) -> Ranged:
    return Ranged(value=rounded(spread.value[place]), low=rounded(spread.low[place]), high=rounded(spread.high[place]))


def _share(spread: Spread, place: int) -> Ranged:
    """Of something that is a share: the interval ends where shares do."""
    return _within(spread.value[place], spread.low[place], spread.high[place])


def _of(found: Corrected, place: int, player: int) -> Ranged:
    return _within(found.rate[place, player], found.low[place, player], found.high[place, player])


def _within(value: float, low: float, high: float) -> Ranged:
    value, low, high = (float(np.clip(one, 0.0, 1.0)) for one in (value, low, high))
    return Ranged(value=rounded(value), low=rounded(low), high=rounded(high))
