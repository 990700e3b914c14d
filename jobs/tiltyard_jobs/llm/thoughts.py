"""A reply is a thought and an answer. Where the one ends and the other begins, whoever serves the model.

Servers that know their model's marks send the thought in a field of the message's own: `reasoning` (vLLM since 0.11,
Ollama, OpenRouter, Groq), `reasoning_content` (DeepSeek, llama.cpp, SGLang, vLLM before), `thinking`, or as parts in
`reasoning_details` (OpenRouter); Mistral's API sends parts of type `thinking` within `content`. Others leave it in the
text, between the marks of `PAIRS`, or with its closing mark alone where the chat template wrote the opening one;
harmony (gpt-oss) has channels for it.

A mark begins a thought only where nothing stands before it. A `<think>` in the middle of an answer, or in code, is the
answer's own: a text without a thought comes back byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate, islice
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """The marks around a thought.

    Attributes:
        opening: before it; a tag (`<think>`) may carry attributes.
        closing: after it.
        unclosed: whether the opening mark alone begins a thought, which then does not end.
        unopened: whether the closing mark alone ends one.
    """

    opening: str
    closing: str
    unclosed: bool = True
    unopened: bool = True


def _words(opening: str, closing: str) -> Pair:
    """Words that an answer may begin with too: they are marks only where both are there."""
    return Pair(opening, closing, unclosed=False, unopened=False)


PAIRS = (
    Pair("<think>", "</think>"),
    Pair("<thinking>", "</thinking>"),
    Pair("<thought>", "</thought>"),
    Pair("<reasoning>", "</reasoning>"),
    Pair("<seed:think>", "</seed:think>"),  # Seed-OSS
    Pair("<mm:think>", "</mm:think>"),  # MiniMax
    Pair("<longcat_think>", "</longcat_think>"),
    Pair("<|think:start|>", "<|think:end|>"),  # Solar Open 2
    Pair("[unused16]", "[unused17]"),  # openPangu
    Pair("<unused94>thought", "<unused95>"),  # MedGemma
    Pair("◁think▷", "◁/think▷"),  # Kimi
    Pair("[THINK]", "[/THINK]"),  # Magistral
    Pair("<|channel>thought", "<channel|>"),  # Gemma 4
    Pair("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    Pair("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Pair("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    _words("Here is my thought process:", "Here is my response:"),  # Granite
    _words("Here's my thought process:", "Here's my response:"),
    _words("analysis", "assistantfinal"),  # gpt-oss, where its special tokens were taken out
)
"""What models of 2024 to 2026 write."""


def with_own_pair(marks: Sequence[str]) -> tuple[Pair, ...]:
    """`PAIRS`, and before them a user's own pair, if there is one.

    Its opening mark always begins a thought. Its closing mark ends one alone, unless it is words, as "Answer:" is.

    Args:
        marks: the opening and the closing one; or none.
    """
    if not marks:
        return PAIRS
    opening, closing = marks
    return (Pair(opening, closing, unopened=_WORDS.fullmatch(closing) is None), *PAIRS)


_WORDS = re.compile(r"[\w\s.,:;!?'’*#_-]+")


class Wrapper(NamedTuple):
    """What may stand around the whole answer behind a thought; it is no part of the answer.

    Attributes:
        opening: its first mark.
        closing: its last.
        is_plain: an answer may be about it: it counts only around the whole answer, with no markup inside.
    """

    opening: str
    closing: str
    is_plain: bool = False


WRAPPERS = (
    Wrapper("<answer>", "</answer>"),
    Wrapper("<response>", "</response>", is_plain=True),  # Granite, ERNIE
    Wrapper("<output>", "</output>", is_plain=True),
    Wrapper("<Output>", "</Output>", is_plain=True),  # Marco-o1
    Wrapper("<|begin_of_solution|>", "<|end_of_solution|>"),
    Wrapper("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)

FIELDS = ("reasoning", "reasoning_content", "thinking", "reasoning_details")
"""Fields of a message that hold its thought, a text or parts of one; the first that is not blank counts."""


class State(StrEnum):
    """What became of a reply's thought."""

    NONE = "None"  # there is none
    ENDED = "Ended"
    UNFINISHED = "Unfinished"  # it begins and does not end, so there is no answer


