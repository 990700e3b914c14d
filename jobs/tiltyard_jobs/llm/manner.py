"""How a model's thoughts come, found once by asking it a question of our own.

Two things cannot be seen in a reply that the token limit or a stop cut: whether it is all thought, where the chat
template wrote the opening mark; and whether the model would think at all, where it had room for a few tokens alone.
Both follow from one whole reply. What is found hangs on the model alone and not on the order of records, so equal
replies give equal rows. The reply may be a few times as long as what is cut: a model that talks on to any limit would
else spend more tokens on it than on a shard of short answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from tiltyard_jobs.llm.thoughts import Parts, State

QUESTION = "What is 17 + 25? Reply with the number alone."
MANNER_TOKENS = 2048  # for the reply to it, at most: small models think long about sums
FEWEST_TOKENS = 512  # that most thoughts about a sum have room in
TIMES_AS_LONG = 4


class Manner(StrEnum):
    """Whether a model thinks, and how a thought of its begins."""

    PLAIN = "Plain"  # it answers at once
    OPENED = "Opened"  # a field of the message's own, or an opening mark
    UNOPENED = "Unopened"  # with its closing mark alone


def manner_of(parts: Parts, content: object, finish_reason: str) -> Manner | None:
    """The manner of one reply; None where it is cut and shows no mark.

    Args:
        parts: of it.
        content: its message's.
        finish_reason: as the server tells it.
    """
    if parts.state is State.NONE:
        return None if finish_reason == "length" else Manner.PLAIN
    text = content if isinstance(content, str) else ""
    opened = not text or parts.thought is None or not text.lstrip().startswith(parts.thought)
    return Manner.OPENED if opened else Manner.UNOPENED


class MannerOf:
    """One model's manner, asked for when it is first wanted. For one event loop; any number of tasks.

    Args:
        ask: puts `QUESTION` to the model, with room for so many tokens; None: the reply was cut before it showed.
    """

    def __init__(self, ask: Callable[[int], Awaitable[Manner | None]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._room = 0
        self.known: Manner | None = None

    async def find(self, limit: int) -> Manner:
        """The manner, plain until something else is seen.

        Args:
            limit: tokens that the reply may have for which it is wanted. One that may be longer asks again where the
                manner did not show.
        """
        room = min(MANNER_TOKENS, max(FEWEST_TOKENS, TIMES_AS_LONG * limit))
        async with self._lock:  # whoever comes while it is asked waits for the same reply
            if self.known is None and room > self._room:
                self.known, self._room = await self._ask(room), room
        return self.known or Manner.PLAIN
