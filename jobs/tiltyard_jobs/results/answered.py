"""The tables of a tournament side by side: one curated instruction with its answers and scores at a time.

All tables that derive from one attacker's instructions are aligned row by row, so nothing is looked up and memory is
that of a row group of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import Lineup, PlayerRecipe
from tiltyard_jobs.results.ballots import not_of_these
from tiltyard_jobs.results.columns import Row
from tiltyard_jobs.shard.artifacts import Artifacts

_MINED = ("instruction_id", "temperature", "top_p", "prefix_sha256")


class AnsweredInstruction(NamedTuple):
    """One instruction with all that belongs to it.

    Attributes:
        attacker: who wrote it.
        curated: its curated row.
        mined: how it was sampled; nulls where it was given instead.
        answers: a row for each player, void ones too.
        scores: likewise, of `run_tables.SCORES`.
    """

    attacker: PlayerRecipe
    curated: Row
    mined: Row
    answers: Sequence[Row]
    scores: Sequence[Row]


def answered_instructions(
    artifacts: Artifacts, lineup: Lineup, ratings: ArtifactRef, mined: dict[str, ArtifactRef]
) -> Iterator[AnsweredInstruction]:
    """All curated instructions, attacker by attacker in the manifest's order.

    Args:
        artifacts: where all lies.
        lineup: who takes part.
        ratings: made of the same lineup.
        mined: by attacker: the artifact in which the curated instructions are found, in the same order.

    Raises:
        PermanentError: an input is missing or damaged, or tables are not aligned.
    """
    scores = artifacts.rows(ratings, table="scores")
    for attacker in lineup.players:
        curated = lineup.instructions[attacker.name]
        origins = artifacts.rows(mined[attacker.name], columns=_MINED)
        answers = [lineup.answers[player.name][attacker.name] for player in lineup.players]
        for instruction, *replies in _aligned(artifacts, [curated, *answers]):
            name = instruction["instruction_id"]
            origin = next((row for row in origins if row["instruction_id"] == name), None)
            if origin is None:
                raise not_of_these(curated)
            scored = list(islice(scores, len(lineup.players)))
            if [row["instruction_id"] for row in scored] != [name] * len(lineup.players):
                raise not_of_these(ratings)
            yield AnsweredInstruction(attacker, instruction, origin, replies, scored)


def _aligned(artifacts: Artifacts, refs: Sequence[ArtifactRef]) -> Iterator[list[Row]]:
    """Rows of many artifacts, in step."""
    tables = [artifacts.rows(ref) for ref in refs]
    for first in tables[0]:
        row = [first]
        for table, ref in zip(tables[1:], refs[1:], strict=True):
            other = next(table, None)
            if other is None or other["instruction_id"] != first["instruction_id"]:
                raise not_of_these(ref)
            row.append(other)
        yield row