class Parts(NamedTuple):
    """A reply, taken apart.

    Attributes:
        thought: without its marks, several joined by a blank line; None where there is none, or a blank one.
        answer: what follows it, without the blank lines between them; all of the text where there is no thought.
        state: of the thought.
        begins: where in the text the answer does.
    """

    thought: str | None
    answer: str
    state: State
    begins: int = 0


def split_thought(text: str, *, pairs: tuple[Pair, ...] = PAIRS, unopened: bool = True) -> Parts:
    """Take a text apart.

    Args:
        text: what a model wrote.
        pairs: the marks to look for.
        unopened: a closing mark alone counts too: the template of a chat may have written the opening one.
    """
    marks = _compiled(pairs)
    thoughts: list[str] = []
    at, ended = 0, True
    for _ in range(_MOST_THOUGHTS):
        step = _next_thought(text, at, marks, unopened=unopened) if ended else None
        if step is None:
            break
        thought, at, ended = step
        thoughts.append(thought.strip())
    joined = "\n\n".join(filter(None, thoughts)) or None
    if not ended:
        return Parts(joined, "", State.UNFINISHED, len(text))
    final = _FINAL.match(text, _after_lead(text, at))
    if final is not None:
        end = _FINAL_END.search(text, final.end())
        stop = end.start() if end else len(text)
        return Parts(joined, text[final.end() : stop], State.ENDED if thoughts else State.NONE, final.end())
    if not thoughts:
        return Parts(None, text, State.NONE)
    begins, stop = _answer_span(text, at)
    return Parts(joined, text[begins:stop], State.ENDED, begins)


def parts_of_message(message: Mapping[str, Any], *, pairs: tuple[Pair, ...] = PAIRS) -> Parts:
    """Take a message of `/chat/completions` apart: its fields, and what its text holds beside them.

    A refusal that has a field of its own (OpenAI's structured replies) is the answer where there is no other.

    Raises:
        TypeError, KeyError: its content is no text.
    """
    content, refusal = message.get("content"), message.get("refusal")
    thought, text = _content(refusal if content is None and isinstance(refusal, str) else content)
    for field in FIELDS:
        if thought is None:
            thought = _field_text(message.get(field)).strip() or None
    parts = split_thought(text, pairs=pairs)
    if thought is None:
        return parts
    joined = "\n\n".join(filter(None, (thought, parts.thought)))
    if parts.state is not State.NONE:
        return parts._replace(thought=joined)
    begins = _after_blank_lines(text, 0)
    return Parts(joined, text[begins:], State.ENDED, begins)


def answer_token(tokens: Sequence[str], parts: Parts, *, pairs: tuple[Pair, ...] = PAIRS) -> int | None:
    """The first token of a reply's answer that is not blank, among the tokens that a server reports.

    Servers report the tokens of the whole reply, thought and marks included, or those of the answer alone.

    Args:
        tokens: texts, in order.
        parts: of the message that they make up.
        pairs: as in `split_thought`.

    Returns:
        None where the answer's tokens are not among them.
    """
    text = "".join(tokens)
    found = split_thought(text, pairs=pairs)
    begins = found.begins
    if found.state is State.UNFINISHED:
        return None
    if found.state is State.NONE and parts.state is not State.NONE and begins == 0:
        # The server keeps the thought apart, and its marks from us: the answer is what the tokens end with.
        answer = parts.answer.strip()
        begins = text.rfind(answer) if answer else -1
        if begins < 0 or not _END_OF_REPLY.fullmatch(text, begins + len(answer)):
            return None
    for place, end in enumerate(accumulate(map(len, tokens))):
        if end > begins and tokens[place][max(0, begins - end + len(tokens[place])) :].strip():
            return place
    return None


def unknown_mark(answer: str) -> str | None:
    """What an answer begins with that looks like the opening mark of a thought, as no known one does; mostly None."""
    found = _LIKE_A_MARK.match(answer)
    return found[1] if found is not None else None


class _Marks(NamedTuple):
    opening: re.Pattern[str]
    closing: re.Pattern[str]
    unclosed: bool
    unopened: bool


