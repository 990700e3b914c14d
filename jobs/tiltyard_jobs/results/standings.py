"""Standings and the tables `ratings` and `scores`, as they are written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.contracts.recipes import RateRecipe
from tiltyard_jobs.contracts.summary import Standing
from tiltyard_jobs.rating.battles import pair_wins, ratio, sum_by
from tiltyard_jobs.rating.breakdown import Part
from tiltyard_jobs.rating.elo import expected_scores
from tiltyard_jobs.rating.intervals import rank_range
from tiltyard_jobs.rating.jury import Spread
from tiltyard_jobs.rating.report_card import Column
from tiltyard_jobs.results.ballots import Ballots, Roster
from tiltyard_jobs.results.columns import POINTS, fixed, points, rounded, rounded_column
from tiltyard_jobs.results.documents import (
    Breakdown,
    ControlPicks,
    Estimate,
    JudgeReportCard,
    JuryWorth,
    PartStanding,
    PlayerStanding,
    Standings,
    WithoutJudges,
)
from tiltyard_jobs.results.rated import Rated, answer_votes


def standings_of(ballots: Ballots, rated: Rated, roster: Roster, recipe: RateRecipe) -> Standings:
    """Where all stand, players by rank."""
    order = rated.order
    ranked = np.array(order)
    gold = rated.gold.player[rated.gold.player >= 0]
    rates, counts = rated.rates.rate[np.ix_(ranked, ranked)], rated.rates.battles[np.ix_(ranked, ranked)]
    expected = expected_scores(rated.elo.ratings)[np.ix_(ranked, ranked)]
    return Standings(
        players=_players(ballots, rated, roster, order),
        judges=_judges(ballots, rated, roster),
        without=tuple(
            WithoutJudges(
                judges=tuple(roster.judges[judge].name for judge in one.judges),
                ratings=_by_player(roster, one.ratings),
                low=_by_player(roster, one.low),
                high=_by_player(roster, one.high),
            )
            for one in rated.without
        ),
        win_rates=tuple(tuple(rounded_column(row)) for row in rates),
        win_counts=tuple(tuple(row) for row in counts.tolist()),
        expected=tuple(tuple(fixed(value) for value in row) for row in expected),
        length_points=points(rated.style.worth),
        length_low=points(rated.style.worth_low),
        length_high=points(rated.style.worth_high),
        home_points=points(rated.home.worth),
        home_low=points(rated.home.worth_low),
        home_high=points(rated.home.worth_high),
        instructions=len(ballots.ids),
        matches=int(np.sum(~np.isnan(rated.tally.score))),
        undecided=int(np.sum(np.isnan(rated.tally.score))),
        verdicts=int(np.sum(~np.isnan(ballots.verdicts.vote))),
        without_quorum=int(rated.tally.lacks_quorum.sum()),
        unjudged=len(ballots.ids) - len(gold),
        best_alone=rounded(float(np.mean(gold == order[0]))) if len(gold) else None,
        controls=tuple(
            ControlPicks(rule=one.name, same=fixed(one.same), win_rate=rounded(one.win_rate)) for one in rated.controls
        ),
        jury=_jury(rated, roster),
        breakdowns=tuple(_breakdown(by, part, roster) for by, part in rated.breakdowns),
        gold=recipe.gold,
        alpha=float(recipe.alpha),
        k=float(recipe.k),
    )


def gold_rule(standings: Standings) -> str:
    """How gold answers were chosen, in words."""
    alpha, rest = f"{standings.alpha:g}", f"{1 - standings.alpha:g}"
    if standings.gold == "Pairwise":
        return (
            f"A defender's score is {alpha} times the win against the attacker that its rating makes expected, the"
            f" attacker's advantage on its own instruction counted in, and {rest} times its share of the votes against"
            " it. The gold answer is the attacker's, unless a defender's score exceeds one half: then the defender's"
            " with the highest. Where players also meet on others' instructions, the score is the mean over an answer's"
            " opponents instead, and the highest is the gold answer."
        )
    return (
        f"An answer's score is the {standings.gold.lower()} over its opponents of {alpha} times the win expected from"
        f" Elo ratings (K = {standings.k:g}) and {rest} times its share of the votes; the answer with the highest is"
        " the gold answer."
    )


def _by_player(roster: Roster, values: NDArray[np.float64]) -> dict[str, float | None]:
    return {player.name: points(value) for player, value in zip(roster.players, values.tolist(), strict=True)}


def leaderboard_of(standings: Standings) -> tuple[Standing, ...]:
    """The players, as a shard's summary holds them."""
    return tuple(
        Standing(
            name=one.name,
            rating=one.rating,
            low=one.low,
            high=one.high,
            best_rank=one.best_rank,
            worst_rank=one.worst_rank,
            gap=one.gap,
            gap_low=one.gap_low,
            gap_high=one.gap_high,
            win_rate=one.win_rate,
            answered=one.answered,
        )
        for one in standings.players
    )


