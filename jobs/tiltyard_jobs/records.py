"""The tables: one schema for each stage's rows. All ids are hex; all text is UTF-8; no clock, no host name.

A row that could not be made keeps its place with `void` set to its reason and its payload null, so that the tables that
derive from one set of instructions stay aligned row by row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pyarrow as pa


def table_schema(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    """A table's columns, all of which may hold nulls."""
    return pa.schema(columns)


INSTRUCTIONS = table_schema(
    {
        "instruction_id": pa.string(),
        "attacker_id": pa.string(),  # the model that mined it
        "instruction": pa.string(),
        "temperature": pa.float64(),
        "top_p": pa.float64(),
        "finish_reason": pa.string(),
        "prefix_sha256": pa.string(),  # of the template's prefix that it was mined with
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

# Curated instructions: what battles are fought over.
CURATED = table_schema(
    {
        "instruction_id": pa.string(),
        "attacker_id": pa.string(),
        "instruction": pa.string(),
        "score": pa.int8(),  # difficulty from 1 to 10; null where nothing was graded
        "grade": pa.string(),
        "task_type": pa.string(),
    }
)

DROPPED = table_schema(
    {
        "instruction_id": pa.string(),
        "reason": pa.string(),  # a lint issue, Duplicate, Difficulty, Diversity, or a void's reason
        "twin_id": pa.string(),  # of a duplicate: the one that was kept
    }
)

GRADES = table_schema(
    {
        "instruction_id": pa.string(),
        "grader_id": pa.string(),
        "score": pa.int8(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

ANSWERS = table_schema(
    {
        "instruction_id": pa.string(),
        "model_id": pa.string(),
        "answer": pa.string(),
        "finish_reason": pa.string(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

# With `thoughts: Keep`.
ANSWERS_WITH_THOUGHTS = ANSWERS.append(pa.field("thought", pa.string()))  # null where there is none

VERDICTS = table_schema(
    {
        "instruction_id": pa.string(),
        "model_a_id": pa.string(),  # the attacker, where pairing is AttackerDefender
        "model_b_id": pa.string(),
        "judge_id": pa.string(),
        "order": pa.string(),  # AB: A's answer was shown first; BA: B's
        "vote": pa.float64(),  # for A, in [0, 1]; null where void
        "reason": pa.string(),  # the judge's words, where it was asked for them
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)


SOLUTIONS = table_schema(
    {
        "task_id": pa.string(),
        "model_id": pa.string(),
        "reply": pa.string(),
        "finish_reason": pa.string(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

QUESTIONS = table_schema(
    {
        "request_id": pa.string(),  # TASK/QUESTION/KIND/PLACE/REPEAT/DIGEST
        "prompt": pa.string(),  # to be continued, where there is one
        "messages": pa.string(),  # to be answered, where there are: JSON
        "until": pa.list_(pa.string()),  # where a reply ends
        "temperature": pa.float64(),
        "top_p": pa.float64(),
        "max_tokens": pa.int64(),
        "context": pa.string(),
        "continuation": pa.string(),  # a given text, whose likelihood after `context` is wanted
    }
)

HARNESS_REPLIES = table_schema(
    {
        "request_id": pa.string(),
        "model_id": pa.string(),
        "reply": pa.string(),  # null where a given text was asked for
        "logprob": pa.float64(),  # natural, of the given text; null where a reply was asked for
        "greedy": pa.bool_(),  # the model would have written the given text
        "finish_reason": pa.string(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "void": pa.string(),
        "detail": pa.string(),
    }
)

REFERENCES = table_schema(
    {
        "task_id": pa.string(),
        "outcome": pa.string(),  # of the authors' own solution: Passed, Failed, TimedOut, Crashed
        "detail": pa.string(),
    }
)

SCORES = table_schema(
    {
        "task_id": pa.string(),
        "model_id": pa.string(),
        "value": pa.float64(),  # 0 to 1, of a program 0 or 1; null where void
        "outcome": pa.string(),  # of a program: Passed, Failed, TimedOut, Crashed; else the metric
        "detail": pa.string(),  # of a failure; what the program said of itself, so hostile
        "void": pa.string(),  # it is not scored: the solution's own, it was never written; or unsolvable here
    }
)


def instruction_id(source_key: str, row: int) -> str:
    """The id of the instruction in row `row` of a mined (or read) artifact: 20 hex digits."""
    return hashlib.sha256(f"{source_key}/{row}".encode()).hexdigest()[:20]


def seed_of(*parts: str | int) -> int:
    """A seed from a record's identity: 31 bits, as servers accept; the same on any machine and in any order of work."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF
