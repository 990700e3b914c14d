"""Ballots: all that rating needs of a tournament, read into columns. No text is kept.

Players and judges are numbered in the manifest's order.

Memory is some fifty bytes for a verdict, and twenty for an instruction and nine for each of its answers; texts pass by
a batch at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tiltyard_jobs.contracts.layout import artifact_prefix
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import Lineup, PlayerRecipe
from tiltyard_jobs.contracts.vocabulary import Ties, Unanswered, VoteKind
from tiltyard_jobs.errors import PermanentError, VoidReason
from tiltyard_jobs.rating.covariate import length_difference
from tiltyard_jobs.rating.judge_bias import Families
from tiltyard_jobs.rating.probability import calibrated, scales
from tiltyard_jobs.rating.votes import Tally, Verdicts, forfeits_lose, shorter_wins, tally
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.pace import Pace

_BATCH_ROWS = 4096


@dataclass(frozen=True)
class Roster:
    """Players and judges.

    Attributes:
        players: in the manifest's order, which numbers them.
        judges: likewise; the players themselves where there is no neutral judge.
    """

    players: tuple[PlayerRecipe, ...]
    judges: tuple[PlayerRecipe, ...]

    @classmethod
    def of(cls, lineup: Lineup) -> Roster:
        """The roster of a lineup."""
        return cls(lineup.players, lineup.judges or lineup.players)

    @cached_property
    def player(self) -> dict[str, int]:
        """Numbers of the players by name."""
        return {player.name: number for number, player in enumerate(self.players)}

    @cached_property
    def judge(self) -> dict[str, int]:
        """Numbers of the judges by name."""
        return {judge.name: number for number, judge in enumerate(self.judges)}

    def families(self) -> Families:
        """Families by number; -1 where none is known."""
        names = sorted({one.family for one in (*self.players, *self.judges) if one.family})
        number = {name: index for index, name in enumerate(names)}

        def numbered(group: Iterable[PlayerRecipe]) -> NDArray[np.int64]:
            return np.array([number.get(one.family, -1) for one in group], dtype=np.int64)

        return Families(numbered(self.players), numbered(self.judges))


class Ballots(NamedTuple):
    """A tournament of N players over I instructions, with V verdicts.

    Attributes:
        ids: (I,) strings: the curated instructions, attacker by attacker in the manifest's order.
        attacker: (I,) numbers of the attackers.
        lengths: (I, N) characters of each answer, 0 where it is void. Characters and not tokens, as each model counts
            tokens of its own.
        answered: (I, N) False where the answer is void.
        verdicts: all that were asked for, in the order of the matches; void ones have NaN for their vote.
        voids: for each judge, its void verdicts by reason. One that was not asked for, since an answer is void, is not
            the judge's.
    """

    ids: pa.StringArray
    attacker: NDArray[np.int64]
    lengths: NDArray[np.float64]
    answered: NDArray[np.bool_]
    verdicts: Verdicts
    voids: tuple[Counter[str], ...]

    def difference(
        self, instruction: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The normalised difference of the lengths of a's and b's answers, in [-1, 1]; see `rating.covariate`.

        It is 0 where one of them is void: what is not there is not short.
        """
        both = self.answered[instruction, a] & self.answered[instruction, b]
        return np.where(both, length_difference(self.lengths[instruction, a], self.lengths[instruction, b]), 0.0)

    def counted(self, ties: Ties, unanswered: Unanswered = "Void", votes: VoteKind = "Plain") -> Tally:
        """The votes of each battle; what they, ties and missing answers are worth is the rules' to say."""
        asked = self.verdicts if votes == "Plain" else calibrated(self.verdicts, scales(self.verdicts))
        if ties == "Shorter":
            asked = shorter_wins(asked, self.difference(asked.instruction, asked.attacker, asked.defender))
        counted = tally(asked)
        if unanswered == "Void":
            return counted
        of_a, of_b = (self.answered[counted.instruction, side] for side in (counted.attacker, counted.defender))
        return forfeits_lose(counted, of_a, of_b)


def sources_of(lineup: Lineup) -> list[ArtifactRef]:
    """All artifacts that `read_ballots` reads: one step each."""
    answers = [ref for by_attacker in lineup.answers.values() for ref in by_attacker.values()]
    return [*lineup.instructions.values(), *answers, *(match.verdicts for match in lineup.matches)]


def read_ballots(artifacts: Artifacts, lineup: Lineup, pace: Pace) -> Ballots:
    """Read a whole tournament.

    Raises:
        PermanentError: an input is missing or damaged, or answers or verdicts are not those of the instructions.
        Stopped: the shard must end.
    """
    artifacts.require_all(sources_of(lineup))
    roster = Roster.of(lineup)
    by_attacker = [_instructions(artifacts, lineup.instructions[player.name], pace) for player in roster.players]
    sizes = [len(ids) for ids in by_attacker]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total, width = int(starts[-1]), len(roster.players)
    lengths = np.zeros((total, width))
    answered = np.zeros((total, width), dtype=np.bool_)
    for player, row in lineup.answers.items():
        for attacker, ref in row.items():
            place = roster.player[attacker]
            rows = slice(int(starts[place]), int(starts[place + 1]))
            length, there = _answers(artifacts, ref, by_attacker[place], pace)
            lengths[rows, roster.player[player]], answered[rows, roster.player[player]] = length, there
    verdicts, voids = _verdicts(artifacts, lineup, roster, by_attacker, starts, pace)
    ids = pa.concat_arrays(by_attacker)
    return Ballots(ids, np.repeat(np.arange(width), sizes), lengths, answered, verdicts, voids)