def rating_rows(standings: Standings) -> Iterator[dict[str, Any]]:
    """Rows of `run_tables.RATINGS`."""
    for one in standings.players:
        row = one.model_dump()
        del row["uri"]
        yield {"player": row.pop("name"), **row}


def breakdown_rows(standings: Standings) -> Iterator[dict[str, Any]]:
    """Rows of `run_tables.BREAKDOWNS`."""
    for part in standings.breakdowns:
        about = {"by": part.by, "value": part.value, "instructions": part.instructions}
        for one in part.players:
            row = one.model_dump()
            yield {**about, "player": row.pop("name"), **row}


def score_rows(ballots: Ballots, rated: Rated, roster: Roster) -> Iterator[dict[str, Any]]:
    """Rows of `run_tables.SCORES`: every player of the roster for every instruction, in their orders."""
    got = answer_votes(rated.tally, len(ballots.ids))
    attacker_ids = [player.model.id for player in roster.players]
    for number, (instruction, attacker) in enumerate(zip(ballots.ids, ballots.attacker.tolist(), strict=True)):
        instruction_id, best = instruction.as_py(), int(rated.gold.player[number])
        scores, votes = rounded_column(rated.gold.scores[number]), rounded_column(got.votes[number])
        for player, model_id in enumerate(attacker_ids):
            yield {
                "instruction_id": instruction_id,
                "attacker_id": attacker_ids[attacker],
                "model_id": model_id,
                "score": scores[player],
                "votes": votes[player],
                "verdicts": int(got.verdicts[number, player]),
                "opponents": int(got.opponents[number, player]),
                "gold": player == best,
                "margin": rounded(rated.gold.margin[number]) if player == best else None,
                "quorum": bool(got.quorum[number, player]),
            }


def _players(ballots: Ballots, rated: Rated, roster: Roster, order: list[int]) -> tuple[PlayerStanding, ...]:
    battles = rated.tally.battles()
    matches = rated.rates.battles.sum(axis=1)
    rate = ratio(pair_wins(battles).sum(axis=1), matches.astype(np.float64))
    gold = np.bincount(rated.gold.player[rated.gold.player >= 0], minlength=len(order))
    written = {player: points(rated.bradley_terry.ratings[player]) for player in order}
    rated_players = [player for player in order if written[player] is not None]
    ranks = _ranks(order, written)
    answered = ballots.answered.mean(axis=0) if len(ballots.ids) else np.full(len(order), np.nan)
    best, worst = rank_range(rated.intervals.above)
    worst -= len(order) - len(rated_players)
    return tuple(
        PlayerStanding(
            name=roster.players[player].name,
            model_id=roster.players[player].model.id,
            uri=roster.players[player].model.described,
            rank=ranks[player],
            rating=points(rated.bradley_terry.ratings[player]),
            low=points(rated.intervals.low[player]),
            high=points(rated.intervals.high[player]),
            best_rank=int(best[player]) if player in rated_players else None,
            worst_rank=int(worst[player]) if player in rated_players else None,
            gap=points(rated.intervals.gap[player]),
            gap_low=points(rated.intervals.gap_low[player]),
            gap_high=points(rated.intervals.gap_high[player]),
            elo=fixed(rated.elo.ratings[player], POINTS),
            length_controlled=points(rated.style.ratings[player]),
            win_rate=rounded(rate[player]),
            matches=int(matches[player]),
            gold=int(gold[player]),
            answered=rounded(answered[player]),
            plain=points(rated.by_kind["Plain"][player]) if rated.by_kind else None,
            calibrated=points(rated.by_kind["Calibrated"][player]) if rated.by_kind else None,
            component=int(rated.bradley_terry.component[player]),
            group=int(rated.bradley_terry.group[player]),
        )
        for player in order
    )


