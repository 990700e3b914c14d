"""The tables of a run's folder: names of players instead of ids, and beside each training row where it came from.

`sft` has the `messages` form that chat trainers read, `preference` TRL's conversational form (`prompt`, `chosen`,
`rejected`), `battles` the columns that arena-rank reads: `winner` by majority, and `score`, the exact outcome, which
gives the very ratings of the report (`outcome_col="score", outcome_map=float`). `ratings` and `scores` are sealed by
`rate` and have ids too, the others by `dataset`.
"""

from __future__ import annotations

import pyarrow as pa

from tiltyard_jobs.contracts.recipes import PlayerRecipe
from tiltyard_jobs.results.columns import (
    HISTORY,
    INSTRUCTION,
    TOKENS,
    VOID,
    Columns,
    integer,
    meaning,
    messages,
    real,
    table,
    text,
    texts,
    truth,
    with_thoughts,
)

RATINGS = table(
    {
        "player": text("the competitor's name"),
        "model_id": text(
            "12 hex digits of its identity: uri, revision, the options that can change replies, and what is added to "
            "its requests"
        ),
        "rank": integer("1 is first; equal ratings share a rank", 32),
        "rating": real("Bradley–Terry with ties, in Elo points, centred on 1000; null: no battle was decided"),
        "low": real("lower end of the rating's 95% interval; null: it is open, and `high` reads 'at most'"),
        "high": real("upper end of that interval; null: it is open, and `low` reads 'at least'"),
        "best_rank": integer("the best rank that the votes leave possible; 1: the player may be first", 32),
        "worst_rank": integer("the worst rank that the votes leave possible", 32),
        "gap": real("the rating less that of the next player; null: the last, or never compared"),
        "gap_low": real("lower end of the gap's 95% interval; null: open"),
        "gap_high": real("upper end of that interval; null: open"),
        "elo": real("the paper's Elo, averaged over seeded orders"),
        "length_controlled": real("the rating at equal length of answers"),
        "win_rate": real("mean share of the votes over its battles"),
        "matches": integer(
            "number of its battles in which a judge voted, or that count as a loss (`rating.unanswered`)"
        ),
        "gold": integer("number of instructions of which it wrote the gold answer"),
        "answered": real("share of the instructions that it answered; one that answered nothing is last"),
        "plain": real("the rating by plain votes (`rating.votes`); null: no judge's votes can be calibrated"),
        "calibrated": real("the rating by calibrated votes; null as `plain` is"),
        "component": integer("only ratings with the same number here can be compared", 32),
        "group": integer("between two groups of one component the votes say 'far above', but not how far", 32),
    }
)

BREAKDOWNS = table(
    {
        "by": text(
            "how the instructions are grouped: `attacker`, `task_type`, `difficulty` (the grade), or `kept.` and the"
            " name of the user's column"
        ),
        "value": text("the value that these instructions have"),
        "instructions": integer("the number of these instructions"),
        "player": text("the competitor's name"),
        "rank": integer("over these instructions; equal ratings share a rank", 32),
        "rating": real(
            "as in `ratings`, over these instructions alone, and centred on 1000 in each part; null: no battle was "
            "decided"
        ),
        "low": real("lower end of the rating's 95% interval; null: open"),
        "high": real("upper end of that interval; null: open"),
        "win_rate": real("mean share of the votes over its battles"),
        "matches": integer("number of its decided battles"),
        "gold": integer("of these instructions, those of which it wrote the gold answer"),
    }
)

SCORES = table(
    INSTRUCTION
    | {
        "attacker_id": text("who wrote the instruction; an id as in `ratings`"),
        "model_id": text("who answered: every competitor, in the manifest's order, for each instruction"),
        "score": real(
            "alpha·X + (1 − alpha)·x: by the rule Pairwise against the attacker, whose own is 0.5; by Mean or Sum that "
            "of all opponents; null: the answer is void, or it has no decided battle"
        ),
        "votes": real("votes won in its battles on this instruction"),
        "verdicts": integer("votes cast in these battles", 32),
        "opponents": integer("number of opponents in decided battles", 32),
        "gold": truth("whether this is the gold answer"),
        "margin": real("the gold answer's lead over the second; null on other rows"),
        "quorum": truth("whether each of its battles had at least two votes, or fewer than three judges were asked"),
    }
)


def provenance_columns(role: str, who: str) -> Columns:
    """Columns that say which model wrote something: its name in the tournament, weights and licence."""
    return {
        role: text(who),
        f"{role}_uri": text("where that model's weights are; of answers that existed already, their file"),
        f"{role}_revision": text("the weights' revision; of such a file its digest, as `sha256:…`"),
        f"{role}_license": text("the model's licence, as the manifest states it"),
    }