# A text of a megabyte may be made of marks: no more thoughts in a row, nor closing marks of a kind, are looked at.
_MOST_THOUGHTS, _MOST_QUOTED = 32, 32

# A tag, or a line of its own.
_LIKE_A_MARK = re.compile(
    r"\s*((?:[<\[{|◁]{1,3}|&lt;)"
    r"[\w:-]{0,24}(?:think|thought|reason|reflect|scratchpad|monologue|analysis|ponder|cot\b)[\w:-]{0,24}"
    r"(?:[>\]}|▷]{1,3}|&gt;)"
    r"|(?:[#*_>]{1,4} ?|```)?think(?:ing)?(?: process)?[.:…*_]{0,5}(?=[ \t]*\n))",
    re.IGNORECASE,
)
_LEAD = re.compile(r"[\s\ufeff]*")
_BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)+")
_BLANKS = re.compile(r"[^\S\n]*")
_TAG = re.compile(r"</?[\w:-]+>")
_END_OF_REPLY = re.compile(r"\s*(?:<[^<>\s]{1,40}>|\[/?[A-Z_]{1,20}\])?\s*")

# Harmony (cookbook.openai.com/articles/openai-harmony): `<|start|>ROLE<|channel|>NAME<|message|>…<|end|>`, and the role
# of the first message stands in the prompt. What is no `final` message is no answer.
_HEADER = r"(?:<\|start\|>assistant)?<\|channel\|>{name}[^<]{{0,200}}(?:<\|constrain\|>[^<]{{0,100}})?<\|message\|>"
_OTHER = re.compile(_HEADER.format(name=r"(?!final\b)\w+"))
_OTHER_END = re.compile(r"<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>|<\|channel\|>)")
_FINAL = re.compile(_HEADER.format(name="final") + "|assistantfinal")
_FINAL_END = re.compile(r"<\|end\|>|<\|return\|>")
_HEADER_CUT = re.compile(r"(?:<\|start\|>[^<]{0,200}(?:<\|channel\|>[^<]{0,200})?|<\|channel\|>[^<]{0,200})\Z")


@lru_cache(maxsize=16)
def _compiled(pairs: tuple[Pair, ...]) -> tuple[_Marks, ...]:
    return tuple(_Marks(_opening(pair.opening), _closing(pair.closing), *pair[2:]) for pair in pairs)


def _opening(mark: str) -> re.Pattern[str]:
    return re.compile(rf"{mark[:-1]}(?:\s[^<>]*)?>" if _TAG.fullmatch(mark) else re.escape(mark), _case_of(mark))


def _closing(mark: str) -> re.Pattern[str]:
    return re.compile(rf"{mark[:-1]}\s*>" if _TAG.fullmatch(mark) else re.escape(mark), _case_of(mark))


def _case_of(mark: str) -> re.RegexFlag:
    return re.IGNORECASE if _TAG.fullmatch(mark) else re.NOFLAG


def _next_thought(text: str, at: int, marks: tuple[_Marks, ...], *, unopened: bool) -> tuple[str, int, bool] | None:
    """The thought that begins at `at`, where it ends, and whether it does; None where an answer begins there."""
    start = _after_lead(text, at)
    if (header := _OTHER.match(text, start)) is not None:
        return _bounded(text, header.end(), _OTHER_END.search(text, header.end()))
    if _HEADER_CUT.match(text, start):
        return "", len(text), False
    if _FINAL.match(text, start):
        return None
    for mark in marks:
        opening = mark.opening.match(text, start)
        if opening is None:
            continue
        closing = mark.closing.search(text, opening.end())
        if closing is not None or mark.unclosed:
            return _bounded(text, opening.end(), closing)
    return _unopened_thought(text, at, marks) if unopened else None


def _after_lead(text: str, at: int) -> int:
    lead = _LEAD.match(text, at)
    return lead.end() if lead is not None else at


def _bounded(text: str, start: int, end: re.Match[str] | None) -> tuple[str, int, bool]:
    return (text[start:], len(text), False) if end is None else (text[start : end.start()], end.end(), True)


