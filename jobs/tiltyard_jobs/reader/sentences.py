"""What is said of a battle in words: on a page, and on a terminal."""

from __future__ import annotations

import math
from typing import Any

from tiltyard_jobs.reader.battle import Answer, Battle
from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.report.formats import visible

_EVEN = 1e-9
_CUTS = {
    "NoGold": "no answer is gold",
    "Truncated": "the gold answer was cut by the token limit",
    "Margin": "its lead is below dataset.minMargin",
    "Tied": "it leads no other answer",
}


def listed(index: Index, number: int, href: str, limit: int) -> dict[str, Any]:
    """A battle's line in a list."""
    battles = index.battles
    place, share = int(battles.instruction[number]), float(battles.share[number])
    text = index.source.tables["instructions"].row(place, ("instruction",))["instruction"] or ""
    return {
        "href": href,
        "excerpt": visible(" ".join(text[: 4 * limit].split()), limit),
        "a": index.players.words[int(battles.a[number])],
        "b": index.players.words[int(battles.b[number])],
        "share": None if math.isnan(share) else share,
        "ahead": "" if math.isnan(share) or abs(share - 0.5) < _EVEN else "a" if share > 0.5 else "b",
        "about": _about(index, number, place),
    }


def _about(index: Index, number: int, place: int) -> str:
    battles, words = index.battles, []
    if index.task_type[place] >= 0:
        words.append(index.types.words[int(index.task_type[place])])
    if index.difficulty[place]:
        words.append(f"difficulty {index.difficulty[place]}")
    flips, voids = int(battles.flips[number]), int(battles.voids[number])
    if flips:
        words.append(f"{flips} flipped")
    if battles.split[number] > 0:
        words.append("split")
    if voids:
        words.append(f"{voids} void")
    return " · ".join(words)


def outcome(battle: Battle) -> str:
    """Who won, and by how much."""
    if battle.share is None:
        return "No judge voted." if battle.verdicts else "No judge has been asked yet."
    judges = len({one.judge for one in battle.verdicts if one.vote is not None})
    votes = f"{judges} judge{'s' if judges != 1 else ''}"
    if abs(battle.share - 0.5) < _EVEN:
        return f"A tie: {votes} gave each answer half of the votes."
    winner, share = (battle.a, battle.share) if battle.share > 0.5 else (battle.b, 1 - battle.share)
    return f"{winner.player} won with {_digits(share)} of the votes of {votes}."


def _digits(share: float) -> str:
    """Three digits, or six where three are those of a tie."""
    return f"{share:.3f}" if f"{share:.3f}" != "0.500" else f"{share:.6f}"


def about_battle(battle: Battle) -> str:
    """What is known of the instruction."""
    words = [f"{battle.identity}", f"written by {battle.attacker}"]
    if battle.task_type:
        words.append(battle.task_type)
    if battle.difficulty:
        words.append(f"difficulty {battle.difficulty}" + (f" ({battle.grade})" if battle.grade else ""))
    words += [f"{name}: {visible(value)}" for name, value in battle.columns if value]
    return " · ".join(words)


def about_answer(battle: Battle, one: Answer) -> str:
    """What is known of an answer, and which file it is from where it existed before."""
    about = _about_text(battle, one)
    return f"{about} · {visible(one.existing)}" if one.existing else about


def _about_text(battle: Battle, one: Answer) -> str:
    if one.void:
        return f"void: {one.void}" + (f" ({visible(one.detail)})" if one.detail else "")
    if one.text is None:
        return "dropped for what it holds (curation.flags)" if one.tokens is not None else "not answered yet"
    words = [f"{len(one.text):,} characters"]
    if one.tokens is not None:
        words.append(f"{one.tokens:,} tokens")
    if battle.share is not None:
        share = battle.share if one.player == battle.a.player else 1 - battle.share
        words.append(f"{_digits(share)} of the votes")
    if one.cut:
        words.append("cut by the token limit")
    return " · ".join(words)


def gold_sentence(battle: Battle, *, complete: bool) -> str:
    """Which answer is gold, and why."""
    if not complete:
        return "Gold answers are chosen when all votes are in."
    if battle.gold is None:
        return "No answer to this instruction is gold: no judge voted on it."
    scores = [one.score for one in battle.standings if one.score is not None]
    best = next((one.score for one in battle.standings if one.gold), None)
    sentence = f"{battle.gold}'s answer is gold"
    if best is not None:
        sentence += f": its score of {best:.3f} is the highest of {len(scores)}"
        if battle.margin is not None and len(scores) > 1:
            lead = f"{battle.margin:.3f}" if battle.margin >= 0.001 else f"{battle.margin:.6f}"
            sentence += f", {lead} ahead of the next"
    sentence += "; a score weighs the expected result by rating and the share of the votes (rating.alpha)."
    if battle.cut is None:
        return f"{sentence} It is a training row."
    reason, _, benchmark = battle.cut.partition(":")
    why = f"the instruction repeats {visible(benchmark)}" if benchmark else _CUTS.get(reason, reason)
    return f"{sentence} It is not a training row: {why}."
