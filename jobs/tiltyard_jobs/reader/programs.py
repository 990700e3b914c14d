"""What the programs did that models wrote for benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.reader.tables import Table

_PASSED = "Passed"
_COLUMNS = ("task_id", "outcome", "void")


class ProgramTables(NamedTuple):
    """One model's programs for one benchmark: a row for each task, in the same order in both tables.

    Attributes:
        replies: of the stage `solve`.
        scores: of the stage `score`.
    """

    player: str
    benchmark: str
    replies: Table
    scores: Table


class Program(NamedTuple):
    """One program.

    Attributes:
        outcome: Passed, Failed, TimedOut or Crashed; or why the task is not scored.
        detail: more about it; it may contain what the program printed.
        reply: what the model wrote; None where there is no reply.
    """

    player: str
    benchmark: str
    task: str
    outcome: str
    detail: str
    reply: str | None


class _Row(NamedTuple):
    table: ProgramTables
    number: int
    task: str
    outcome: str


class ProgramList:
    """The programs of a run.

    Args:
        tables: as in `Source.programs`.
    """

    def __init__(self, tables: Sequence[ProgramTables]) -> None:
        rows: list[_Row] = []
        for table in tables:
            found = [row for part in table.scores.columns(_COLUMNS) for row in part.to_pylist()]
            rows += [
                _Row(table, number, row["task_id"] or "", row["void"] or row["outcome"] or "")
                for number, row in enumerate(found)
            ]
        tasks = {key: place for place, key in enumerate(dict.fromkeys((row.table.benchmark, row.task) for row in rows))}
        self._rows = sorted(rows, key=lambda row: (row.outcome == _PASSED, tasks[row.table.benchmark, row.task]))
        self.players = list(dict.fromkeys(table.player for table in tables))
        self.outcomes = sorted({row.outcome for row in rows})

    def __len__(self) -> int:
        return len(self._rows)

    def choose(self, *, player: str = "", outcome: str = "") -> list[int]:
        """The numbers of those of one player, or with one outcome: those that did not pass first, then by task."""
        return [
            number
            for number, row in enumerate(self._rows)
            if player in ("", row.table.player) and outcome in ("", row.outcome)
        ]

    def of_task(self, task: str) -> list[int]:
        """The numbers of those for one task, by player."""
        found = [number for number, row in enumerate(self._rows) if row.task == task]
        return sorted(found, key=lambda number: self.players.index(self._rows[number].table.player))

    def read(self, number: int) -> Program:
        """One of them with its texts."""
        row = self._rows[number]
        return Program(
            player=row.table.player,
            benchmark=row.table.benchmark,
            task=row.task,
            outcome=row.outcome,
            detail=row.table.scores.row(row.number, ("detail",))["detail"] or "",
            reply=row.table.replies.row(row.number, ("reply",))["reply"],
        )
