"""Is a mined text an instruction at all?

A model that completes its own template's prefix writes an instruction most of the time. Otherwise it stays silent,
loops, runs on into markers of its template, or answers as an assistant where a user should speak. The rules are
conservative: a text is refused for what it certainly is, never for being odd. They look at a text's form alone; whether
an instruction is worth asking is the difficulty judge's business.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from enum import StrEnum

from tiltyard_jobs.contracts.vocabulary import LintRules
from tiltyard_jobs.curation.mined import LONGEST, hands_over
from tiltyard_jobs.curation.model_voice import speaks_as_a_model
from tiltyard_jobs.curation.request import begins_in_the_middle, has_request, speaks_as_a_user
from tiltyard_jobs.curation.text import words

MIN_WORDS = 3
"""Fewer words ask for nothing ("Hello", "Python code"). A Korean word counts twice: it holds its particle or verb.

An ASCII text without a blank, such as an address, is one word.
"""

MAX_CHARACTERS = LONGEST
"""About 4,000 tokens: longer than the default 512 tokens of mining can write by far."""

MAX_FOREIGN_SHARE = 0.02
"""The share of characters that no text has (controls, unassigned replacement characters) before it counts as binary."""

MAX_COMPRESSION = 8.0
"""Bytes before over bytes after zlib: prose and code reach 2 to 5, a loop of a short phrase 20 and more."""

_COMPRESSION_FROM = 400  # bytes; shorter texts are judged by their words alone
_LOOP_SHARE = 0.5  # of the words in one repeated run
_LOOP_PERIODS = range(1, 21)  # words in a repeated run
_LOOP_REPEATS = 5


class LintIssue(StrEnum):
    """Why a text is no instruction; the first that holds, in this order."""

    EMPTY = "Empty"  # nothing, or nothing but blanks
    TOO_LONG = "TooLong"  # more than MAX_CHARACTERS
    NOT_TEXT = "NotText"  # control or replacement characters beyond MAX_FOREIGN_SHARE
    TEMPLATE_LEAK = "TemplateLeak"  # special tokens or role markers of a chat template
    TOO_SHORT = "TooShort"  # fewer than MIN_WORDS words
    REPETITION = "Repetition"  # one phrase over and over
    ASSISTANT_VOICE = "AssistantVoice"  # an answer, a refusal or an introduction instead of a request
    FRAGMENT = "Fragment"  # begins in the middle of a sentence or of an answer
    NO_REQUEST = "NoRequest"  # code, an article or an explanation that asks for nothing


_FOREIGN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ufffd\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

# Tokens that tokenizers add, in any template of the field; an instruction about HTML or XML has none of them.
_SPECIAL_TOKEN = re.compile(
    r"<\|[\w.\- ]{1,40}\|>"  # <|im_start|>, <|eot_id|>, <|begin_of_text|>, <|assistant|>
    r"|<｜[^｜\n]{1,40}｜>"  # DeepSeek, with full-width bars
    r"|\[/?INST\]|<</?SYS>>"  # Llama 2, Mistral
    r"|<(?:start|end)_of_turn>"  # Gemma
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"  # Mistral
    r"|<(?:bos|eos|pad|unk|mask)>|<(?:unused|reserved_?)\d+>|<0x[0-9A-F]{2}>|\[gMASK\]|</s>\s*$"  # of the vocabulary
    # reasoning and tool markers
    r"|</?(?:seed:)?think>|\A\s*\[THINK\]|\[/THINK\]|◁/?think▷|</?tool_call>|<extra_id_\d+>",
    re.IGNORECASE,
)
# A line that hands the word to another speaker, with its special tokens decoded away or as Alpaca and Vicuna write it.
# Narrow on purpose: "user:" and "system:" open YAML blocks, "Input:" and "Output:" belong to exercises.
_ROLE_LINE = re.compile(
    r"\A\s*system[ \t]*\n|(?<!user\n)(?<!system\n)^assistant\s*$|^(?:Assistant|ASSISTANT|Human|USER)\s*:"
    r"|^#{2,}\s*(?:Response|Instruction)\s*:",
    re.M,
)

_ASSISTANT_VOICE = re.compile(
    r"\s*(?:"
    r"as an? (?:ai|artificial intelligence|large language|language)(?: language)?(?: model| assistant)?"
    r"(?: (?:developed|created|trained|made|built) by [^,.\n]{1,40})?,? i\b"
    r"|i(?:'m| am) an? (?:ai|large language|language|virtual)(?: language)? (?:model|assistant)\b"
    r"|(?:(?:i'm|i am) )?(?:really |very |so )?(?:sorry|afraid|apologies),?\.? (?:but "
    r"|that )?(?:as an? \w+(?: \w+){0,3},? )?"
    r"i (?:(?:can't|can ?not|am (?:not able|unable) to|won't|don't) (?:be able to |directly |currently )?"
    r"(?:assist|help(?! but)|comply|fulfill?|provide|answer|do (?:that|this)|generate|create|write|access|support"
    r"|continue|engage|discuss|process"
    r"|have (?:access|enough|the (?:ability|capability|information)|real)|understand (?:your (?:question"
    r"|request|query|message|input|prompt|instructions?)|what you|the (?:question|request))))\b"
    r"|(?:(?:i'm|i am) )?(?:really |very |so )?sorry (?:for|about) (?:the|any|this) (?:\w+ )?(?:confusion"
    r"|misunderstanding|mistake|inconvenience|oversight)\b(?! (?:in|of|from|about) my)"
    r"|i apologi[sz]e\b(?! (?:if|for (?:the (?:long|basic|stupid|dumb)|my|asking)))"
    r"|i (?:can't|cannot|am not able to|am unable to) (?:assist|comply|fulfil|help)\b(?! but)"
    r"|(?:<[a-z]+>\s*)?(?:sure|certainly|of course|absolutely)[,!.]+ (?:here|below|let me|i'd|i would|i can|i'll"
    r"|i will|i appreciate)\b"
    r"(?!(?:'s| is| are) (?:my|our|the (?:code|text|function|program|file|error) (?:i|we|that i))\b)"
    r"|(?:sure|certainly|of course|absolutely|great|okay|that(?:'s| is) (?:great|fantastic|wonderful|awesome|amazing))"
    r"[,!.]+ (?:please (?:provide|share|describe|specify|tell|give|send|let me know)|i(?:'m| am) (?:glad|happy))\b"
    r"|(?:(?:hello|hi)[!,.]* )?how (?:can|may) i (?:help|assist) you\b"
    r"|(?:#[^\n]*\n\s*)?(?:你好|您好)[^\n]{0,20}[！!，,。][^。\n]{0,12}(?:帮助?|协助|效劳|服务)(?:你|您|的)[^。\n]{0,8}[？?]\s*\Z"
    r"|<(?P<tag>answer|response|reply|assistant|solution)>[\s\S]*</(?P=tag)>\s*\Z"
    r")",
    re.IGNORECASE,
)
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_CURLY = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


DROPPED_BY: Mapping[LintRules, frozenset[LintIssue]] = {
    "Strict": frozenset(LintIssue),
    "Basic": frozenset({LintIssue.EMPTY, LintIssue.NOT_TEXT, LintIssue.TEMPLATE_LEAK, LintIssue.REPETITION}),
    "None": frozenset({LintIssue.EMPTY}),
}
"""The issues for which each set of rules drops a text."""


def lint(text: str) -> LintIssue | None:
    """The first reason why `text` is no instruction, or None.

    Args:
        text: What a model wrote, normalised (`text.normalise`) or not; of any length and content.
    """
    return next(issues(text), None)


def issues(text: str) -> Iterator[LintIssue]:
    """All reasons why `text` is no instruction, in their order; an empty text has no other one."""
    if not text.strip():
        yield LintIssue.EMPTY
        return
    if len(text) > MAX_CHARACTERS:
        yield LintIssue.TOO_LONG
    if len(_FOREIGN.findall(text)) > MAX_FOREIGN_SHARE * len(text):
        yield LintIssue.NOT_TEXT
    if _SPECIAL_TOKEN.search(text) or _ROLE_LINE.search(text) or hands_over(text):
        yield LintIssue.TEMPLATE_LEAK
    spoken = words(text)
    hangul = sum(bool(_HANGUL.match(word)) for word in spoken)
    if len(spoken) + hangul < MIN_WORDS or (text.isascii() and len(text.split()) < 2):
        yield LintIssue.TOO_SHORT
    if _loops(text, spoken):
        yield LintIssue.REPETITION
    straight = text.translate(_CURLY)
    if (_ASSISTANT_VOICE.match(straight) and not speaks_as_a_user(straight)) or speaks_as_a_model(straight):
        yield LintIssue.ASSISTANT_VOICE
    if begins_in_the_middle(text):
        yield LintIssue.FRAGMENT
    if not has_request(straight):
        yield LintIssue.NO_REQUEST


def _loops(text: str, spoken: list[str]) -> bool:
    """Whether one phrase makes up most of a text."""
    data = text.encode("utf-8", "replace")
    if len(data) >= _COMPRESSION_FROM and len(data) > MAX_COMPRESSION * len(zlib.compress(data, level=1)):
        return True
    # At most one in five words of a run is a different one, so that too many of them leave no room for a run.
    if len(set(spoken)) > (1 - _LOOP_SHARE * (1 - 1 / _LOOP_REPEATS)) * len(spoken):
        return False
    for period in _LOOP_PERIODS:
        longest = run = 0
        for first, second in zip(spoken, spoken[period:], strict=False):
            run = run + 1 if first == second else 0
            longest = max(longest, run)
        # `longest` words repeat the word a period before them: a run of longest + period words.
        if longest + period >= _LOOP_REPEATS * period and longest + period > _LOOP_SHARE * len(spoken) and longest:
            return True
    return False
