"""How a model's thoughts come, found once by asking it a question of our own.

Two things cannot be seen in a reply that the token limit cut: whether it is all thought, where the chat template wrote
the opening mark; and whether the model would think at all, where it had room for a few tokens alone. Both follow from
one whole reply. What is found hangs on the model alone and not on the order of records, so equal replies give equal
rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from tiltyard_jobs.llm.thoughts import Parts, State

QUESTION = "What is 17 + 25? Reply with the number alone."
MANNER_TOKENS = 2048  # for the reply to it: small models think long about sums


class Manner(StrEnum):
    """Whether a model thinks, and how a thought of its begins."""

    PLAIN = "Plain"  # it answers at once
    OPENED = "Opened"  # a field of the message's own, or an opening mark
    UNOPENED = "Unopened"  # with its closing mark alone


def manner_of(parts: Parts, text: str) -> Manner:
    """The manner of one whole reply.

    Args:
        parts: of it.
        text: its message's content.
    """
    if parts.state is State.NONE:
        return Manner.PLAIN
    opened = not text or parts.thought is None or not text.lstrip().startswith(parts.thought)
    return Manner.OPENED if opened else Manner.UNOPENED


class MannerOf:
    """One model's manner, asked for when it is first wanted. For one event loop; any number of tasks.

    Args:
        ask: puts `QUESTION` to the model.
    """

    def __init__(self, ask: Callable[[], Awaitable[Manner]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self.known: Manner | None = None

    async def find(self) -> Manner:
        """The manner."""
        async with self._lock:  # whoever comes while it is asked waits for the same reply
            if self.known is None:
                self.known = await self._ask()
        return self.known
