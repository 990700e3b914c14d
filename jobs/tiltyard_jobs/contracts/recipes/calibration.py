"""Pairs of answers whose better one is known, for judges to be held against."""

from __future__ import annotations

from typing import ClassVar, Literal

from tiltyard_jobs.contracts.located import Located
from tiltyard_jobs.contracts.recipe import Phase, Recipe
from tiltyard_jobs.contracts.vocabulary import BadRowRule, Better


class PairsRecipe(Recipe, Located):
    """Labelled pairs from a file of the user's. Judges compare them as they compare the answers of a battle.

    Attributes:
        uri: where the file is.
        sha256: its digest, where it is known: another file in its place is refused, and `uri` is not in the key.
        field: the column that holds the instruction, or a path to it.
        answers: those of the two answers.
        better: whether `winner_field` names the better one.
        rows: pairs, at most; of more, some by chance.
        seed: says which.
    """

    PHASE: ClassVar[Phase] = "Judging"

    stage: Literal["pairs"] = "pairs"
    uri: str
    sha256: str | None = None
    field: str
    answers: tuple[str, ...]
    better: Better
    winner_field: str
    on_bad_row: BadRowRule
    rows: int
    seed: int


ANSWERS = ("answer_a", "answer_b")
"""The columns of its two answers."""
