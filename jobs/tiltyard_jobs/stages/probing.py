"""The probe: a few questions of our own, by which is found what a model cannot do before it costs anything.

Each is asked exactly as its stage asks (`chats`): the same method, schema, token limits and parameters.

| before | is asked for |
|---|---|
| a judge | verdicts on a right and a plainly wrong answer, twice, in both orders; its server, for what it holds |
| a grader | a grade |
| a player | an answer |
| an author | an instruction, after each of its prefixes |

A grader or player whose reply is not usable is asked again, up to three times, about something else or with another
seed. An author is asked until one text passes the linter, and has as many tries as its stage gives it (`SmokeCheck`):
what a base model writes is often no instruction. Endpoints that run already are probed in preflight. A model that is
served is probed by its first Job, for all that it will be asked, and by each later one for its own stage
(`Bundle.probes`).
Nothing of it is in any table; what it costs is counted.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.recipes import AnswerRecipe, GradeRecipe, JudgeRecipe, MineRecipe
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, TransientError, VoidReason
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.llm.probe import context_of, refused_member, require_logprobs
from tiltyard_jobs.llm.reply import ChatReply, thought_cut
from tiltyard_jobs.llm.server_error import TOO_LONG
from tiltyard_jobs.llm.thoughts import unknown_mark
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.prompts.verdicts import TOP_LOGPROBS, VERDICT_METHODS, Verdict
from tiltyard_jobs.records import seed_of
from tiltyard_jobs.stages.authors import NO_INSTRUCTION, SmokeCheck, ask_instruction, prefixes_of
from tiltyard_jobs.stages.chats import LENGTH_FIELDS, ask_answer, ask_grade, ask_verdict

TRIES = 4  # of a grader or player: of one that fails at three in ten records one run in a hundred would end by chance
NO_FINDING = frozenset({VoidReason.UNAVAILABLE, VoidReason.KILLED_SERVER})
"""They tell nothing of what a model can do."""
BYTES_PER_TOKEN = 3  # of a given text, whose tokens nobody has counted: few, so that it is not taken for shorter
LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
"""Members of a request that say how long the reply may be."""


Probed: TypeAlias = JudgeRecipe | GradeRecipe | AnswerRecipe | MineRecipe


class Kind(StrEnum):
    """What was found."""

    THOUGHT_NEVER_ENDS = "ThoughtNeverEnds"
    CUT = "Cut"
    SILENT = "Silent"
    REFUSED = "Refused"
    NOT_AS_ASKED = "NotAsAsked"
    UNDECIDED = "Undecided"
    PARTLY_UNUSABLE = "PartlyUnusable"
    GOES_BY_PLACE = "GoesByPlace"
    UNKNOWN_MARK = "UnknownMark"
    SEES_NO_DIFFERENCE = "SeesNoDifference"
    SHORT_OF_ROOM = "ShortOfRoom"


WARNINGS = frozenset(
    {Kind.PARTLY_UNUSABLE, Kind.GOES_BY_PLACE, Kind.UNKNOWN_MARK, Kind.SEES_NO_DIFFERENCE, Kind.SHORT_OF_ROOM}
)
"""Kinds that do not end the run."""


class Finding(NamedTuple):
    """What a model cannot do, and a sentence for the user."""

    kind: Kind
    sentence: str


class Example(NamedTuple):
    """A request with an answer that is right and one that is plainly wrong."""

    instruction: str
    right: str
    wrong: str


# Of the first the right answer is the longer one, of the second the wrong one: a judge of length is found by that.
EXAMPLES = (
    Example(
        "Write a Python function `add(a, b)` that returns the sum of two numbers.",
        """\
1. Take both numbers as arguments.
2. Return their sum with the operator `+`.

```python
def add(a, b):
    return a + b


assert add(2, 3) == 5
assert add(-1, 1) == 0
```

- It works for whole numbers and for decimals.
- Negative numbers and zero are added correctly.""",
        """\
I am not sure. Maybe this, but it may not work:

```python
def add(a, b):
    return a - b  # TODO: wrong sign, fix later
```""",
    ),
    Example(
        "Write a Python function `largest(numbers)` that returns the largest number of a list, and None if the list is"
        " empty.",
        """\
