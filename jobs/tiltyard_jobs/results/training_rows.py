"""Which instructions give training rows, and what is in them.

An instruction is cut for the first of these reasons that holds: no answer was judged, it or its gold answer repeats a
benchmark, the gold answer was cut by the token limit, it leads the second best by too little or not at all. What is
left gives a row for fine-tuning; and one for preference training where some judged answer, the lowest, is strictly
worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, get_args

from tiltyard_jobs.contracts.licenses import combined, identifier
from tiltyard_jobs.contracts.recipes import PlayerRecipe, SourceRecipe
from tiltyard_jobs.contracts.vocabulary import Flag, Tied
from tiltyard_jobs.results.answered import AnsweredInstruction
from tiltyard_jobs.results.columns import Row
from tiltyard_jobs.results.run_tables import provenance


class Cut(StrEnum):
    """Why an instruction gives no training row."""

    NO_GOLD = "NoGold"  # no match was decided
    CONTAMINATED = "Contaminated"  # followed by a colon and the benchmark's name
    TRUNCATED = "Truncated"  # the gold answer was cut by the token limit
    MARGIN = "Margin"  # below spec.dataset.minMargin
    LICENSE = "License"  # followed by a colon and the licence that spec.dataset.licenses.allow does not have
    TIED = "Tied"  # the gold answer leads no other: a rule chose it, not the votes
    FLAGGED = "Flagged"  # followed by a colon and what spec.curation.flags drops
    NO_REJECTED = "NoRejected"  # no judged answer is worse than the gold one: for preference rows alone


class Entry(NamedTuple):
    """One player's answer with what became of it."""

    author: PlayerRecipe
    answer: Row
    score: Row
    flags: tuple[Flag, ...]


class Selection(NamedTuple):
    """What training takes from one instruction.

    Attributes:
        gold: the best answer; None where none was judged.
        rejected: the worst one; None where there is no preference row.
        cut: why there is no row at all.
        preference_cut: why there is no preference row, where there is the other.
    """

    gold: Entry | None = None
    rejected: Entry | None = None
    cut: str | None = None
    preference_cut: str | None = None


def select(
    instruction: AnsweredInstruction,
    players: tuple[PlayerRecipe, ...],
    *,
    min_margin: float,
    tied: Tied,
    contaminated: str | None,
    repeats: Callable[[str], str | None],
    source: SourceRecipe | None,
    allowed: Collection[str],
    flags: Sequence[tuple[Flag, ...]],
    drop: Collection[Flag],
) -> Selection:
    """Pick the answers to train on.

    Args:
        instruction: with its answers and scores.
        players: authors of its answers, in their order.
        min_margin: the least lead of a gold answer, in final score.
        tied: what becomes of a gold answer without a lead.
        contaminated: the benchmark that the instruction repeats.
        repeats: names the benchmark that an answer repeats.
        source: of a given instruction.
        allowed: licences; none: all are.
        flags: of each answer.
        drop: flags that an answer to train on must not have.
    """
    entries = [Entry(*entry) for entry in zip(players, instruction.answers, instruction.scores, flags, strict=True)]
    gold = next((entry for entry in entries if entry.score["gold"]), None)
    if gold is None:
        return Selection(cut=Cut.NO_GOLD)
    benchmark = contaminated or repeats(gold.answer["answer"])
    if benchmark is not None:
        return Selection(gold, cut=f"{Cut.CONTAMINATED}:{benchmark}")
    if gold.answer["finish_reason"] == "length":
        return Selection(gold, cut=Cut.TRUNCATED)
    margin = gold.score["margin"] or 0.0
    if margin < min_margin:
        return Selection(gold, cut=Cut.MARGIN)
    if not margin and tied == "Skip":
        return Selection(gold, cut=Cut.TIED)
    if (bars := refused((_license_asked(instruction, source), gold.author.license), allowed)) is not None:
        return Selection(gold, cut=f"{Cut.LICENSE}:{bars}")
    if (flag := _dropped_for(gold, drop)) is not None:
        return Selection(gold, cut=f"{Cut.FLAGGED}:{flag}")

    judged = (entry for entry in entries if entry.score["score"] is not None)
    rejected = min(judged, key=lambda entry: entry.score["score"])
    if not rejected.score["score"] < gold.score["score"]:
        return Selection(gold, preference_cut=Cut.NO_REJECTED)
    benchmark = repeats(rejected.answer["answer"])
    if benchmark is not None:
        return Selection(gold, preference_cut=f"{Cut.CONTAMINATED}:{benchmark}")
    if (bars := refused((rejected.author.license,), allowed)) is not None:
        return Selection(gold, preference_cut=f"{Cut.LICENSE}:{bars}")
    if (flag := _dropped_for(rejected, drop)) is not None:
        return Selection(gold, preference_cut=f"{Cut.FLAGGED}:{flag}")
    return Selection(gold, rejected)