def _unopened_thought(text: str, at: int, marks: tuple[_Marks, ...]) -> tuple[str, int, bool] | None:
    """A thought with its closing mark alone: the first closing mark that is not quoted, with no opening before it."""
    closings = (
        next(
            (found for found in islice(mark.closing.finditer(text, at), _MOST_QUOTED) if not _is_quoted(text, found)),
            None,
        )
        for mark in marks
        if mark.unopened
    )
    first = min((found for found in closings if found is not None), key=lambda found: found.start(), default=None)
    if first is None or any(mark.opening.search(text, at, first.start()) for mark in marks if mark.unclosed):
        return None
    return text[at : first.start()], first.end(), True


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    """Whether a closing mark is spoken of instead of written: in code, in quotation marks, in a sentence."""
    line_start = text.rfind("\n", 0, mark.start()) + 1
    before, after = text[line_start : mark.start()], text[mark.end() : mark.end() + 1]
    if before.count("`") % 2 or (before[-1:] in _OPENING_QUOTES and before):
        return True
    if before.strip() and after and (after in _GOES_ON or (before[-1:].isspace() and after in " \t")):
        return True
    return _in_fence(text[:line_start])


_OPENING_QUOTES = "\"'“‘«(`"
_GOES_ON = ".,;:!?)\"'”’»`"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")


def _in_fence(before: str) -> bool:
    """Whether a code fence is open at the end of these lines."""
    if "```" not in before and "~~~" not in before:
        return False
    fence = ""
    for line in before.splitlines():
        found = _FENCE.match(line)
        if found is None:
            continue
        if not fence:
            fence = found[1]
        elif found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2].strip():
            fence = ""
    return bool(fence)


def _after_blank_lines(text: str, at: int) -> int:
    """Where the first line begins that is not blank, its indentation kept; on a thought's own line, the first word."""
    lines = _BLANK_LINES.match(text, at)
    if lines is not None:
        return lines.end()
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks is not None and at else at


def _answer_span(text: str, at: int) -> tuple[int, int]:
    start = _after_blank_lines(text, at)
    for opening, closing, is_plain in WRAPPERS:
        if text.startswith(opening, start):
            begins = _after_blank_lines(text, start + len(opening))
            stop = text.rfind(closing, begins)
            is_whole = stop >= 0 and not text[stop + len(closing) :].strip()
            if is_plain and (not is_whole or text[begins:stop].lstrip().startswith("<")):
                break
            if not is_whole:
                return begins, len(text)
            return begins, len(text[:stop].rstrip()) if text[begins:stop].strip() else begins
    return start, len(text)


# By type of a part the member that holds its text. Redacted thoughts have none.
_TEXT_PARTS = {"text": "text", "output_text": "text", "refusal": "refusal"}
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "redacted_thinking"})


def _content(content: object) -> tuple[str | None, str]:
    """The thought and the text of a message's content: a text, none, or a list of parts."""
    if content is None:  # what a server sends when the model ended its turn at once, or all that came is a thought
        return None, ""
    if isinstance(content, str):
        return None, content
    if not isinstance(content, list):
        raise TypeError("the content is not text")
    thoughts: list[str] = []
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _TEXT_PARTS:
            texts.append(_text_of_part(part[_TEXT_PARTS[kind]]))
        elif kind in _THOUGHT_PARTS:
            thoughts.append(_text_of_part(part[kind]) if kind in part else _field_text(part))
        else:
            raise TypeError("a part of the content is not text")
    return "".join(thoughts).strip() or None, "".join(texts)


_DEEPEST = 4


def _field_text(value: object, depth: int = 0) -> str:
    """The text of a field that holds a thought; empty where none can be read, such as an encrypted one."""
    if isinstance(value, str):
        return value
    if depth == _DEEPEST:
        return ""
    if isinstance(value, list):
        return "".join(_field_text(part, depth + 1) for part in value)
    if not isinstance(value, dict):
        return ""
    texts = (_field_text(value.get(name), depth + 1) for name in ("text", "thinking", "summary", "content"))
    return next(filter(None, texts), "")


def _text_of_part(value: object) -> str:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        value = "".join(item["text"] for item in value)
    if not isinstance(value, str):
        raise TypeError("a part of the content is not text")
    return value
