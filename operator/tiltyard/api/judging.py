"""What is known of the judges besides what they say in this tournament."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import ColumnName
from tiltyard.api.shapes import Whole
from tiltyard.api.texts import Texts
from tiltyard_jobs.contracts.vocabulary import BadRowRule, Better


class LabelledPairs(Texts):
    """A file of instructions with two answers each, of which one is known to be better."""

    answers: Annotated[tuple[ColumnName, ...], Field(min_length=2, max_length=2)] = ("answer_a", "answer_b")
    """The two columns that hold the answers, or paths to them: text, or a conversation whose last message is the
    answer. Default: answer_a, answer_b."""
    better: Better = "Named"
    """Which answer is the better one. Named: the one that `winnerField` names. First: always the first of `answers`, as
    in files of chosen and rejected answers. Default: Named."""
    winner_field: ColumnName = "winner"
    """The column that names the better answer, or a path to it: model_a, answer_a, A, first or 1 for the first of
    `answers`, likewise for the second, and tie, which says nothing. The name of the answer's column is read too.
    Default: winner."""
    sample: Annotated[int, Whole(2, 100_000)] = 200
    """The number of pairs that are judged, at most, each in both orders by each judge; of more, some are chosen at
    random. Default: 200."""
    on_bad_row: BadRowRule = "Refuse"
    """What happens to a malformed row. Refuse: the file is refused. Skip: such rows are skipped and counted.
    Default: Refuse."""


class Judging(ApiModel):
    """What is known of the judges besides what they say in this tournament."""

    calibration: LabelledPairs | None = None
    """Pairs of answers whose better one is known. Each judge compares them as it compares the answers of a battle; the
    report and leaderboard.json say how often it is right, what it adds to the jury, and what win rates become. The
    ratings stay as they are. Absent: none; labels of the tournament's own battles are for `tiltyard calibrate`."""
