"""Writing the tables of a run's folder (`run_tables`).

One pass over the instructions writes four of them and counts why an instruction gave no row; verdicts and battles
follow, a match at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from tiltyard_jobs.contracts.conversation import whole_text
from tiltyard_jobs.contracts.licenses import named
from tiltyard_jobs.contracts.recipes import DatasetRecipe, SourceRecipe
from tiltyard_jobs.contracts.vocabulary import Flag
from tiltyard_jobs.curation.flags import flags_of
from tiltyard_jobs.rating.votes import Tally
from tiltyard_jobs.results.answered import AnsweredInstruction
from tiltyard_jobs.results.ballots import Ballots, Roster
from tiltyard_jobs.results.columns import Row, fixed, with_thoughts
from tiltyard_jobs.results.dropped import are_given
from tiltyard_jobs.results.origins import origin_of, with_origin
from tiltyard_jobs.results.run_tables import DATASET_TABLES, GIVEN_TABLES, provenance
from tiltyard_jobs.results.training_rows import Selection, preference_row, select, sft_row
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.pace import Pace
from tiltyard_jobs.shard.tables import TableWriter

_EVEN = 1e-9  # half of the votes, but for rounding
_SCORED = ("score", "votes", "verdicts", "opponents", "quorum", "gold")


@dataclass
class Written:
    """What was written.

    Attributes:
        rows: by table.
        cut: instructions that gave no training row, by reason.
        preference_cut: those of the others that gave no preference row, by reason.
        gold: training rows by who wrote the gold answer.
        licenses: likewise by its author's licence.
        flagged: rows by table, then by flag.
        hidden: answers whose words are left out, by instruction and player.
    """

    rows: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    preference_cut: Counter[str] = field(default_factory=Counter)
    gold: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    flagged: dict[str, Counter[str]] = field(default_factory=dict)
    hidden: set[tuple[str, str]] = field(default_factory=set)

    def flag(self, table: str, row: Row) -> Row:
        """Count what a row is flagged for."""
        if row["flags"]:
            self.flagged.setdefault(table, Counter()).update(row["flags"])
        return row

    def count(self, selection: Selection) -> None:
        """Count what became of one instruction."""
        if selection.cut is not None:
            self.cut[selection.cut] += 1
        elif selection.gold is not None:
            self.gold[selection.gold.author.name] += 1
            self.licenses[named(selection.gold.author.license)] += 1
        if selection.preference_cut is not None:
            self.preference_cut[selection.preference_cut] += 1


def table_path(folder: Path, name: str) -> Path:
    """Where a table is written."""
    return folder / f"{name}.parquet"


def write_table(folder: Path, name: str, rows: Iterable[Row], schema: pa.Schema | None = None) -> int:
    """Write one table, of another schema than usual where one is given; returns its number of rows."""
    with TableWriter(table_path(folder, name), schema or (DATASET_TABLES | GIVEN_TABLES)[name]) as table:
        for row in rows:
            table.write(row)
        return table.close()


def write_instructions(
    folder: Path,
    recipe: DatasetRecipe,
    instructions: Iterable[AnsweredInstruction],
    contaminated: Sequence[str | None],
    repeats: Callable[[str], str | None],
    pace: Pace,
) -> Written:
    """Write the instructions, the answers, and the training rows in the formats asked for.

    Args:
        folder: gets the files.
        recipe: the players, the formats, the least margin.
        instructions: in order.
        contaminated: for each of them, the benchmark that it repeats.
        repeats: names the benchmark that an answer repeats.
        pace: one step for each instruction.

    Raises:
        Stopped: the shard must end; no file is left.
    """
    players, written = recipe.lineup.players, Written()
    with ExitStack() as stack:
        given = are_given(recipe)
        source = (recipe.source or SourceRecipe()) if given else None
        tables = {
            name: stack.enter_context(TableWriter(table_path(folder, name), schema))
            for name, schema in _schemas(recipe).items()
        }

        origin: Row = {}

        def write(name: str, row: Row) -> None:
            tables[name].write(written.flag(name, row) | origin)
            written.rows[name] += 1

        for instruction, benchmark in zip(instructions, contaminated, strict=True):
            origin = origin_of(instruction.curated, recipe) if given else {}
            asked, answered = flags_of_all(instruction)
            chosen = select(
                instruction,
                players,
                min_margin=float(recipe.min_margin),
                tied=recipe.tied,
                contaminated=benchmark,
                repeats=repeats,
                source=source,
                allowed=recipe.licenses,
                flags=answered,
                drop=recipe.drop_flags,
            )
            written.count(chosen)
            write("instructions", instruction_row(instruction, chosen, benchmark, asked, given=given))
            for player, answer, score, flags in zip(
                players, instruction.answers, instruction.scores, answered, strict=True
            ):
                hidden = any(flag in recipe.drop_flags for flag in flags)
                if hidden:
                    written.hidden.add((answer["instruction_id"], player.name))
                write("answers", answer_row(instruction, player.name, answer, score, flags, hidden=hidden))
            if chosen.gold is not None and chosen.cut is None and "sft" in tables:
                write("sft", sft_row(instruction, chosen.gold, recipe.tournament, source, asked))
            if chosen.gold is not None and chosen.rejected is not None and "preference" in tables:
                pair = preference_row(instruction, chosen.gold, chosen.rejected, recipe.tournament, source, asked)
                write("preference", pair)
            pace.step()
    return written


def _schemas(recipe: DatasetRecipe) -> dict[str, pa.Schema]:
    """The tables that are written for a recipe, by name."""
    names = ("instructions", "answers", *(kind.lower() for kind in recipe.formats))
    schemas = {name: DATASET_TABLES[name] for name in names}
    if recipe.thoughts == "Keep":
        schemas = {name: with_thoughts(schema) for name, schema in schemas.items()}
    if are_given(recipe):
        schemas = {name: with_origin(schema, recipe.keep) for name, schema in schemas.items()}
    return schemas


def instruction_row(
    instruction: AnsweredInstruction,
    chosen: Selection,
    contaminated: str | None,
    flags: Sequence[Flag],
    *,
    given: bool,
) -> Row:
    """A row of `run_tables.RUN_INSTRUCTIONS`."""
    row, gold = instruction.curated, chosen.gold
    return {
        "instruction_id": row["instruction_id"],
        **provenance("attacker", instruction.attacker, wrote=not given),
        "instruction": row["instruction"],
        "history": row.get("history"),
        "difficulty": row["score"],
        "grade": row["grade"],
        "task_type": row["task_type"],
        **{name: instruction.mined[name] for name in ("temperature", "top_p", "prefix_sha256")},
        "gold": None if gold is None else gold.author.name,
        "margin": None if gold is None else gold.score["margin"],
        "contaminated": contaminated,
        "flags": flags,
        "cut": chosen.cut,
    }


def flags_of_all(instruction: AnsweredInstruction) -> tuple[tuple[Flag, ...], list[tuple[Flag, ...]]]:
    """What an instruction is flagged for, with the turns before it, and each of its answers, with its thought."""
    asked = flags_of(whole_text(instruction.curated["instruction"], instruction.curated.get("history")))
    texts = ("\n".join(filter(None, (answer["answer"], answer.get("thought")))) for answer in instruction.answers)
    return asked, [flags_of(text) for text in texts]


def answer_row(
    instruction: AnsweredInstruction,
    player: str,
    answer: Row,
    score: Row,
    flags: Sequence[Flag],
    *,
    hidden: bool,
) -> Row:
    """A row of `run_tables.RUN_ANSWERS`; without its words where these are `hidden`."""
    row = {name: value for name, value in answer.items() if name != "model_id"}
    if hidden:
        row |= {name: None for name in ("answer", "thought") if name in row}
    return {
        **row,
        "flags": flags,
        "attacker": instruction.attacker.name,
        "model": player,
        **{name: score[name] for name in _SCORED},
    }


def battle_rows(ballots: Ballots, counted: Tally, roster: Roster, origins: Iterable[Row] = ()) -> Iterator[Row]:
    """Rows of `run_tables.BATTLES`: those in which a judge voted, by instruction, then A, then B.

    A battle without a vote is left out, as readers take an outcome that they do not know for a tie. `origins` are those
    of all instructions, in order.
    """
    names = [player.name for player in roster.players]
    numbered = enumerate(origins)
    place, origin = next(numbered, (len(ballots.ids), {}))
    for match in np.flatnonzero(~np.isnan(counted.score)):
        instruction, a, b = int(counted.instruction[match]), int(counted.attacker[match]), int(counted.defender[match])
        length_a, length_b = ballots.lengths[instruction, [a, b]].tolist()
        score = float(counted.score[match])
        while place < instruction:
            place, origin = next(numbered)
        yield origin | {
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


def verdict_rows(artifacts: Artifacts, recipe: DatasetRecipe, written: Written, pace: Pace) -> Iterator[Row]:
    """Rows of `run_tables.RUN_VERDICTS`: every verdict that was asked for, in the manifest's order of matches.

    A judge quotes what it judges: where an answer's words are left out, or its own are flagged for what is dropped, its
    words are left out too.
    """
    for match in recipe.lineup.matches:
        names = {
            "attacker": match.attacker,
            "model_a": match.player_a,
            "model_b": match.player_b,
            "judge": match.judge,
        }
        for row in artifacts.rows(match.verdicts):
            for column in ("model_a_id", "model_b_id", "judge_id"):
                del row[column]
            said = "\n".join(filter(None, (row["reason"], row["detail"])))
            flags = flags_of(said) if said else ()
            shown = ((row["instruction_id"], player) for player in (match.player_a, match.player_b))
            if any(flag in recipe.drop_flags for flag in flags) or not written.hidden.isdisjoint(shown):
                row |= {"reason": None, "detail": None}
            yield written.flag("verdicts", {**row, **names, "flags": flags})
        pace.step()
