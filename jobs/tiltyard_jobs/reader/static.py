"""The pages as files: opened from a folder, or put beside the report in a bucket. No server is needed.

Every battle is a file of its own, so a run of any size opens; how many there are is bounded, and every list says how
many are left out. A list has a page for each player, judge and type of task besides. The policy is in each page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.reader.battle import read_battle
from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.reader.lists import DROPPED, LISTS, PROGRAMS, Filter, choose
from tiltyard_jobs.reader.pages import PAGE_ROWS, SHOWN, Pages, Place, asset

POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'none'; base-uri 'none'"

_FACETS = {"Player": "player", "Judge": "judge", "Type": "task_type"}
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_MOST_ROWS = 1_000  # of a list without battles


class File(NamedTuple):
    """A file to write."""

    name: str
    data: bytes


class FileLinks:
    """Names of files, all in one folder.

    Args:
        index: names the battles.
        written: the battles that have a file.

    Attributes:
        live: see `Links.live`.
    """

    live = ""

    def __init__(self, index: Index, written: frozenset[int]) -> None:
        self._index, self._written = index, written

    def asset(self, name: str) -> str:
        """See `Links.asset`."""
        return name

    def battles(self, name: str, wanted: Filter, page: int = 1) -> str:
        """See `Links.battles`."""
        if name == "close" and wanted == Filter() and page == 1:
            return "index.html"
        words = [name, *(f"{field}-{_safe(value)}" for field, value in vars(wanted).items() if value)]
        return ".".join([*words, str(page), "html"]) if page > 1 else ".".join([*words, "html"])

    def battle(self, number: int, place: Place | None = None) -> str:
        """See `Links.battle`; empty where the battle has no file."""
        if number not in self._written:
            return ""
        battles, names = self._index.battles, self._index.players.words
        identity = self._index.ids[int(battles.instruction[number])].as_py()
        a, b = int(battles.a[number]), int(battles.b[number])
        return f"{_safe(identity)}.{_safe(names[a])}.{_safe(names[b])}.html"

    def text(self, identity: str, player: str) -> str:
        """See `Links.text`."""
        return f"{_safe(identity)}.{_safe(player)}.txt"


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)


def files(index: Index, most: int) -> Iterator[File]:
    """All files of the static pages.

    Args:
        index: a run.
        most: battles with a file.
    """
    written = select(index, most)
    links = FileLinks(index, frozenset(written))
    pages = Pages.over(index, links, POLICY)
    for name in ("reader.css", "reader.js"):
        yield File(name, asset(name).encode())
    kept = np.zeros(len(index.battles.a), np.bool_)
    kept[written] = True
    for name in LISTS:
        for wanted in (Filter(), *(one for _, one in _narrowed(index))):
            yield from _list(pages, links, name, wanted, kept)
    yield from _rows(DROPPED, links, pages.dropped.choose(), pages.dropped_page)
    yield from _rows(PROGRAMS, links, pages.programs.choose(), pages.programs_page)
    for place, number in enumerate(written):
        before = links.battle(written[place - 1]) if place else ""
        after = links.battle(written[place + 1]) if place + 1 < len(written) else ""
        html = pages.battle(number, around=(before, after), differences=True)
        yield File(links.battle(number), html.encode("utf-8", "replace"))
        yield from _long_texts(pages, number)


def select(index: Index, most: int) -> list[int]:
    """The battles that get a file, by instruction: in turn the next one of each list, until there are `most`."""
    chosen: dict[int, None] = {}
    for numbers in zip_longest(*(choose(index, name, Filter()).tolist() for name in LISTS)):
        for number in numbers:
            if number is not None and len(chosen) < most:
                chosen[number] = None
    return sorted(chosen)


def _narrowed(index: Index) -> list[tuple[str, Filter]]:
    """The filters that have pages."""
    words = {"player": index.players.words, "judge": index.judges.words, "task_type": sorted(index.types.words)}
    return [(title, Filter(**{field: word})) for title, field in _FACETS.items() for word in words[field]]


def _list(pages: Pages, links: FileLinks, name: str, wanted: Filter, kept: NDArray[np.bool_]) -> Iterator[File]:
    everything = choose(pages.index, name, wanted)
    numbers: Sequence[int] = everything[kept[everything]].tolist()
    absent = len(everything) - len(numbers)
    left_out = f"; {absent:,} more are not among these pages" if absent else ""
    facets: dict[str, list[tuple[str, str]]] = {}
    for title, one in _narrowed(pages.index):
        word = next(value for value in vars(one).values() if value)
        facets.setdefault(title, []).append((word, links.battles(name, one)))
    for page in range(1, max(1, -(-len(numbers) // PAGE_ROWS)) + 1):
        html = pages.battles(name, wanted, page, numbers, facets=list(facets.items()), left_out=left_out)
        yield File(links.battles(name, wanted, page), html.encode("utf-8", "replace"))


def _rows(name: str, links: FileLinks, numbers: Sequence[int], draw: Callable[..., str]) -> Iterator[File]:
    """The pages of a list without battles."""
    absent = len(numbers) - _MOST_ROWS
    left_out = f"; {absent:,} more are not among these pages" if absent > 0 else ""
    numbers = numbers[:_MOST_ROWS]
    for page in range(1, -(-len(numbers) // PAGE_ROWS) + 1):
        html = draw(Filter(), page, numbers, left_out=left_out)
        yield File(links.battles(name, Filter(), page), html.encode("utf-8", "replace"))


def _long_texts(pages: Pages, number: int) -> Iterator[File]:
    """The answers that the page cuts."""
    battle = read_battle(pages.index, number)
    for one in (battle.a, battle.b):
        if one.text is not None and len(one.text) > SHOWN:
            yield File(pages.links.text(battle.identity, one.player), one.text.encode("utf-8", "replace"))