def refused(stated: Iterable[str | None], allowed: Collection[str]) -> str | None:
    """The first of these licences that is not allowed, by its identifier; None where all are."""
    return next((name for name in map(identifier, stated) if allowed and name not in allowed), None)


def _dropped_for(entry: Entry, drop: Collection[Flag]) -> Flag | None:
    return next((flag for flag in entry.flags if flag in drop), None)


def _license_asked(instruction: AnsweredInstruction, source: SourceRecipe | None) -> str | None:
    return instruction.attacker.license if source is None else source.license


def _common(
    instruction: AnsweredInstruction,
    tournament: str,
    source: SourceRecipe | None,
    asked: Sequence[Flag],
    answers: Sequence[Entry],
) -> Row:
    """What both kinds of rows say of their instruction, and of all that is in the row."""
    row = instruction.curated
    stated = (_license_asked(instruction, source), *(entry.author.license for entry in answers))
    return {
        "instruction_id": row["instruction_id"],
        "tournament": tournament,
        **provenance("attacker", instruction.attacker, wrote=source is None),
        "difficulty": row["score"],
        "grade": row["grade"],
        "task_type": row["task_type"],
        "row_license": combined(stated),
        "flags": [flag for flag in get_args(Flag) if flag in asked or any(flag in one.flags for one in answers)],
    }


def sft_row(
    instruction: AnsweredInstruction,
    gold: Entry,
    tournament: str,
    source: SourceRecipe | None,
    asked: Sequence[Flag],
) -> Row:
    """A row of `run_tables.SFT`. `asked` are the flags of the instruction."""
    return {
        "messages": [*_asked(instruction), _answered(gold)],
        **_common(instruction, tournament, source, asked, (gold,)),
        **provenance("model", gold.author),
        **{name: gold.score[name] for name in ("score", "margin", "votes", "verdicts", "quorum")},
    }


def preference_row(
    instruction: AnsweredInstruction,
    gold: Entry,
    rejected: Entry,
    tournament: str,
    source: SourceRecipe | None,
    asked: Sequence[Flag],
) -> Row:
    """A row of `run_tables.PREFERENCE`; `asked` as for `sft_row`."""
    return {
        "prompt": _asked(instruction),
        "chosen": [_answered(gold)],
        "rejected": [_answered(rejected)],
        **_common(instruction, tournament, source, asked, (gold, rejected)),
        **provenance("chosen_model", gold.author),
        **provenance("rejected_model", rejected.author),
        "chosen_score": gold.score["score"],
        "rejected_score": rejected.score["score"],
        "margin": gold.score["margin"],
        "quorum": gold.score["quorum"] and rejected.score["quorum"],
    }


def _asked(instruction: AnsweredInstruction) -> list[dict[str, str]]:
    row = instruction.curated
    return [*(row.get("history") or ()), {"role": "user", "content": row["instruction"]}]


def _answered(entry: Entry) -> dict[str, str]:
    """A turn; a thought stands where today's chat templates read it, never in the content."""
    turn = {"role": "assistant", "content": entry.answer["answer"]}
    thought = entry.answer.get("thought")
    return turn if thought is None else turn | {"reasoning_content": thought}
