"""Battles and verdicts as users see them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tiltyard_jobs.contracts.recipes import Lineup
from tiltyard_jobs.rating.votes import Tally
from tiltyard_jobs.results.ballots import Ballots
from tiltyard_jobs.results.roster import Roster
from tiltyard_jobs.results.rounding import fixed
from tiltyard_jobs.results.run_tables import Row
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.pace import Pace

_EVEN = 1e-9  # half of the votes, but for rounding


def battle_rows(ballots: Ballots, counted: Tally, roster: Roster) -> Iterator[Row]:
    """Rows of `tables.BATTLE_ROWS`: the matches that a judge decided, by instruction, then A, then B.

    A match without an outcome is none here, as readers take an outcome that they do not know for a tie.
    """
    names = [player.name for player in roster.players]
    for match in np.flatnonzero(~np.isnan(counted.score)):
        instruction, a, b = int(counted.instruction[match]), int(counted.attacker[match]), int(counted.defender[match])
        length_a, length_b = ballots.lengths[instruction, [a, b]].tolist()
        score = float(counted.score[match])
        yield {
            "instruction_id": ballots.ids[instruction].as_py(),
            "attacker": names[int(ballots.attacker[instruction])],
            "model_a": names[a],
            "model_b": names[b],
            "winner": winner(score),
            "score": fixed(score),
            "votes_a": fixed(counted.votes_attacker[match]),
            "votes_b": fixed(counted.votes_defender[match]),
            "judges_asked": int(counted.judges_asked[match]),
            "judges_answered": int(counted.judges_answered[match]),
            "quorum": not counted.lacks_quorum[match],
            "length_a": int(length_a),
            "length_b": int(length_b),
            "length_difference": fixed((length_a - length_b) / ((length_a + length_b) or 1.0)),
        }


def winner(score: float) -> str:
    """The outcome by name, as Chatbot Arena's tables have it."""
    if abs(score - 0.5) < _EVEN:
        return "tie"
    return "model_a" if score > 0.5 else "model_b"


def verdict_rows(artifacts: Artifacts, lineup: Lineup, pace: Pace) -> Iterator[Row]:
    """Rows of `tables.VERDICT_ROWS`: every verdict that was asked for, in the manifest's order of matches."""
    for match in lineup.matches:
        names = {
            "attacker": match.attacker,
            "model_a": match.player_a,
            "model_b": match.player_b,
            "judge": match.judge,
        }
        for row in artifacts.rows(match.verdicts):
            for column in ("model_a_id", "model_b_id", "judge_id"):
                del row[column]
            yield {**row, **names}
        pace.step()
