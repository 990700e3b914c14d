"""Conversations: an instruction, the turns before it, and how files of the user's write both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Turns = Sequence[Mapping[str, str]]
"""Turns with a role (system, user, assistant) and content, in order."""

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
}


_TEXT_PARTS = ("text", "input_text", "output_text")
_TEXT_ONLY = "only text is read: leave such records out"
_OTHERS = ("tool", "tool_call", "function", "function_call", "observation")  # roles around tools


class BadConversationError(ValueError):
    """A value is no conversation; the sentence goes on from the value's name."""


class Conversation(NamedTuple):
    """What is asked.

    Attributes:
        instruction: the user's last turn; empty where there is no turn at all.
        history: the turns before it: a system message, and earlier turns.
        left_out: turns after it: replies that the file gives.
    """

    instruction: str
    history: list[dict[str, str]]
    left_out: int = 0


def read_conversation(value: object) -> Conversation:
    """A conversation from a record: a list of `role` and `content`, or of `from` and `value`.

    Raises:
        BadConversationError: it is none, or holds what is not text.
    """
    turns = turns_of(value)
    if not turns:
        return Conversation("", [])
    asked = max((place for place, turn in enumerate(turns) if turn["role"] == "user"), default=None)
    if asked is None:
        raise BadConversationError("has no message of the user")
    return Conversation(turns[asked]["content"], turns[:asked], len(turns) - asked - 1)


def turns_of(value: object) -> list[dict[str, str]]:
    """All turns of such a record, in order.

    Raises:
        BadConversationError: as `read_conversation`, but for a conversation without the user.
    """
    if value is None or value == []:
        return []
    value = listed_turns(value)
    if isinstance(value, str) and value.lstrip().startswith("["):
        raise BadConversationError("is a text and not a list of messages: write the list itself, in JSON Lines")
    if not isinstance(value, list):
        raise BadConversationError("is not a list of messages")
    turns = [_turn(turn, number) for number, turn in enumerate(value, start=1)]
    if any(turn["role"] == "system" for turn in turns[1:]):
        raise BadConversationError("has a system message after other messages; keep it as the first one")
    return turns


def listed_turns(value: object) -> object:
    """Messages in columns, as `datasets` writes a Sequence of them, as a list of messages; anything else as it is."""
    if not isinstance(value, dict) or not all(isinstance(column, list) for column in value.values()):
        return value
    if len({len(column) for column in value.values()}) != 1:
        return value
    return [dict(zip(value, turn, strict=True)) for turn in zip(*value.values(), strict=True)]


def _turn(turn: object, number: int) -> dict[str, str]:
    if not isinstance(turn, dict):
        raise BadConversationError("is not a list of messages with role and content")
    said = turn.get("role") or turn.get("from")
    folded = said.casefold() if isinstance(said, str) else ""
    role = _ROLES.get(folded)
    if role is None:
        advice = _TEXT_ONLY if folded in _OTHERS else f"known are {', '.join(_ROLES)}"
        raise BadConversationError(f"has the role {said!r} in message {number}; {advice}")
    content: Any = turn["content"] if turn.get("content") is not None else turn.get("value")
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") in _TEXT_PARTS for part in content
    ):
        content = "".join(str(part.get("text") or "") for part in content)
    if not isinstance(content, str):
        raise BadConversationError(f"has {_other_than_text(turn, content)} in message {number}; {_TEXT_ONLY}")
    return {"role": role, "content": content}


def _other_than_text(turn: Mapping[str, Any], content: object) -> str:
    """What a message has instead of a text, or beside it."""
    if turn.get("tool_calls") or turn.get("function_call"):
        return "a tool call without a text"
    parts = content if isinstance(content, list) else []
    kinds = {str(part.get("type")) for part in parts if isinstance(part, dict)}.difference(_TEXT_PARTS)
    return f"a part of type {min(kinds)!r}" if kinds else "something else than text"


def whole_text(instruction: str, history: Turns | None) -> str:
    """All that is asked as one text, to compare and to embed it: the instruction itself, where no turn is before it."""
    return f"{as_text(history)}\n\n{instruction}" if history else instruction


def as_text(history: Turns) -> str:
    """Turns as one text."""
    return "\n\n".join(f"{turn['role']}:\n{turn['content']}" for turn in history)
