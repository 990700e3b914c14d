"""The tables that users see: names instead of ids, and beside each training row where it came from.

`sft` has the `messages` form that chat trainers read, `preference` TRL's conversational form (`prompt`, `chosen`,
`rejected`), `battles` the columns that arena-rank reads: `winner` by majority, and `score`, the exact outcome, which
gives the very ratings of the report (`outcome_col="score", outcome_map=float`).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tiltyard_jobs.contracts.recipes import PlayerRecipe, Thoughts
from tiltyard_jobs.records import table_schema

_TURN = [pa.field("role", pa.string()), pa.field("content", pa.string())]
MESSAGES = pa.list_(pa.struct(_TURN))
MESSAGES_WITH_THOUGHTS = pa.list_(pa.struct([*_TURN, pa.field("reasoning_content", pa.string())]))


def provenance_columns(role: str) -> dict[str, pa.DataType]:
    """Columns that say which model wrote something: its name in the tournament, weights and licence."""
    return {name: pa.string() for name in (role, f"{role}_uri", f"{role}_revision", f"{role}_license")}


def provenance(role: str, author: PlayerRecipe) -> dict[str, str | None]:
    """Values of these columns."""
    values = (author.name, author.model.uri, author.model.revision, author.license)
    return dict(zip(provenance_columns(role), values, strict=True))


def message(role: str, content: str, thought: str | None = None) -> dict[str, str]:
    """One turn of a conversation; a thought stands where today's chat templates read it, never in the content."""
    return {"role": role, "content": content} | ({} if thought is None else {"reasoning_content": thought})


INSTRUCTION_ROWS = table_schema(
    {
        "instruction_id": pa.string(),
        **provenance_columns("attacker"),  # the model that wrote it
        "instruction": pa.string(),
        "difficulty": pa.int8(),  # from 1 to 10; null where nothing was graded
        "grade": pa.string(),
        "task_type": pa.string(),
        "temperature": pa.float64(),  # null where it was given instead of mined
        "top_p": pa.float64(),
        "prefix_sha256": pa.string(),  # of the chat template's prefix that it was mined with
        "gold": pa.string(),  # the player whose answer is the best; null: none was judged
        "margin": pa.float64(),  # its final score less the second best
        "contaminated": pa.string(),  # the first benchmark whose text it repeats
        "cut": pa.string(),  # why there is no training row; null where there is one
    }
)

ANSWER_ROWS = table_schema(
    {
        "instruction_id": pa.string(),
        "attacker": pa.string(),
        "model": pa.string(),
        "answer": pa.string(),
        "finish_reason": pa.string(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "score": pa.float64(),  # final score in [0, 1]; null where void or in no decided match
        "votes": pa.float64(),
        "verdicts": pa.int32(),
        "opponents": pa.int32(),
        "quorum": pa.bool_(),
        "gold": pa.bool_(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

VERDICT_ROWS = table_schema(
    {
        "instruction_id": pa.string(),
        "attacker": pa.string(),
        "model_a": pa.string(),
        "model_b": pa.string(),
        "judge": pa.string(),
        "order": pa.string(),  # AB: A's answer was shown first
        "vote": pa.float64(),  # for A, in [0, 1]; null where void
        "reason": pa.string(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

BATTLE_ROWS = table_schema(
    {
        "instruction_id": pa.string(),
        "attacker": pa.string(),
        "model_a": pa.string(),
        "model_b": pa.string(),
        "winner": pa.string(),  # model_a, model_b or tie: who has more of the votes
        "score": pa.float64(),  # model_a's share of the votes, in [0, 1]
        "votes_a": pa.float64(),
        "votes_b": pa.float64(),
        "judges_asked": pa.int32(),
        "judges_answered": pa.int32(),
        "quorum": pa.bool_(),
        "length_a": pa.int64(),  # characters
        "length_b": pa.int64(),
        "length_difference": pa.float64(),  # (a - b) / (a + b): a feature for arena-rank's contextual model
    }
)

_TRAINING = {
    "instruction_id": pa.string(),
    "tournament": pa.string(),
    **provenance_columns("attacker"),
    "difficulty": pa.int8(),
    "grade": pa.string(),
    "task_type": pa.string(),
}

SFT_ROWS = table_schema(
    {
        "messages": MESSAGES,
        **_TRAINING,
        **provenance_columns("model"),  # the gold answer's author
        "score": pa.float64(),
        "margin": pa.float64(),
        "votes": pa.float64(),  # won in its matches, of so many verdicts
        "verdicts": pa.int32(),
        "quorum": pa.bool_(),
    }
)

PREFERENCE_ROWS = table_schema(
    {
        "prompt": MESSAGES,
        "chosen": MESSAGES,
        "rejected": MESSAGES,
        **_TRAINING,
        **provenance_columns("chosen_model"),
        **provenance_columns("rejected_model"),
        "chosen_score": pa.float64(),
        "rejected_score": pa.float64(),
        "margin": pa.float64(),  # of the gold answer to the second best, not to the rejected one
        "quorum": pa.bool_(),
    }
)

TABLES: dict[str, pa.Schema] = {
    "sft": SFT_ROWS,
    "preference": PREFERENCE_ROWS,
    "instructions": INSTRUCTION_ROWS,
    "answers": ANSWER_ROWS,
    "verdicts": VERDICT_ROWS,
    "battles": BATTLE_ROWS,
}
"""By the name of the configuration under which `datasets.load_dataset` finds it."""


def tables_of(thoughts: Thoughts) -> dict[str, pa.Schema]:
    """The tables of a data set, as its recipe says: with `Keep`, answers and what is trained on have their thoughts."""
    if thoughts == "Drop":
        return TABLES
    tables = {**TABLES, "answers": TABLES["answers"].append(pa.field("thought", pa.string()))}
    for name in ("sft", "preference"):
        fields = [
            field.with_type(MESSAGES_WITH_THOUGHTS) if field.type == MESSAGES else field for field in TABLES[name]
        ]
        tables[name] = pa.schema(fields)
    return tables


PLACES = {name: f"{'data' if name in ('sft', 'preference') else 'tables'}/{name}.parquet" for name in TABLES}
"""Where each lies in a run's folder, relative to the card."""

Row = dict[str, Any]