1. Return None at once if the list is empty.
2. Otherwise return what `max` finds.

```python
def largest(numbers):
    if not numbers:
        return None
    return max(numbers)


assert largest([3, 9, 4]) == 9
assert largest([]) is None
```

- An empty list gives None, as was asked.
- A list of negative numbers works too.""",
        """\
I am not sure. A list has numbers in it, and one of them is larger than the others, or perhaps it is not, which depends
on the list. One could sort it, or go through it in a loop, or ask somebody who knows more about lists than I do.
Probably the largest number stands at the beginning, since people like to write what is most important first, but that
is a guess of mine, and it is not tested:

```python
def largest(numbers):
    return numbers[0]  # FIXME: only the first number
```

I hope that this is of some help to you, although it does not do what you have asked for.""",
    ),
)


async def probe(
    client: ModelClient,
    recipes: Iterable[Recipe],
    *,
    field: str,
    asker: str,
    answer_tokens: int | None = None,
    longest_given: int = 0,
) -> list[Finding]:
    """What a model cannot do that these recipes ask of it; the findings are warnings.

    Args:
        client: of the model.
        recipes: what it is asked for.
        field: the manifest's field of the model.
        asker: who asks, a shard or preflight, whose seeds these are: no two of them ask the very same.
        answer_tokens: the most that an answer may have; None: it judges none, or nobody knows.
        longest_given: bytes of the longest given instruction; 0: none is given, or nobody knows.

    Raises:
        ConfigurationError: one sentence with the model, what it cannot do, and what to do; or as any request.
        RecordVoidError: the model cannot be asked, for one of `NO_FINDING`.
        TransientError: the endpoint is down.
    """
    findings: list[Finding] = []
    for recipe in recipes:
        found: list[Finding] = []
        try:
            match recipe:
                case JudgeRecipe():
                    found = await _probe_judge(client, recipe, asker, answer_tokens, longest_given)
                case GradeRecipe():
                    found = await _probe_replies(client, recipe, partial(ask_grade, client, recipe), asker)
                case AnswerRecipe():
                    found = await _probe_replies(client, recipe, partial(ask_answer, client, recipe), asker)
                case MineRecipe():
                    found = await _probe_author(client, recipe, asker, field)
        except RecordVoidError as error:
            detail = f"{error.detail}, asked for {_WANTED[recipe.STAGE]}"
            raise RecordVoidError(error.reason, detail, error.words, error.members) from error
        except TransientError as error:
            raise TransientError(f"asked for {_WANTED[recipe.STAGE]}, {error}", error.words) from error
        for finding in found:
            if finding.kind not in WARNINGS:
                raise ConfigurationError(finding.sentence)
        findings += found
    return findings


async def _probe_replies(
    client: ModelClient, recipe: GradeRecipe | AnswerRecipe, ask: Callable[[str, int], Awaitable[object]], asker: str
) -> list[Finding]:
    failures = []
    for number in range(TRIES):
        example = EXAMPLES[number % len(EXAMPLES)]
        try:
            reply = await ask(example.instruction, seed_of("probe", asker, recipe.ref.key, number))
        except RecordVoidError as error:
            if error.reason in NO_FINDING:
                raise
            failures.append(error)
        else:
            return _marks(client, reply) if isinstance(reply, ChatReply) else []
    return [_unable(client, recipe, failures)]


def _marks(client: ModelClient, reply: ChatReply) -> list[Finding]:
    mark = unknown_mark(reply.answer) if reply.thought is None else None
    if mark is None:
        return []
    what = f'its answer begins with "{mark}": if that begins a thought, name its marks in thoughtMarks, or it is judged'
    return [Finding(Kind.UNKNOWN_MARK, f"{client.url}: model {client.model!r}: {what}")]


async def _probe_author(client: ModelClient, recipe: MineRecipe, asker: str, field: str) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as scratch:
        prefixes = await prefixes_of(client, recipe, Path(scratch))
    for place, prefix in enumerate(prefixes):
        system = f"spec.instructions.mine.systemPrompts[{place}]" if recipe.system_prompts else ""
        smoke = SmokeCheck(field, given=recipe.prefix is not None, system=system)
        failures: list[RecordVoidError] = []
        for number in count():
            setting = recipe.settings[number % len(recipe.settings)]
            seed = seed_of("probe", asker, recipe.ref.key, place, number)
            try:
                text = (await ask_instruction(client, prefix, setting, seed)).text
            except RecordVoidError as error:
                if error.reason in NO_FINDING:
                    raise
                if error.reason not in NO_INSTRUCTION:
                    failures.append(error)
                    if len(failures) == TRIES:
                        return [_unable(client, recipe, failures)]
                    continue
                text = ""
            smoke.see(text)
            if smoke.passed:
                break
    return []


async def _probe_judge(
    client: ModelClient, recipe: JudgeRecipe, asker: str, answer_tokens: int | None, longest_given: int
) -> list[Finding]:
    prompt = JudgePrompt.of(recipe)
    longest = 0

    async def ask(example: Example, order: str) -> Verdict | RecordVoidError:
        answers = (example.right, example.wrong) if order == "AB" else (example.wrong, example.right)
        nonlocal longest
        seed = seed_of("probe", asker, recipe.ref.key, EXAMPLES.index(example), order)
        try:
            verdict, usage = await ask_verdict(client, recipe, prompt, (example.instruction, *answers), seed)
        except RecordVoidError as error:
            return error
        longest = max(longest, usage.prompt_tokens)
        return verdict

    shown = [(example, order) for example in EXAMPLES for order in ("AB", "BA")]
    given = await asyncio.gather(*(ask(example, order) for example, order in shown))
    failures = [one for one in given if isinstance(one, RecordVoidError)]
    for error in failures:
        if error.reason in NO_FINDING:
            raise error
    if len(failures) == len(given):
        if VERDICT_METHODS[recipe.method].top_logprobs is not None:
            await require_logprobs(client, TOP_LOGPROBS)
        return [_unable(client, recipe, failures)]
    found = _opinions(client, shown, given)
    if answer_tokens is not None and (room := await context_of(client)) is not None:
        needed = longest + 2 * answer_tokens + min(recipe.max_tokens, VERDICT_METHODS[recipe.method].enough)
        needed += longest_given // BYTES_PER_TOKEN
        if needed > room:
            about = f" to the longest given instruction ({longest_given} bytes)" if longest_given else ""
            verdict = f"a verdict on two answers of {answer_tokens}{about}"
            what = f"it holds {room} tokens, and {verdict} takes up to {needed}"
            advice = "serve it with a longer context, or lower spec.battles.answer.maxTokens"
            found.append(_warning(client, Kind.SHORT_OF_ROOM, f"{what}, else it is void: {advice}"))
    return found


def _opinions(
    client: ModelClient, shown: Sequence[tuple[Example, str]], given: Sequence[Verdict | RecordVoidError]
) -> list[Finding]:
    """What is found of a judge that has voted."""
    failures = [one for one in given if isinstance(one, RecordVoidError)]
    if 2 * len(failures) >= len(given):  # one of four happens to a judge that is seldom undecided
        what = f"{len(failures)} of {len(given)} verdicts on answers of our own cannot be used ({_commonest(failures)})"
        return [_warning(client, Kind.PARTLY_UNUSABLE, f"{what}: expect as many void verdicts")]
    votes = [one.vote for one in given if isinstance(one, Verdict)]
    if (place := preferred_place(votes)) is not None:
        what = f"it prefers the answer shown {place}, whatever it is"
        return [_warning(client, Kind.GOES_BY_PLACE, f"{what}: use another judge, or keep spec.battles.orders Both")]
    right = [
        one.vote if order == "AB" else 1 - one.vote
        for (_, order), one in zip(shown, given, strict=True)
        if isinstance(one, Verdict)
    ]
    share = sum(right) / len(right)
    if share <= 0.5:
        what = f"it cannot tell right from wrong: {share:.2f} of its votes are for the right one of two answers"
        return [_warning(client, Kind.SEES_NO_DIFFERENCE, f"{what}: use another judge, or other criteria")]
    return []


def preferred_place(votes: Sequence[float]) -> str | None:
    """`first` or `second` where all votes, each for the answer shown first, prefer that place; else None."""
    if all(vote > 0.5 for vote in votes):
        return "first"
    return "second" if all(vote < 0.5 for vote in votes) else None


def _warning(client: ModelClient, kind: Kind, what: str) -> Finding:
    return Finding(kind, f"{client.url}: judge {client.model!r}: {what}")


def _commonest(failures: Sequence[RecordVoidError]) -> str:
    return Counter(map(str, failures)).most_common(1)[0][0]


_ROLES = {"judge": "judge", "grade": "model", "answer": "model", "mine": "model"}
_WANTED = {"judge": "a verdict", "grade": "a grade", "answer": "an answer", "mine": "an instruction"}


def _wants_json(recipe: Probed) -> bool:
    if isinstance(recipe, JudgeRecipe):
        return VERDICT_METHODS[recipe.method].schema is not None
    return isinstance(recipe, GradeRecipe)


def _limit_of(recipe: Probed) -> int:
    """The most tokens of a reply."""
    if isinstance(recipe, MineRecipe):
        return max(setting.max_tokens for setting in recipe.settings)
    return recipe.sampling.max_tokens if isinstance(recipe, AnswerRecipe) else recipe.max_tokens


def _either(remedies: Sequence[str]) -> str:
    *others, last = remedies
    return ", ".join([*others, f"or {last}"]) if others else last


def _unable(client: ModelClient, recipe: Probed, failures: Sequence[RecordVoidError]) -> Finding:
    """The finding about a model of which no reply is usable."""
    commonest = _commonest(failures)
    error = next(one for one in failures if str(one) == commonest)
    limit, wanted, field = _limit_of(recipe), _WANTED[recipe.stage], LENGTH_FIELDS[recipe.stage]
    remedies = [f"use another {_ROLES[recipe.stage]}"]
    if isinstance(recipe, JudgeRecipe):
        takes_no_schema = error.reason is VoidReason.REFUSED_BY_SERVER and "response_format" in error.members
        others = [
            name
            for name, method in VERDICT_METHODS.items()
            if name != recipe.method and not (takes_no_schema and method.schema is not None)
        ]
        remedies.insert(0, f"take spec.battles.verdict.method {' or '.join(others)}")
    other = _either(remedies)
    if _wants_json(recipe):
        remedies.insert(0, "serve it where response_format json_schema is enforced")
    detail = f" ({error.detail})" if error.detail else ""
    kind, what, advice = Kind.SILENT, f"says nothing, asked for {wanted}{detail}", other
    match error.reason:
        case VoidReason.TRUNCATED if error.detail == thought_cut(limit).detail:
            kind, what = Kind.THOUGHT_NEVER_ENDS, f"begins with a thought and never ends it within {limit} tokens"
            advice = f"raise {field}, let it think less, or use another {_ROLES[recipe.stage]}"
        case VoidReason.THOUGHT_UNFINISHED:
            kind, what = Kind.THOUGHT_NEVER_ENDS, f"begins with a thought and never ends it, asked for {wanted}"
        case VoidReason.NO_ANSWER:
            what = f"thinks, and then says nothing, asked for {wanted}"
        case VoidReason.TRUNCATED:
            kind, what = Kind.CUT, f"does not end {wanted} within {limit} tokens ({error.detail})"
            advice = f"raise {field}, or {other}"
        case VoidReason.REFUSED_BY_SERVER:
            kind, what = Kind.REFUSED, f"refuses to be asked for {wanted} ({error.detail}{error.quoted})"
            if mine := refused_member(error, client.extra_body):
                remedies = [f"remove {mine} from request.extraBody", remedies[-1]]
            elif TOO_LONG in error.detail or not error.members.isdisjoint(LIMITS):
                remedies = [f"lower {field}", "serve it with a longer context", remedies[-1]]
            advice = _either(remedies)
        case VoidReason.UNDECIDED:
            kind, what = Kind.UNDECIDED, f"names no side in any of {len(failures)} verdicts ({error.detail})"
        case VoidReason.MALFORMED:
            kind, what = (
                Kind.NOT_AS_ASKED,
                f"does not reply with {wanted} as it is asked to ({error.detail}{error.quoted})",
            )
            advice = _either(remedies)
    return Finding(kind, f"{client.url}: model {client.model!r} {what}: {advice}")
