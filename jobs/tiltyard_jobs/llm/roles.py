"""System messages for models that have no system role: their words go to the beginning of the user's turn.

A template may refuse a system message (Gemma 1 and 2, the first Mistral), so that every record is void, or leave it out
without a word (the first Phi-3, Orion), so that a judge votes on no criteria at all. A server that renders
(`rendering`) tells both before the first record; of another server the refusal is seen, and asked about with two
requests of our own, since a prompt may be refused for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.rendering import Messages, Rendered

_MARK = "Quiet tilt-Yard 7, mark Z9v"
_USER = [{"role": "user", "content": "1"}]
_BOTH = [{"role": "system", "content": _MARK}, *_USER]


class SystemRole:
    """Whether one model at one endpoint takes system messages: found once, and remembered.

    Args:
        where: the model and its endpoint, for the user.
        render: messages in the model's template; None where the server does not render.
        ask: asks for one token of a reply.
        warn: is told once where there is none.
    """

    def __init__(
        self,
        where: str,
        *,
        render: Callable[[Messages], Awaitable[Rendered | None]],
        ask: Callable[[Messages], Awaitable[object]],
        warn: Callable[[str], None],
    ) -> None:
        self._warn = warn
        self._where = where
        self._render = render
        self._ask = ask
        self._lock = asyncio.Lock()
        self._rendered = False
        self._known = False
        self._lacking = False

    @property
    def found(self) -> bool | None:
        """Whether there is a system role; None where that is not known yet."""
        return not self._lacking if self._known else None

    def recall(self, found: bool | None) -> None:
        """Take what was found before."""
        if found is not None:
            self._rendered = self._known = True
            self._lacking = not found

    async def fitted(self, messages: Messages) -> Messages:
        """The messages as this model takes them."""
        if messages[0]["role"] != "system":
            return messages
        if not self._rendered:
            async with self._lock:
                if not self._rendered:
                    await self._look_at_rendering()
                    self._rendered = True
        return in_user_turn(messages) if self._lacking else messages

    async def explains(self, refusal: RecordVoidError, messages: Messages) -> bool:
        """Whether these messages were refused because of their system message; asks where that is not known yet."""
        if messages[0]["role"] != "system" or refusal.reason is not VoidReason.REFUSED_BY_SERVER:
            return False
        async with self._lock:
            if not self._known:
                self._known = True
                if await _is_refused(self._ask, _BOTH) and not await _is_refused(self._ask, _USER):
                    self._lacks("refuses")
        return self._lacking

    async def _look_at_rendering(self) -> None:
        try:
            rendered = await self._render(_BOTH)
        except RecordVoidError as error:
            if error.reason is VoidReason.REFUSED_BY_SERVER and not await _is_refused(self._render, _USER):
                self._lacks("refuses")
            return
        if rendered is None:
            return
        self._known = True
        if _MARK not in rendered.text:
            self._lacks("leaves out")

    def _lacks(self, how: str) -> None:
        self._known = self._lacking = True
        self._warn(f"{self._where} {how} system messages: their words are put before the user's")


def in_user_turn(messages: Messages) -> Messages:
    """The system message's words at the beginning of the first user turn."""
    system, *rest = messages
    if rest and rest[0]["role"] == "user":
        user, *rest = rest
        return [{**user, "content": f"{system['content']}\n\n{user['content']}"}, *rest]
    return [{**system, "role": "user"}, *rest]


async def _is_refused(ask: Callable[[Messages], Awaitable[object]], messages: Messages) -> bool:
    try:
        await ask(messages)
    except RecordVoidError as error:
        return error.reason is VoidReason.REFUSED_BY_SERVER
    return False
