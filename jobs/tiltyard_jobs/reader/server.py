"""The pages on 127.0.0.1, for one reader.

Only who has the token of this start can read them (`access`). A page of another site cannot: requests under another
name than the server's own are refused (DNS rebinding), as are those that another site's page makes (Sec-Fetch-Site); a
link there that a person follows leads to a page only if it contains the token. Nothing can be changed through the
server but a file of labels, where it was given one (`labelling`). The policy lets a page load the reader's own style
sheet and script, and nothing else from anywhere.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
import webbrowser
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import quote, urlencode

from aiohttp import web

from tiltyard_jobs.errors import ConfigurationError, JobError
from tiltyard_jobs.reader.access import Access
from tiltyard_jobs.reader.battle import read_battle, resolve
from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.reader.labelling import Labelling
from tiltyard_jobs.reader.labels import LabelFile
from tiltyard_jobs.reader.lists import DROPPED, LISTS, PROGRAMS, Filter, choose
from tiltyard_jobs.reader.live import Live, words_of
from tiltyard_jobs.reader.pages import Pages, Place, asset
from tiltyard_jobs.reader.session import Session

HOST = "127.0.0.1"
PORT = 8642
"""Where it is free: links to battles stay good from one day to the next."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
LIVE_POLICY = f"{POLICY}; connect-src 'self'"
"""Of the page that looks again by itself."""
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LIVE = "/live"
_REFRESH_SECONDS = 2
_LONGEST = 1_000  # characters of a value in a filter
_KINDS = {"reader.css": "text/css", "reader.js": "text/javascript"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServedLinks:
    """The paths of the pages.

    Attributes:
        live: see `Links.live`.
    """

    live = ""

    def asset(self, name: str) -> str:
        """See `Links.asset`."""
        return f"/{name}"

    def battles(self, name: str, wanted: Filter, page: int = 1) -> str:
        """See `Links.battles`."""
        return f"/{name}{_query(_given(wanted) | ({'page': str(page)} if page > 1 else {}))}"

    def battle(self, number: int, place: Place | None = None) -> str:
        """See `Links.battle`."""
        raise NotImplementedError

    def text(self, identity: str, player: str) -> str:
        """See `Links.text`."""
        return f"/text/{identity}/{quote(player, safe='')}"


class IndexedLinks(ServedLinks):
    """The paths over one index.

    Args:
        index: names the battles.
        live: see `Links.live`.
    """

    def __init__(self, index: Index, live: str = "") -> None:
        self._index = index
        self.live = live

    def battle(self, number: int, place: Place | None = None) -> str:
        """See `Links.battle`."""
        battles, names = self._index.battles, self._index.players.words
        identity = self._index.ids[int(battles.instruction[number])].as_py()
        a, b = names[int(battles.a[number])], names[int(battles.b[number])]
        path = f"/battle/{identity}/{quote(a, safe='')}/{quote(b, safe='')}"
        if place is None:
            return path
        return path + _query({"list": place.name, **_given(place.wanted), "at": str(place.at)})


def _given(wanted: Filter) -> dict[str, str]:
    return {name: value for name, value in vars(wanted).items() if value}


def _query(values: dict[str, str]) -> str:
    return f"?{urlencode(values)}" if values else ""


def _wanted(request: web.Request) -> Filter:
    given = {name: request.query.get(name, "").strip()[:_LONGEST] for name in vars(Filter())}
    return Filter(**given)


class _Over(NamedTuple):
    """Pages, and the orders of the lists last asked for."""

    pages: Pages
    orders: dict[tuple[str, Filter], Sequence[int]]


class Reader:
    """The request handlers.

    Args:
        session: the run.
        labels: where a person's votes go; None: nobody is asked.
        live: says how far the run is; None: nobody does.

    Attributes:
        access: who may read.
        port: the server's, once it listens.
    """

    def __init__(self, session: Session, labels: LabelFile | None = None, live: Live | None = None) -> None:
        self.access = Access()
        self._session = session
        self._labelling = Labelling(labels, lambda: self._pages().pages) if labels is not None else None
        self._live = live
        self._over: _Over | None = None
        self._lock = threading.Lock()
        self.port = 0

    def application(self) -> web.Application:
        """The server's application."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._home)
        for name in _KINDS:
            app.router.add_get(f"/{name}", self._asset)
        app.router.add_get(f"/{{name:{'|'.join(LISTS)}}}", self._battles)
        app.router.add_get(f"/{DROPPED}", self._dropped)
        app.router.add_get(f"/{PROGRAMS}", self._programs)
        app.router.add_get("/battle/{identity}", self._battle)
        app.router.add_get("/battle/{identity}/{a}/{b}", self._battle)
        app.router.add_get("/text/{identity}/{player}", self._text)
        if self._live is not None:
            app.router.add_get(_LIVE, self._live_page)
        if self._labelling is not None:
            self._labelling.add_routes(app)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await self._answered(request, handler)
        answer.headers.update(_HEADERS)
        if request.path == _LIVE:
            answer.headers["Content-Security-Policy"] = LIVE_POLICY
        return answer

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host not in (f"{name}:{self.port}" for name in (HOST, "localhost")):
            return web.Response(status=403, text=f"The reader's address begins with http://{HOST}:{self.port}/")
        site, kind = request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-Dest")
        if site not in (None, "same-origin", "none") and (kind != "document" or request.method != "GET"):
            return web.Response(status=403, text="A page of another site made this request, which is refused.")
        if (refused := self.access.refusal(request, self.port)) is not None:
            return refused
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return web.Response(status=error.status, text=error.reason)
        except JobError as error:
            return web.Response(status=503, text=str(error))

    def _pages(self) -> _Over:
        index = self._session.index()
        with self._lock:
            if self._over is None or self._over.pages.index is not index:
                links = IndexedLinks(index, "" if self._live is None else _LIVE)
                self._over = _Over(Pages.over(index, links), {})
            return self._over

    async def _home(self, request: web.Request) -> web.Response:
        if self._labelling is not None:
            raise web.HTTPFound("/label")
        pages = (await asyncio.to_thread(self._pages)).pages
        raise web.HTTPFound("/close" if self._live is None or pages.index.source.complete else _LIVE)

    async def _live_page(self, request: web.Request) -> web.Response:
        assert self._live is not None
        status, missing = await self._live.look()
        words = words_of(status, time.time()) if status is not None else {"missing": missing}
        at_work = status is None or status.activity == "Running"
        words |= {"refresh": _REFRESH_SECONDS if at_work else 0}

        def draw(stop: threading.Event) -> str:
            over = self._over or self._pages()  # the lists are not counted anew at each look
            return over.pages.live({"missing": "", "at_work": at_work} | words)

        return await _page(draw)

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        return web.Response(text=asset(name), content_type=_KINDS[name], charset="utf-8")

    async def _battles(self, request: web.Request) -> web.Response:
        name, wanted, page = request.match_info["name"], _wanted(request), _whole(request.query.get("page"), 1)

        def draw(stop: threading.Event) -> str:
            over = self._pages()
            numbers = _ordered(over, name, wanted, stop)
            return over.pages.battles(name, wanted, page, numbers, form=_form(over.pages, name, wanted))

        return await _page(draw)

    async def _dropped(self, request: web.Request) -> web.Response:
        wanted, page = _wanted(request), _whole(request.query.get("page"), 1)

        def draw(stop: threading.Event) -> str:
            pages = self._pages().pages
            numbers = pages.dropped.choose(player=wanted.player, reason=wanted.value)
            return pages.dropped_page(wanted, page, numbers, form=_dropped_form(pages, wanted))

        return await _page(draw)

    async def _programs(self, request: web.Request) -> web.Response:
        wanted, page = _wanted(request), _whole(request.query.get("page"), 1)

        def draw(stop: threading.Event) -> str:
            pages = self._pages().pages
            numbers = pages.programs.choose(player=wanted.player, outcome=wanted.value)
            return pages.programs_page(wanted, page, numbers, form=_programs_form(pages, wanted))

        return await _page(draw)

    async def _battle(self, request: web.Request) -> web.Response:
        names = [request.match_info[name] for name in ("identity", "a", "b") if name in request.match_info]
        place = None
        if request.query.get("list") in LISTS:
            place = Place(request.query["list"], _wanted(request), _whole(request.query.get("at"), 0))
        differences = "differences" in request.query

        def draw(stop: threading.Event) -> str:
            over = self._pages()
            pages = over.pages
            found = resolve(pages.index, "/".join(names))
            if not found:
                raise web.HTTPNotFound(reason="this run has no such battle")
            around = _around(over, place, stop) if place is not None else ("", "")
            return pages.battle(
                found[0],
                place=place,
                around=around,
                differences=differences,
                difference_href=pages.links.battle(found[0], place)
                + ("&" if place else "?")
                + "differences#difference",
            )

        return await _page(draw)

    async def _text(self, request: web.Request) -> web.Response:
        identity, player = request.match_info["identity"], request.match_info["player"]

        def find() -> str:
            index = self._pages().pages.index
            for number in resolve(index, identity):
                battle = read_battle(index, number)
                for one in (battle.a, battle.b):
                    if one.player == player and one.text is not None:
                        return one.text
            raise web.HTTPNotFound(reason="this run has no such answer")

        text = (await asyncio.to_thread(find)).encode("utf-8", "replace")
        return web.Response(body=text, content_type="text/plain", charset="utf-8")


async def _page(draw: Callable[[threading.Event], str]) -> web.Response:
    """A page that is drawn in a thread; a search stops when nobody waits for it any more."""
    stop = threading.Event()
    try:
        html = await asyncio.to_thread(draw, stop)
    except asyncio.CancelledError:
        stop.set()
        raise
    return web.Response(body=html.encode("utf-8", "replace"), content_type="text/html", charset="utf-8")


def _ordered(over: _Over, name: str, wanted: Filter, stop: threading.Event) -> Sequence[int]:
    key = (name, wanted)
    if key not in over.orders:
        numbers = choose(over.pages.index, name, wanted, stop).tolist()
        if stop.is_set():
            return ()
        while len(over.orders) > 16:
            over.orders.pop(next(iter(over.orders)), None)
        over.orders[key] = numbers
    return over.orders[key]


def _around(over: _Over, place: Place, stop: threading.Event) -> tuple[str, str]:
    """Links to the battles before and after a place in a list."""
    numbers = _ordered(over, place.name, place.wanted, stop)

    def link(at: int) -> str:
        inside = 0 <= at < len(numbers)
        return over.pages.links.battle(int(numbers[at]), place._replace(at=at)) if inside else ""

    return link(place.at - 1), link(place.at + 1)


def _form(pages: Pages, name: str, wanted: Filter) -> dict[str, object]:
    index = pages.index
    levels = [str(level) for level in sorted(set(index.difficulty.tolist())) if level]
    choices = [
        {"title": "Player", "name": "player", "words": index.players.words, "value": wanted.player},
        {"title": "Judge", "name": "judge", "words": index.judges.words, "value": wanted.judge},
        {"title": "Type", "name": "task_type", "words": sorted(index.types.words), "value": wanted.task_type},
        {"title": "Difficulty", "name": "difficulty", "words": levels, "value": wanted.difficulty},
    ]
    return {
        "action": f"/{name}",
        "choices": choices,
        "columns": list(index.kept),
        "column": wanted.column,
        "value": wanted.value,
        "searches": True,
        "text": wanted.text,
        "set": bool(_given(wanted)),
    }


def _dropped_form(pages: Pages, wanted: Filter) -> dict[str, object]:
    return _short_form(DROPPED, wanted, pages.index.players.words, "Reason", pages.dropped.reasons)


def _programs_form(pages: Pages, wanted: Filter) -> dict[str, object]:
    return _short_form(PROGRAMS, wanted, pages.programs.players, "Outcome", pages.programs.outcomes)


def _short_form(
    name: str, wanted: Filter, players: Sequence[str], title: str, values: Sequence[str]
) -> dict[str, object]:
    """The form of a list without battles: its player, and one value."""
    choices = [
        {"title": "Player", "name": "player", "words": players, "value": wanted.player},
        {"title": title, "name": "value", "words": values, "value": wanted.value},
    ]
    return {"action": f"/{name}", "choices": choices, "columns": (), "searches": False, "set": bool(_given(wanted))}


def _whole(text: str | None, least: int) -> int:
    """A page's number; the first one where it is none."""
    return max(least, int(text)) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else least


async def serve(
    session: Session, port: int | None, *, browse: bool, labels: LabelFile | None = None, live: Live | None = None
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Args:
        session: the run.
        port: 0: any that is free; None: `PORT`, or any that is free.
        browse: open a browser.
        labels: where a person's votes go.
        live: says how far the run is.

    Raises:
        ConfigurationError: there is no such run, or the port is taken.
        PermanentError: a table is gone or damaged.
    """
    await asyncio.to_thread(session.index)
    reader, stopped = Reader(session, labels, live), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(reader.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, PORT if port is None else port).start()
        except OSError as error:
            if port is not None:
                raise ConfigurationError(f"--port {port} cannot be used: {error.strerror}; give another one") from None
            await web.TCPSite(runner, HOST, 0).start()
        reader.port = runner.addresses[0][1]
        origin = f"http://{HOST}:{reader.port}"
        print(f"{reader.access.address(origin)}  (Ctrl-C stops it)", flush=True)
        with ExitStack() as until_stopped:
            if browse:
                page = until_stopped.enter_context(reader.access.page(origin))
                await asyncio.to_thread(webbrowser.open, page)
            await stopped.wait()
    finally:
        if live is not None:
            await live.close()
        await runner.cleanup()
