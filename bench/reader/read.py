"""How long the battle reader takes: to open a run, to draw each list, to draw a battle, to search all texts.

    python bench/reader/read.py [--instructions 70000] [--battles 50] [--browser PROGRAM] [--keep DIR]

Needs the `local` extra, and duckdb for the peer; `PYTHONPATH=operator:jobs $(python hack/envs.py bench)` is an
interpreter with both. Makes a run of five players first, three judges for each battle in both orders: 70,000
instructions are 280,000 battles, 1,680,000 verdicts and 350,000 answers of some 1,200 characters, one in eight of them
with a text that attacks (a minute; 300 MB in a temporary folder, or in DIR, which is read again where it is there).
Times are wall-clock seconds in one process.

With `--browser`, a Chromium, the same pages of `tiltyard view` are opened in it. Their times are the browser's own,
`duration` of its navigation timing: from the request to the end of the page's load event, with style sheet and script.

Beside each stands DuckDB's own query for the same rows of the same files, without drawing anything: for opening, the
share and the flipped orders of all battles; for a list, the battles in order and the instructions of the first page;
for a battle, its instruction, answers and verdicts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.browser import VARIABLE, Browser, browser
from support.large_runs import make_large_run
from support.read_runs import served
from tiltyard_jobs.reader.battle import read_battle
from tiltyard_jobs.reader.index import Index, build_index
from tiltyard_jobs.reader.lists import LISTS, Filter, choose
from tiltyard_jobs.reader.pages import PAGE_ROWS, Pages
from tiltyard_jobs.reader.server import IndexedLinks
from tiltyard_jobs.reader.source import run_folder
from tiltyard_jobs.store.folder import FolderStore


def main() -> None:
    """Make or find a run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instructions", type=int, default=70_000)
    parser.add_argument("--battles", type=int, default=50, help="how many battles are drawn")
    parser.add_argument("--browser", metavar="PROGRAM", help="a Chromium, which opens the same pages")
    parser.add_argument("--keep", type=Path, help="the folder of the run")
    options = parser.parse_args()
    if options.browser:
        os.environ[VARIABLE] = options.browser
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        if not (folder / "manifest.json").exists():
            seconds, _ = timed(lambda: make_large_run(folder, options.instructions))
            print(f"made {options.instructions:,} instructions in {seconds:.0f} s")
        index = measure(folder, options.battles)
        if options.browser:
            asyncio.run(browse(folder, index, options.battles))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what came out."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def measure(folder: Path, many: int) -> Index:
    """Time the reader, and DuckDB where it is installed."""
    store = FolderStore(folder)
    index: Index
    seconds, index = timed(lambda: build_index(run_folder(store, "")))  # type: ignore[assignment]
    duck = Duck(folder)
    row("open", seconds, duck.time(duck.open))
    pages = Pages.over(index, IndexedLinks(index))
    for name in LISTS:
        ours, _ = timed(partial(page, pages, name, Filter()))
        row(f"list {name}", ours, duck.time(duck.close) if name == "close" else None)
    ours, _ = timed(partial(page, pages, "flips", Filter(player="ada", judge="blaise")))
    row("list flips, one player, one judge", ours, None)
    numbers = some_battles(index, many)
    drawn = [timed(partial(pages.battle, number))[0] for number in numbers]
    read = [duck.time(partial(duck.battle, read_battle(index, number).identity)) for number in numbers[:5]]
    row(f"battle, median of {many}", statistics.median(drawn), read[2])
    row("battle, slowest", max(drawn), None)
    ours, _ = timed(partial(choose, index, "all", Filter(text="nowhere to be found")))
    row("search", ours, duck.time(duck.search))
    return index


async def browse(folder: Path, index: Index, many: int) -> None:
    """Open the pages in a browser, which times them."""
    links = IndexedLinks(index)
    with served(str(folder), folder=folder) as reader:
        origin = f"http://127.0.0.1:{reader.port}"
        async with browser() as tab:
            await tab.enter(reader.address)
            row("in the browser: open", await loaded(tab), None)
            for name in LISTS:
                await tab.open(f"{origin}/{name}")
                row(f"in the browser: list {name}", await loaded(tab), None)
            times = []
            for number in some_battles(index, many):
                await tab.open(f"{origin}{links.battle(number)}")
                times.append(await loaded(tab))
            row(f"in the browser: battle, median of {many}", statistics.median(times), None)
            row("in the browser: battle, slowest", max(times), None)
            foreign = [one for one in tab.requests if not one.startswith((f"{origin}/", "data:"))]
            assert (tab.faults, foreign) == ([], [])


async def loaded(tab: Browser) -> float:
    """Seconds that the page took, by the browser's own clock."""
    entry = "performance.getEntriesByType('navigation')[0]"
    await tab.until(f"{entry}.loadEventEnd > 0")
    milliseconds: float = await tab.value(f"{entry}.duration")
    return milliseconds / 1000


def some_battles(index: Index, many: int) -> list[int]:
    """Numbers of battles by chance, the same each time."""
    numbers: list[int] = np.random.default_rng(1).integers(0, len(index.battles.a), many).tolist()
    return numbers


def page(pages: Pages, name: str, wanted: Filter) -> str:
    """The first page of a list."""
    return pages.battles(name, wanted, 1, choose(pages.index, name, wanted).tolist())


def row(what: str, ours: float, theirs: float | None) -> None:
    """A line of the table."""
    beside = "" if theirs is None else f"{theirs:8.3f} s   ratio {ours / theirs:.2f}"
    print(f"{what:<36}{ours:8.3f} s   {beside}", flush=True)


class Duck:
    """DuckDB over the same files."""

    def __init__(self, folder: Path) -> None:
        try:
            import duckdb
        except ImportError:
            print("duckdb is not installed: no peer")
            self.there = False
            return
        self.there = True
        self._base = duckdb.connect()
        self._tables = folder / "tables"

    def time(self, query: Callable[[], object]) -> float | None:
        """Seconds of a query."""
        return timed(query)[0] if self.there else None

    def open(self) -> None:
        """What the lists are made of: for each battle its share, and the judges that flipped."""
        self._all(
            "select instruction_id, model_a, model_b, avg((ab + ba) / 2), count(*) filter ((ab - .5) * (ba - .5) < 0)"
            " from (select instruction_id, model_a, model_b, judge, max(vote) filter (\"order\" = 'AB') ab,"
            " max(vote) filter (\"order\" = 'BA') ba from 'T/verdicts.parquet' group by all) group by all"
        )

    def close(self) -> None:
        """The closest battles, and the first page's instructions."""
        self._all(
            "select b.*, i.instruction from (select * from 'T/battles.parquet' order by abs(score - 0.5) limit"
            f" {PAGE_ROWS}) b join 'T/instructions.parquet' i using (instruction_id)"
        )

    def battle(self, identity: str) -> None:
        """All that a battle's page shows."""
        for table in ("instructions", "answers", "verdicts"):
            self._all(f"select * from 'T/{table}.parquet' where instruction_id = '{identity}'")

    def search(self) -> None:
        """A text in instructions and answers."""
        for table, column in (("instructions", "instruction"), ("answers", "answer")):
            self._all(f"select instruction_id from 'T/{table}.parquet' where {column} ilike '%nowhere to be found%'")

    def _all(self, query: str) -> None:
        self._base.execute(query.replace("T/", f"{self._tables}/")).fetchall()


if __name__ == "__main__":
    main()
