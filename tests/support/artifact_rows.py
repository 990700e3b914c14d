"""The rows of the artifacts of a played tournament, from plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.records import instruction_id

Row = dict[str, Any]
BY_CURATE = frozenset({"Ungraded", "Difficulty", "Diversity"})
"""The reasons for which `curate` drops an instruction; `filter` has the others."""
VOID: Row = {"vote": None, "void": "Undecided", "prompt_tokens": None, "completion_tokens": None}


class Asked(NamedTuple):
    """A verdict to give: judge, attacker and players by name, the instruction's row, the order of the answers."""

    judge: str
    attacker: str
    row: int
    player_a: str
    player_b: str
    order: str


def plain_answer(player: str, attacker: str, row: int) -> str | None:
    """An answer that differs from all others; None would be a void."""
    return f"{player} on {attacker}'s instruction {row}"


def by_name(asked: Asked) -> float | None:
    """A vote for the name that comes first in the alphabet; None would be a void."""
    return 1.0 if asked.player_a < asked.player_b else 0.0


def key_of(role: str) -> str:
    """A stand-in for an artifact's key."""
    return digest(role.encode())[:32]


def mined_id(attacker: str, row: int) -> str:
    """The id of an instruction that an attacker mined."""
    return instruction_id(key_of(f"mine/{attacker}"), row)


def mined_rows(attacker: str, model_id: str, texts: Sequence[str]) -> list[Row]:
    """Instructions as `mine` and `filter` leave them."""
    return [
        {
            "instruction_id": mined_id(attacker, row),
            "attacker_id": model_id,
            "instruction": text,
            "temperature": (0.6, 0.8, 1.0)[row % 3],
            "top_p": 0.95,
            "finish_reason": "stop",
            "prefix_sha256": digest(attacker.encode()),
            "prompt_tokens": 3,
            "completion_tokens": 20,
        }
        for row, text in enumerate(texts)
    ]


def lost_rows(attacker: str, model_id: str, numbers: range) -> list[Row]:
    """Rows of `mine` that hold no instruction."""
    return [{"instruction_id": mined_id(attacker, row), "attacker_id": model_id, "void": "Empty"} for row in numbers]


def grade_rows(mined: Sequence[Row], scores: Sequence[int]) -> list[Row]:
    """The grades of mined instructions."""
    return [
        {"instruction_id": row["instruction_id"], "grader_id": "g", "score": score, "prompt_tokens": 50}
        for row, score in zip(mined, scores, strict=True)
    ]


def curated_rows(mined: Sequence[Row], scores: Sequence[int], kept: Callable[[int], str | None]) -> list[Row]:
    """Mined instructions as `curate` leaves them; `kept` has the user's own columns of a row, as JSON."""
    return [
        {
            "instruction_id": row["instruction_id"],
            "attacker_id": row["attacker_id"],
            "instruction": row["instruction"],
            "score": score,
            "grade": "Excellent" if score >= 9 else "Good",
            "task_type": "Generation",
            "kept": kept(place),
        }
        for place, (row, score) in enumerate(zip(mined, scores, strict=True))
    ]


def answer_row(name: str, model_id: str, given: str | Row | None) -> Row:
    """An answer to the instruction of an id: a text, None for a void, or columns of the row."""
    if given is None:
        return {"instruction_id": name, "model_id": model_id, "void": "Unavailable", "detail": "503"}
    row = given if isinstance(given, dict) else {"answer": given}
    defaults = {"finish_reason": "stop", "prompt_tokens": 10, "completion_tokens": 30}
    return {"instruction_id": name, "model_id": model_id, **defaults, **row}


def verdict_row(name: str, asked: Asked, model_ids: Mapping[str, str], given: float | Row | None) -> Row:
    """A verdict on the instruction of an id: a vote for A, None for a void, or columns of the row."""
    made = given if isinstance(given, dict) else {"vote": given} if given is not None else VOID
    return {
        "instruction_id": name,
        "model_a_id": model_ids[asked.player_a],
        "model_b_id": model_ids[asked.player_b],
        "judge_id": model_ids[asked.judge],
        "order": asked.order,
        "prompt_tokens": 100,
        "completion_tokens": 1,
        **made,
    }
