"""What a competitor is asked: the instruction as it is, after a system message and earlier turns, if there are any."""

from __future__ import annotations

from tiltyard_jobs.contracts.conversation import Turns


def answer_messages(instruction: str, system: str | None, history: Turns | None = None) -> list[dict[str, str]]:
    """Chat messages that ask for an answer.

    Args:
        instruction: what is asked.
        system: the user's own system message; one in `history` takes its place.
        history: turns before the instruction.
    """
    messages = [*map(dict, history or ()), {"role": "user", "content": instruction}]
    if system is None or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": system}, *messages]