def provenance(role: str, author: PlayerRecipe, *, wrote: bool = True) -> dict[str, str | None]:
    """Values of these columns; of who did not write it but was only given it, the name."""
    if not wrote:
        return {role: author.name}
    uri, revision = author.model.source
    return {
        role: author.name,
        f"{role}_uri": uri,
        f"{role}_revision": revision,
        f"{role}_license": author.license,
    }


_GRADED: Columns = {
    "difficulty": integer("1 to 10; null where nothing was graded", 8),
    "grade": text("`Excellent`, `Good`, `Average` or `Poor`; null where nothing was graded"),
    "task_type": text("one of seven, by rules"),
}
_MATCH: Columns = {
    "attacker": text("the player that wrote the instruction"),
    "model_a": text("player A; with `AttackerDefender` the attacker"),
    "model_b": text("player B"),
}

RUN_INSTRUCTIONS = table(
    INSTRUCTION
    | provenance_columns("attacker", "the player that wrote it; of a given one the player to which it was given")
    | {"instruction": text("what is asked"), "history": messages(HISTORY)}
    | _GRADED
    | {
        "temperature": real("how it was sampled; null where it was given instead of mined"),
        "top_p": real("how it was sampled; null where it was given instead of mined"),
        "prefix_sha256": text("digest of the chat template's prefix with which it was mined"),
        "gold": text("who wrote the gold answer; null: no answer was judged"),
        "margin": real("the gold answer's score less the second's"),
        "contaminated": text("the first benchmark whose text it repeats"),
        "flags": texts("what was found in it: `Secret`, `PersonalData`; empty: neither"),
        "cut": text(
            "why there is no training row: `NoGold`, `Contaminated:BENCHMARK`, `Truncated` (the gold answer was cut by "
            "the token limit), `Margin` (below `dataset.minMargin`), `Tied` (it leads no other), `License:LICENCE` "
            "(not in `dataset.licenses.allow`), `Flagged:FLAG` (the gold answer has what `curation.flags` drops); null "
            "where there is one"
        ),
    }
)

RUN_ANSWERS = table(
    INSTRUCTION
    | {
        "attacker": text("the player that wrote the instruction"),
        "model": text("the player that answered"),
        "answer": text("null where void, and where it is flagged for what `curation.flags` drops"),
        "finish_reason": text("the server's; `length`: cut by `battles.answer.maxTokens`, and judged all the same"),
    }
    | TOKENS
    | {
        "score": real("its final score, as in `scores`; null where void or in no decided battle"),
        "votes": real("votes won in its battles on this instruction"),
        "verdicts": integer("votes cast in these battles", 32),
        "opponents": integer("number of opponents in decided battles", 32),
        "quorum": truth("whether each of its battles had at least two votes, or fewer than three judges were asked"),
        "gold": truth("whether this is the gold answer"),
        "flags": texts("what was found in it: `Secret`, `PersonalData`; empty: neither"),
    }
    | VOID
)

RUN_VERDICTS = table(
    INSTRUCTION
    | _MATCH
    | {
        "judge": text("who judged"),
        "order": text("`AB`: A's answer was shown first; `BA`: B's"),
        "vote": real("for A, in [0, 1]; 0.5 is a tie; null where void"),
        "reason": text(
            "the judge's words, with `verdict.method: Reasoned`; null, as `detail` is, where they or an answer that "
            "they judge are flagged for what `curation.flags` drops"
        ),
        "flags": texts("what was found in the judge's words: `Secret`, `PersonalData`; empty: neither"),
    }
    | TOKENS
    | VOID
)

BATTLES = table(
    INSTRUCTION
    | _MATCH
    | {
        "winner": text("`model_a`, `model_b` or `tie`: who has more votes"),
        "score": real("A's share of the votes, in [0, 1]"),
        "votes_a": real("A's votes"),
        "votes_b": real("B's votes"),
        "judges_asked": integer("judges that were asked for a verdict, in either order", 32),
        "judges_answered": integer("judges that voted, in either order", 32),
        "quorum": truth("whether at least two judges voted, or fewer than three were asked"),
        "length_a": integer("characters of A's answer"),
        "length_b": integer("characters of B's answer"),
        "length_difference": real("(a − b) / (a + b): a feature for arena-rank's contextual model"),
    }
)

