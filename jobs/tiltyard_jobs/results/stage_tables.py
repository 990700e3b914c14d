"""The tables that stages seal for one another. All ids are hex; all text is UTF-8; no clock, no host name.

A row that could not be made keeps its place with `void` set to its reason and its payload null, so that the tables that
derive from one set of instructions stay aligned row by row. What `rate` and `dataset` seal is in `run_tables`.
"""

from __future__ import annotations

import pyarrow as pa

from tiltyard_jobs.results.columns import FINISH, INSTRUCTION, TOKENS, VOID, column, integer, real, table, text, truth

INSTRUCTIONS = table(
    INSTRUCTION
    | {
        "attacker_id": text("the model that mined it"),
        "instruction": text("what is asked; null where void"),
        "temperature": real("how it was sampled; null where it was read from a file"),
        "top_p": real("likewise"),
    }
    | FINISH
    | {"prefix_sha256": text("of the chat template's prefix that it was mined with")}
    | TOKENS
    | VOID
)

DROPPED = table(
    INSTRUCTION
    | {
        "reason": text("a lint issue, Duplicate, Difficulty, Diversity, or a void's reason"),
        "twin_id": text("of a duplicate: the instruction that was kept"),
    }
)

GRADES = table(
    INSTRUCTION
    | {"grader_id": text("the model that graded"), "score": integer("difficulty, 1 to 10; null where void", 8)}
    | TOKENS
    | VOID
)

CURATED = table(
    INSTRUCTION
    | {
        "attacker_id": text("the model that mined it"),
        "instruction": text("what battles are fought over"),
        "score": integer("difficulty, 1 to 10; null where nothing was graded", 8),
        "grade": text("Excellent, Good, Average or Poor; null where nothing was graded"),
        "task_type": text("one of seven, by rules"),
    }
)

ANSWERS = table(
    INSTRUCTION | {"model_id": text("who answers"), "answer": text("null where void")} | FINISH | TOKENS | VOID
)

VERDICTS = table(
    INSTRUCTION
    | {
        "model_a_id": text("the attacker, where pairing is AttackerDefender"),
        "model_b_id": text("its opponent"),
        "judge_id": text("who judges"),
        "order": text("AB: A's answer was shown first; BA: B's"),
        "vote": real("for A, in [0, 1]; null where void"),
        "reason": text("the judge's words, where it was asked for them"),
    }
    | TOKENS
    | VOID
)

REFERENCES = table(
    {
        "task_id": text("the benchmark's own"),
        "outcome": text("of the authors' own solution: Passed, Failed, TimedOut, Crashed"),
        "detail": text("of a failure; what the program said of itself, so hostile"),
    }
)

QUESTIONS = table(
    {
        "request_id": text("TASK/QUESTION/KIND/PLACE/REPEAT/DIGEST"),
        "prompt": text("to be continued, where there is one"),
        "messages": text("to be answered, where there are: JSON"),
        "until": column(pa.list_(pa.string()), "where a reply ends"),
        "temperature": real("of the sampling"),
        "top_p": real("of the sampling"),
        "max_tokens": integer("of a reply"),
        "context": text("what a given text stands behind"),
        "continuation": text("the given text, whose likelihood after `context` is wanted"),
    }
)

SOLUTIONS = table(
    {
        "task_id": text("the benchmark's own"),
        "model_id": text("who replies"),
        "reply": text("null where void"),
    }
    | FINISH
    | TOKENS
    | VOID
)

HARNESS_REPLIES = table(
    {
        "request_id": text("of the question"),
        "model_id": text("who replies"),
        "reply": text("null where void, and where a given text was asked for"),
        "logprob": real("natural, of the given text; null where a reply was asked for"),
        "greedy": truth("the model would have written the given text"),
    }
    | FINISH
    | TOKENS
    | VOID
)

TASK_SCORES = table(
    {
        "task_id": text("the benchmark's own"),
        "model_id": text("who replied"),
        "value": real("0 to 1, of a program 0 or 1; null where void"),
        "outcome": text("of a program: Passed, Failed, TimedOut, Crashed; else the metric"),
        "detail": text("of a failure; what the program said of itself, so hostile"),
        "void": text("why it is not scored: the reply was never written, or the task is unsolvable here"),
    }
)
