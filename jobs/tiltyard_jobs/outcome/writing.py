"""One pass over the instructions that writes four tables, and counts why an instruction gave no row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tiltyard_jobs.contracts.recipes import DatasetRecipe
from tiltyard_jobs.outcome.contests import Contest
from tiltyard_jobs.outcome.pace import Pace
from tiltyard_jobs.outcome.tables import TABLES, Row, provenance, tables_of
from tiltyard_jobs.outcome.training import Selection, preference_row, select, sft_row
from tiltyard_jobs.shard.tables import TableWriter

_SCORED = ("score", "votes", "verdicts", "opponents", "quorum", "gold")


@dataclass
class Written:
    """What was written.

    Attributes:
        rows: by table.
        cut: instructions that gave no training row, by reason.
        preference_cut: those of the others that gave no preference row, by reason.
        gold: training rows by who wrote the gold answer.
    """

    rows: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    preference_cut: Counter[str] = field(default_factory=Counter)
    gold: Counter[str] = field(default_factory=Counter)

    def count(self, selection: Selection) -> None:
        """Count what became of one instruction."""
        if selection.cut is not None:
            self.cut[selection.cut] += 1
        elif selection.gold is not None:
            self.gold[selection.gold.author.name] += 1
        if selection.preference_cut is not None:
            self.preference_cut[selection.preference_cut] += 1


def table_path(folder: Path, name: str) -> Path:
    """Where a table is written."""
    return folder / f"{name}.parquet"


def write_table(folder: Path, name: str, rows: Iterable[Row]) -> int:
    """Write one table; returns its number of rows."""
    with TableWriter(table_path(folder, name), TABLES[name]) as table:
        for row in rows:
            table.write(row)
        return table.close()


def write_contests(
    folder: Path,
    recipe: DatasetRecipe,
    fought: Iterable[Contest],
    contaminated: Sequence[str | None],
    repeats: Callable[[str], str | None],
    pace: Pace,
) -> Written:
    """Write the instructions, the answers, and the training rows in the formats asked for.

    Args:
        folder: gets the files.
        recipe: the players, the formats, the least margin.
        fought: the instructions in order.
        contaminated: for each of them, the benchmark that it repeats.
        repeats: names the benchmark that an answer repeats.
        pace: one step for each instruction.

    Raises:
        Stopped: the shard must end; no file is left.
    """
    players, written = recipe.lineup.players, Written()
    with ExitStack() as stack:
        names = ("instructions", "answers", *(kind.lower() for kind in recipe.formats))
        schemas = tables_of(recipe.thoughts)
        tables = {name: stack.enter_context(TableWriter(table_path(folder, name), schemas[name])) for name in names}

        def write(name: str, row: Row) -> None:
            tables[name].write(row)
            written.rows[name] += 1

        for contest, benchmark in zip(fought, contaminated, strict=True):
            chosen = select(
                contest, players, min_margin=float(recipe.min_margin), contaminated=benchmark, repeats=repeats
            )
            written.count(chosen)
            write("instructions", instruction_row(contest, chosen, benchmark))
            for player, answer, score in zip(players, contest.answers, contest.scores, strict=True):
                write("answers", answer_row(contest, player.name, answer, score))
            if chosen.gold is not None and chosen.cut is None and "sft" in tables:
                write("sft", sft_row(contest, chosen.gold, recipe.tournament))
            if chosen.gold is not None and chosen.rejected is not None and "preference" in tables:
                write("preference", preference_row(contest, chosen.gold, chosen.rejected, recipe.tournament))
            pace.step()
    return written


def instruction_row(contest: Contest, chosen: Selection, contaminated: str | None) -> Row:
    """A row of `tables.INSTRUCTION_ROWS`."""
    row, gold = contest.instruction, chosen.gold
    return {
        "instruction_id": row["instruction_id"],
        **provenance("attacker", contest.attacker),
        "instruction": row["instruction"],
        "difficulty": row["score"],
        "grade": row["grade"],
        "task_type": row["task_type"],
        **{name: contest.mined[name] for name in ("temperature", "top_p", "prefix_sha256")},
        "gold": None if gold is None else gold.author.name,
        "margin": None if gold is None else gold.score["margin"],
        "contaminated": contaminated,
        "cut": chosen.cut,
    }


def answer_row(contest: Contest, player: str, answer: Row, score: Row) -> Row:
    """A row of `tables.ANSWER_ROWS`."""
    row = {name: value for name, value in answer.items() if name != "model_id"}
    return {
        **row,
        "attacker": contest.attacker.name,
        "model": player,
        **{name: score[name] for name in _SCORED},
    }
