"""What differs between two complete runs: the answer of `tiltyard compare`, beside how far they agree."""

from __future__ import annotations

from tiltyard_jobs.contracts.frozen import Contract


class RatedPlayer(Contract):
    """A player on the leaderboard of one run.

    Attributes:
        rank: 1 is first; equal ratings share a rank.
        rating: in Elo points; None: no battle of its was decided.
        low: lower end of the rating's 95% interval; None: open.
        high: upper end of that interval; None: open.
        gold: instructions of which it wrote the gold answer.
    """

    rank: int
    rating: float | None = None
    low: float | None = None
    high: float | None = None
    gold: int


class ComparedPlayer(Contract):
    """A player in both runs; None in the one that does not have it."""

    name: str
    first: RatedPlayer | None = None
    second: RatedPlayer | None = None


class ComparedStage(Contract):
    """The artifacts of a stage.

    Attributes:
        both: of both runs.
        first_only: of the first run alone.
        second_only: of the second run alone.
    """

    stage: str
    both: int
    first_only: int
    second_only: int


class OnlyInOne(Contract):
    """What one run has and the other one has not.

    Attributes:
        instructions: of which the other run has none.
        battles_by_instruction: battles on them.
        battles_by_player: battles of a player that the other run has not.
        battles_by_schedule: the other run has the instruction and both players, and does not let them meet on it.
        voted: battles of both runs in which judges voted in this run only.
    """

    instructions: int
    battles_by_instruction: int
    battles_by_player: int
    battles_by_schedule: int
    voted: int


class ComparedBattle(Contract):
    """A battle of both runs whose winner or gold answer differs.

    Attributes:
        id: INSTRUCTION/A/B, as `tiltyard show` takes it; A and B are those of the first run.
        first_share: A's share of the votes in the first run; None: no judge voted.
        second_share: A's share of the votes in the second run; None: no judge voted.
        other_winner: the winners differ.
        first_gold: who wrote the gold answer to the instruction in the first run; None: nobody.
        second_gold: who wrote it in the second run; None: nobody.
    """

    id: str
    first_share: float | None = None
    second_share: float | None = None
    other_winner: bool
    first_gold: str | None = None
    second_gold: str | None = None


class Differences(Contract):
    """All of it.

    Attributes:
        why: the stage from which the runs differ, in a sentence.
        stages: in the order of the pipeline.
        players: by rank in the first run, then in the second.
        shared_battles: battles that both runs have.
        other_winner: how many of them have another winner.
        differing: how many of them have another winner, or an answer that is gold in one run only.
        battles: those of them whose votes differ most, as many as were asked for.
        first_only: what the second run lacks.
        second_only: what the first run lacks.
    """

    why: str
    stages: tuple[ComparedStage, ...]
    players: tuple[ComparedPlayer, ...]
    shared_battles: int
    other_winner: int
    differing: int
    battles: tuple[ComparedBattle, ...]
    first_only: OnlyInOne
    second_only: OnlyInOne