def batches(artifacts: Artifacts, ref: ArtifactRef, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """An artifact's main table, a few thousand rows of these columns at a time."""
    for seal in artifacts.require(ref):
        with pq.ParquetFile(artifacts.fetch(seal.files["rows"])) as file:
            yield from file.iter_batches(_BATCH_ROWS, columns=list(columns))


def _instructions(artifacts: Artifacts, ref: ArtifactRef, pace: Pace) -> pa.StringArray:
    parts = [_texts(batch, "instruction_id") for batch in batches(artifacts, ref, ["instruction_id"])]
    pace.step()
    return pa.concat_arrays([pa.array([], pa.string()), *parts])


def _answers(
    artifacts: Artifacts, ref: ArtifactRef, ids: pa.StringArray, pace: Pace
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Length and presence of one player's answers to one attacker's instructions."""
    lengths, answered = np.zeros(len(ids)), np.zeros(len(ids), dtype=np.bool_)
    first = 0
    for batch in batches(artifacts, ref, ["instruction_id", "answer", "void"]):
        rows = slice(first, first + batch.num_rows)
        if not batch.column("instruction_id").equals(ids.slice(first, batch.num_rows)):
            raise not_of_these(ref)
        answer = _texts(batch, "answer")
        there = pc.and_(pc.is_valid(answer), pc.is_null(batch.column("void")))
        length = pc.if_else(there, pc.utf8_length(answer), 0)
        lengths[rows] = length.to_numpy(zero_copy_only=False)
        answered[rows] = there.to_numpy(zero_copy_only=False)
        first += batch.num_rows
    if first != len(ids):
        raise not_of_these(ref)
    pace.step()
    return lengths, answered


def _verdicts(
    artifacts: Artifacts,
    lineup: Lineup,
    roster: Roster,
    by_attacker: Sequence[pa.StringArray],
    starts: NDArray[np.int64],
    pace: Pace,
) -> tuple[Verdicts, tuple[Counter[str], ...]]:
    instructions, votes, firsts, sizes = [], [], [], []
    voids: tuple[Counter[str], ...] = tuple(Counter() for _ in roster.judges)
    for match in lineup.matches:
        attacker, judge = roster.player[match.attacker], roster.judge[match.judge]
        rows = 0
        for batch in batches(artifacts, match.verdicts, ["instruction_id", "order", "vote", "void"]):
            place = pc.index_in(batch.column("instruction_id"), value_set=by_attacker[attacker])
            if place.null_count:
                raise not_of_these(match.verdicts)
            void = _texts(batch, "void")
            vote = pc.if_else(pc.is_valid(void), None, batch.column("vote"))
            instructions.append(place.to_numpy(zero_copy_only=False).astype(np.int64) + starts[attacker])
            votes.append(pc.fill_null(vote, float("nan")).to_numpy(zero_copy_only=False))
            firsts.append(pc.equal(batch.column("order"), pa.scalar("AB")).to_numpy(zero_copy_only=False))
            voids[judge].update(reason for reason in void.to_pylist() if reason not in (None, VoidReason.INPUT_VOID))
            rows += batch.num_rows
        sizes.append(rows)
        pace.step()

    def by_match(numbers: Sequence[int]) -> NDArray[np.int64]:
        return np.repeat(np.array(numbers, dtype=np.int64), sizes)

    columns = Verdicts(
        instruction=np.concatenate([np.zeros(0, dtype=np.int64), *instructions]),
        attacker=by_match([roster.player[match.player_a] for match in lineup.matches]),
        defender=by_match([roster.player[match.player_b] for match in lineup.matches]),
        judge=by_match([roster.judge[match.judge] for match in lineup.matches]),
        attacker_first=np.concatenate([np.zeros(0, dtype=np.bool_), *firsts]),
        vote=np.concatenate([np.zeros(0), *votes]),
        players=len(roster.players),
        judges=len(roster.judges),
    )
    return columns, voids


def _texts(batch: pa.RecordBatch, name: str) -> pa.StringArray:
    column = batch.column(name)
    assert isinstance(column, pa.StringArray)
    return column


def not_of_these(ref: ArtifactRef) -> PermanentError:
    """The error for a table that is not, row by row, about the instructions that it should be about."""
    return PermanentError(
        f"{artifact_prefix(ref)}: these rows are not about the curated instructions they were made for;"
        " delete the folder, so that they are recomputed."
    )
