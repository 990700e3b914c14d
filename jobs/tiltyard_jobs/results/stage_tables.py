"""The tables that stages seal for one another. All ids are hex; all text is UTF-8; no clock, no host name.

A row that could not be made keeps its place with `void` set to its reason and its payload null, so that the tables that
derive from one set of instructions stay aligned row by row. What `rate` and `dataset` seal is in `run_tables`.
"""

from __future__ import annotations

from tiltyard_jobs.results.columns import (
    FINISH,
    HISTORY,
    INSTRUCTION,
    ORIGIN,
    TOKENS,
    VOID,
    integer,
    messages,
    real,
    table,
    text,
    texts,
    truth,
)

INSTRUCTIONS = table(
    INSTRUCTION
    | {
        "attacker_id": text("`model_id` of the attacker"),
        "instruction": text("what is asked; null where void"),
        "history": messages(HISTORY),
        "temperature": real("how it was sampled; null where it was read from a file"),
        "top_p": real("how it was sampled; null where it was read from a file"),
    }
    | FINISH
    | {"prefix_sha256": text("digest of the chat template's prefix with which it was mined")}
    | ORIGIN
    | TOKENS
    | VOID
)

DROPPED = table(
    INSTRUCTION
    | {
        "reason": text(
            "an issue that lint found, a flag, `Repeat` (equal to another one), `Duplicate` (near to another one), "
            "`Difficulty`, `Diversity`, or a void's reason"
        ),
        "twin_id": text("for a repeat or a duplicate: the instruction that was kept"),
    }
)

GRADES = table(
    INSTRUCTION
    | {"grader_id": text("`model_id` of the grader"), "score": integer("difficulty, 1 to 10; null where void", 8)}
    | TOKENS
    | VOID
)

CURATED = table(
    INSTRUCTION
    | {
        "attacker_id": text("`model_id` of the attacker"),
        "instruction": text("what is asked"),
        "history": messages(HISTORY),
        "score": integer("difficulty, 1 to 10: the graders' lower median; null where nothing was graded", 8),
        "grade": text("`Excellent`, `Good`, `Average` or `Poor`; null where nothing was graded"),
        "task_type": text("one of seven, by rules"),
    }
    | ORIGIN
)

ANSWERS = table(
    INSTRUCTION | {"model_id": text("who answered"), "answer": text("null where void")} | FINISH | TOKENS | VOID
)

PAIRS = table(
    INSTRUCTION
    | {
        "instruction": text("what is asked"),
        "history": messages(HISTORY),
        "answer_a": text("one answer"),
        "answer_b": text("the other"),
        "better": text("`answer_a` or `answer_b`, as the file has it"),
        "source_row": integer("the record's number in the user's file, from 0"),
    }
)

VERDICTS = table(
    INSTRUCTION
    | {
        "model_a_id": text("player A; with `AttackerDefender` the attacker"),
        "model_b_id": text("player B"),
        "judge_id": text("who judged"),
        "order": text("`AB`: A's answer was shown first; `BA`: B's"),
        "vote": real("for A, in [0, 1]; 0.5 is a tie; null where void"),
        "reason": text("the judge's words, with `verdict.method: Reasoned`"),
    }
    | TOKENS
    | VOID
)

REFERENCES = table(
    {
        "task_id": text("the benchmark's own name of the task"),
        "outcome": text("of the authors' own solution: `Passed`, `Failed`, `TimedOut` or `Crashed`"),
        "detail": text("more about a failure; it may contain what the program printed"),
    }
)

QUESTIONS = table(
    {
        "request_id": text("TASK/QUESTION/KIND/PLACE/REPEAT/DIGEST"),
        "prompt": text("a text that the model continues"),
        "messages": text("or messages that it answers, as JSON"),
        "until": texts("texts that end a reply"),
        "temperature": real("how the reply is sampled"),
        "top_p": real("how the reply is sampled"),
        "max_tokens": integer("the reply's limit"),
        "context": text("or a text whose continuation is given"),
        "continuation": text("that continuation, whose likelihood is measured"),
    }
)

TEXTS = table({"text": text("what a record of the task says: a question, a choice, a solution")})

SOLUTIONS = table(
    {
        "task_id": text("the benchmark's own name of the task"),
        "model_id": text("who replied"),
        "reply": text("null where void"),
    }
    | FINISH
    | TOKENS
    | VOID
)

HARNESS_REPLIES = table(
    {
        "request_id": text("the question"),
        "model_id": text("who replied"),
        "reply": text("null where void, and where a likelihood was measured"),
        "logprob": real("natural logarithm of the continuation's likelihood; null where a reply was requested"),
        "greedy": truth("whether the model would have written the continuation itself"),
    }
    | FINISH
    | TOKENS
    | VOID
)

TASK_SCORES = table(
    {
        "task_id": text("the benchmark's own name of the task"),
        "model_id": text("who replied"),
        "value": real("0 to 1; of a program 0 or 1; null where void"),
        "outcome": text("of a program: `Passed`, `Failed`, `TimedOut` or `Crashed`; otherwise the metric's name"),
        "detail": text("more about a failure; it may contain what the program printed"),
        "void": text("why the task is not scored: there is no reply, or `Unsolvable`"),
    }
)