def _ranks(order: list[int], written: Mapping[int, float | None]) -> dict[int, int]:
    """Equal ratings share a rank, and so do the players that have none."""
    first = {rating: place for place, rating in reversed(list(enumerate(map(written.get, order), start=1)))}
    return {player: first[rating] for player, rating in written.items()}


def _breakdown(by: str, part: Part, roster: Roster) -> Breakdown:
    written = {player: points(rating) for player, rating in enumerate(part.ratings)}
    order = sorted(written, key=lambda player: -np.inf if (rating := written[player]) is None else rating, reverse=True)
    ranks = _ranks(order, written)
    return Breakdown(
        by=by,
        value=part.value,
        instructions=part.instructions,
        players=tuple(
            PartStanding(
                name=roster.players[player].name,
                rank=ranks[player],
                rating=written[player],
                low=points(part.low[player]),
                high=points(part.high[player]),
                win_rate=rounded(part.win_rate[player]),
                matches=int(part.battles[player]),
                gold=int(part.gold[player]),
            )
            for player in order
        ),
    )


def _judges(ballots: Ballots, rated: Rated, roster: Roster) -> tuple[JudgeReportCard, ...]:
    card, given = rated.card, _votes_given(ballots)
    return tuple(
        JudgeReportCard(
            name=judge.name,
            model_id=judge.model.id,
            verdicts=int(card.verdicts[number]),
            voids=dict(sorted(ballots.voids[number].items())),
            first_position=_estimate(card.position, number, (0.0, 1.0)),
            consistency=rounded(card.consistency[number]),
            exchanged=int(card.exchanged[number]),
            flips=int(card.flips[number]),
            agreement=rounded(card.agreement[number]),
            compared=int(card.compared[number]),
            shared=int(card.shared[number]),
            scale=_estimate(card.scale, number),
            length=_estimate(card.length, number),
            family=_estimate(card.family, number),
            vote_scale=rounded(rated.scales.scale[number]),
            vote_position=rounded(rated.scales.position[number]),
            family_battles=int(card.family_battles[number]),
            votes_for={
                player.name: fixed(votes)
                for player, votes in zip(roster.players, given[number].tolist(), strict=True)
                if votes > 0
            },
        )
        for number, judge in enumerate(roster.judges)
    )


def _jury(rated: Rated, roster: Roster) -> JuryWorth:
    value, names = rated.worth, [judge.name for judge in roster.judges]
    return JuryWorth(
        judges_each=rounded(value.judges),
        votes=_spread(value.votes, 0),
        correlation=rounded(value.correlation),
        right=_spread(value.right, len(names)),
        independent=rounded(value.independent),
        agreement=rounded(rated.agreement),
        adds={name: found for place, name in enumerate(names) if (found := _spread(value.gain, place)) is not None},
    )


def _spread(spread: Spread, place: int) -> Estimate | None:
    value = rounded(spread.value[place])
    if value is None:
        return None
    return Estimate(value=value, low=rounded(spread.low[place]), high=rounded(spread.high[place]))


def _estimate(column: Column, judge: int, within: tuple[float, float] = (-np.inf, np.inf)) -> Estimate | None:
    value = rounded(column.value[judge])
    if value is None:
        return None
    low, high = (rounded(float(np.clip(end[judge], *within))) for end in (column.low, column.high))
    return Estimate(value=value, low=low, high=high, marked=bool(column.marked[judge]))


def _votes_given(ballots: Ballots) -> NDArray[np.float64]:
    """(J, N): each judge's votes for each player."""
    verdicts = ballots.verdicts
    answered = ~np.isnan(verdicts.vote)
    judge, vote = verdicts.judge[answered] * verdicts.players, verdicts.vote[answered]
    cells = verdicts.judges * verdicts.players
    for_a = sum_by(judge + verdicts.attacker[answered], vote, cells)
    for_b = sum_by(judge + verdicts.defender[answered], 1.0 - vote, cells)
    return np.reshape(for_a + for_b, (verdicts.judges, verdicts.players))