RUN_DROPPED = table(
    INSTRUCTION
    | {
        "attacker": text("the competitor to which it was given"),
        "instruction": text(
            "the text, as it was given; null, as the columns of `keep` are, where it is flagged for what "
            "`curation.flags` drops"
        ),
        "stage": text("where it was dropped: `filter` (lint and deduplication) or `curate` (difficulty and diversity)"),
        "reason": text(
            "an issue that lint found, `Secret`, `PersonalData`, `Repeat`, `Duplicate`, `Difficulty`, `Diversity` or "
            "`Ungraded`"
        ),
        "twin_id": text("for a repeat or a duplicate: the instruction that was kept"),
        "twin": text("that instruction's text"),
    }
)

SOURCE: Columns = {
    "source_row": integer("the record's number in its file, from 0, blank and bad rows counted"),
    "source_id": text("the record's id: what `idField` names; null without it"),
    "source_uri": text(
        "the file: its name, where it was on the machine that made this, or else its address; null where there are "
        "several"
    ),
    "source_sha256": text("the file's digest; null where it was not known before the run"),
    "source_license": text("the licence of the instructions (`instructions.from.license`)"),
}
"""Where an instruction stands in the user's file: columns of the tables that have instructions, where these are given.

The columns that the user keeps follow them."""

_TRAINING: Columns = (
    INSTRUCTION
    | {"tournament": text("the manifest's `metadata.name`")}
    | provenance_columns(
        "attacker", "the player that wrote the instruction; of a given one the player to which it was given"
    )
    | _GRADED
    | {
        "row_license": text(
            "the licences of the instruction and of all answers in the row, joined by AND: "
            "`apache-2.0 AND cc-by-nc-4.0`"
        ),
        "flags": texts("what was found in the instruction or an answer of the row: `Secret`, `PersonalData`"),
    }
)

SFT = table(
    {"messages": messages("turns before the instruction, the instruction as `user`, the gold answer as `assistant`")}
    | _TRAINING
    | provenance_columns("model", "the gold answer's author")
    | {
        "score": real("the gold answer's score, 0 to 1"),
        "margin": real("the gold answer's lead over the second"),
        "votes": real("votes won in its battles"),
        "verdicts": integer("votes cast in these battles", 32),
        "quorum": truth("whether each of its battles had at least two votes, or fewer than three judges were asked"),
    }
)

PREFERENCE = table(
    {
        "prompt": messages("turns before the instruction, the instruction as `user`"),
        "chosen": messages("the gold answer as `assistant`"),
        "rejected": messages("the lowest-scored answer as `assistant`"),
    }
    | _TRAINING
    | provenance_columns("chosen_model", "the gold answer's author")
    | provenance_columns("rejected_model", "the lowest-scored answer's author")
    | {
        "chosen_score": real("the gold answer's score, 0 to 1"),
        "rejected_score": real("the lowest score, 0 to 1"),
        "margin": real("the gold answer's lead over the second, not over the rejected one"),
        "quorum": truth("whether both answers have a quorum"),
    }
)

DATASET_TABLES: dict[str, pa.Schema] = {
    "sft": SFT,
    "preference": PREFERENCE,
    "instructions": RUN_INSTRUCTIONS,
    "answers": RUN_ANSWERS,
    "verdicts": RUN_VERDICTS,
    "battles": BATTLES,
}
"""By the name of the configuration under which `datasets.load_dataset` finds it."""

GIVEN_TABLES: dict[str, pa.Schema] = {"dropped": RUN_DROPPED}
"""Likewise, where the user gave the instructions."""

RATING_TABLES: dict[str, pa.Schema] = {"ratings": RATINGS, "breakdowns": BREAKDOWNS, "scores": SCORES}
"""Likewise, of what `rate` makes."""


def meanings_of(name: str) -> dict[str, str]:
    """What the columns of a table mean, those of given instructions and thoughts among them.

    Columns that the user kept have none.

    Args:
        name: of the configuration.
    """
    kinds = (DATASET_TABLES | GIVEN_TABLES | RATING_TABLES)[name]
    schemas = (table(SOURCE), with_thoughts(kinds), kinds)
    return {kind.name: meaning(kind) for schema in schemas for kind in schema}


DATASET_PATHS = {
    name: f"{'data' if name in ('sft', 'preference') else 'tables'}/{name}.parquet"
    for name in (*DATASET_TABLES, *GIVEN_TABLES)
}
"""Where each lies in a run's folder."""

RATING_PATHS = {name: f"tables/{name}.parquet" for name in RATING_TABLES}
"""Likewise, of what `rate` makes."""
