"""The pages on which a person votes: blind, one battle after the other.

A vote is a POST with a token that only the reader's own pages hold, so no page of another site can vote.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from tiltyard_jobs.reader.battle import read_battle
from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.reader.labels import Label, LabelFile, now
from tiltyard_jobs.reader.pages import Pages
from tiltyard_jobs.reader.proposals import SAMPLE, Proposals, agreement

_WINNERS = {"1": ("model_a", "model_b"), "2": ("model_b", "model_a"), "tie": ("tie", "tie")}
"""The winner by what was pressed: where A is on the left, and where B is."""


@dataclass
class _Over:
    """What is known over one index."""

    proposals: Proposals
    done: set[int] = field(default_factory=set)
    """Battles that have a label, or were passed over."""


class Labelling:
    """The request handlers.

    Args:
        file: where the labels go.
        pages: the pages over the run as it is now.
    """

    def __init__(self, file: LabelFile, pages: Callable[[], Pages]) -> None:
        self._file, self._pages = file, pages
        self._token = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._over: _Over | None = None
        self._skipped: set[str] = set()

    def add_routes(self, app: web.Application) -> None:
        """Add the pages."""
        app.router.add_get("/label", self._next)
        app.router.add_post("/label", self._vote)
        app.router.add_get("/label/{name}", self._judged)
        app.router.add_get("/label/{name}/{side:[12]}", self._text)

    async def _next(self, request: web.Request) -> web.Response:
        late = "late" in request.query
        html = await asyncio.to_thread(self._draw, late)
        return web.Response(body=html.encode("utf-8", "replace"), content_type="text/html", charset="utf-8")

    async def _vote(self, request: web.Request) -> web.Response:
        given = await request.post()
        token, name, vote = (str(given.get(key, "")) for key in ("token", "battle", "vote"))
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return web.Response(status=403, text="this page is not of this start of the reader: load it again and vote")
        if vote not in (*_WINNERS, "skip", "undo"):
            return web.Response(status=400, text="a vote is 1, 2, tie, skip or undo")
        stored = await asyncio.shield(asyncio.to_thread(self._take, name, vote))
        raise web.HTTPSeeOther("/label" if stored else "/label?late")

    async def _judged(self, request: web.Request) -> web.Response:
        """To the battle with its votes, once it has a label."""
        name = request.match_info["name"]

        def find() -> str:
            pages = self._pages()
            with self._lock:
                over = self._known(pages.index)
                place = over.proposals.find(name)
                if place is None or name in self._skipped or int(over.proposals.numbers[place]) not in over.done:
                    raise web.HTTPNotFound(reason="vote first: the battle's page shows what the jury said")
                return pages.links.battle(int(over.proposals.numbers[place]))

        raise web.HTTPFound(await asyncio.to_thread(find))

    async def _text(self, request: web.Request) -> web.Response:
        name, side = request.match_info["name"], request.match_info["side"]

        def find() -> str:
            index = self._pages().index
            with self._lock:
                proposals = self._known(index).proposals
            place = proposals.find(name)
            if place is None:
                raise web.HTTPNotFound(reason="this run has no such answer")
            battle = read_battle(index, int(proposals.numbers[place]))
            return (battle.a if (side == "1") == proposals.a_is_left(place) else battle.b).text or ""

        text = (await asyncio.to_thread(find)).encode("utf-8", "replace")
        return web.Response(body=text, content_type="text/plain", charset="utf-8")

    def _known(self, index: Index) -> _Over:
        if self._over is None or self._over.proposals.index is not index:
            proposals = Proposals(index)
            found = (proposals.number_of(label) for label in self._file.labels)
            done = {one[0] for one in found if one is not None}
            skipped = (proposals.find(name) for name in self._skipped)
            done |= {int(proposals.numbers[place]) for place in skipped if place is not None}
            self._over = _Over(proposals, done)
        return self._over

    def _take(self, name: str, vote: str) -> bool:
        """Store a vote; False where the battle has one, or there is no such battle."""
        index = self._pages().index
        with self._lock:
            over = self._known(index)
            proposals = over.proposals
            place = proposals.find(name)
            if place is None:
                return False
            number = int(proposals.numbers[place])
            if vote == "undo":
                return self._undo(over, number)
            if number in over.done:
                return False
            if vote == "skip":
                self._skipped.add(name)
            else:
                identity, a, b = proposals.players(place)
                left = proposals.a_is_left(place)
                winner = _WINNERS[vote][0 if left else 1]
                self._file.add(Label(identity, a, b, winner, proposals.part(place), a if left else b, now()))
            over.done.add(number)
            return True

    def _undo(self, over: _Over, number: int) -> bool:
        """Take the last label back, if it is that of this battle."""
        last = over.proposals.number_of(self._file.labels[-1]) if self._file.labels else None
        if last is None or last[0] != number:
            return False
        self._file.undo()
        if all((one := over.proposals.number_of(label)) is None or one[0] != number for label in self._file.labels):
            over.done.discard(number)
        return True

    def _draw(self, late: bool) -> str:
        pages = self._pages()
        with self._lock:
            over = self._known(pages.index)
            proposals, labels = over.proposals, list(self._file.labels)
            place = next((one for one in proposals if int(proposals.numbers[one]) not in over.done), None)
            left = len(proposals) - sum(proposals.place_of(number) is not None for number in over.done)
        found = proposals.number_of(labels[-1]) if labels else None
        last = proposals.place_of(found[0]) if found is not None else None
        return pages.label(
            token=self._token,
            battle=None if place is None else read_battle(pages.index, int(proposals.numbers[place])),
            name="" if place is None else proposals.name(place),
            a_is_left=place is not None and proposals.a_is_left(place),
            left=left,
            skipped=len(self._skipped),
            everything=agreement(proposals, labels),
            sample=agreement(proposals, (one for one in labels if one.part == SAMPLE)),
            last="" if last is None else proposals.name(last),
            late=late,
            file=self._file.path.name,
        )
