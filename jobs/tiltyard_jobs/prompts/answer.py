"""What a competitor is asked: the instruction as it is, after the user's own system message where there is one."""

from __future__ import annotations


def answer_messages(instruction: str, system: str | None) -> list[dict[str, str]]:
    """Chat messages that ask for an answer."""
    messages = [{"role": "user", "content": instruction}]
    return messages if system is None else [{"role": "system", "content": system}, *messages]
