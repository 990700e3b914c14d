"""What the API server says of a Tournament's objects that nothing watches: asked for, and kept for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tiltyard.cluster.client import FORBIDDEN, NOT_FOUND, ApiError, Client
from tiltyard.observe.documents import namespace_of
from tiltyard.observe.kinds import EVENTS, Object

AnswerT = TypeVar("AnswerT")
KEPT_SECONDS = 10.0
MOST_ASKED = 20
"""Objects of a Tournament that are asked about for its status alone, which names those that have waited longest."""


@dataclass
class Answers(Generic[AnswerT]):
    """Answers about the objects of tournaments.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _known: dict[str, dict[str, tuple[float, AnswerT | None]]] = field(default_factory=dict)  # by owner and name

    def forget(self, owner: str) -> None:
        """Drop what is kept of a Tournament that is gone."""
        self._known.pop(owner, None)

    async def _of(
        self, owner: str, names: Collection[str], ask: Callable[[list[str]], Awaitable[Mapping[str, AnswerT]]]
    ) -> dict[str, AnswerT]:
        """What is said, by name; those of which nothing is said are left out, and forgotten those not asked about.

        They are words for people: without a right to them all else goes on, and while the API server fails too, with
        those that are known.

        Args:
            owner: `namespace/name` of the Tournament.
            names: of its objects.
            ask: what is said of some of them.
        """
        before, now = self._known.get(owner, {}), self.clock()
        known = {name: before[name] for name in names if name in before}
        due = [name for name in names if name not in known or now - known[name][0] >= KEPT_SECONDS]
        if due:
            try:
                found = await ask(due)
            except ApiError as error:
                refused = error.status in (FORBIDDEN, NOT_FOUND)  # by an administrator's own rules; no such API
                found = {} if refused else {name: said for name, (_, said) in known.items() if said is not None}
            known |= {name: (now, found.get(name)) for name in due}
        self._known[owner] = known
        return {name: said for name, (_, said) in known.items() if said is not None}

    async def _events(self, owner: str, fields: str) -> list[Object]:
        events, _ = await self.client.list(EVENTS, namespace_of(owner), "", fields)
        return events
