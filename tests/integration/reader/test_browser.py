"""The pages in a real browser: nothing that a model wrote runs or asks for anything, and the keys work.

TILTYARD_BROWSER=$(which chromium) .venv/bin/python -m pytest tests/integration/reader/test_browser.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.browser import VARIABLE, Browser, browser
from support.large_runs import make_large_run
from support.read_runs import Run, make_run, noting_browser, served
from support.waiting import wait_until
from tiltyard_jobs.stages.pages import write_pages

pytestmark = [
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no browser"),
    pytest.mark.timeout(600),
]
PICTURES = os.environ.get("TILTYARD_PICTURES")
"""A folder for pictures to look at."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("made"))
    write_pages(run.world.store, "0123456789ab", 100)
    return run


async def read_everything(tab: Browser, start: str, allowed: str) -> None:
    """Open each list, and each battle of all battles; then see what the browser was asked for."""
    await tab.open(start)
    lists = await tab.value("[...document.querySelectorAll('header nav a')].map((one) => one.href)")
    assert len(lists) == 8
    battles: list[str] = []
    for address in lists:
        await tab.open(address)
        battles += await tab.value("[...document.querySelectorAll('.battles > li > a')].map((one) => one.href)")
    for address in dict.fromkeys(battles):
        await tab.open(address)
        assert await tab.value("getComputedStyle(document.querySelector('.pair')).display") == "grid", "no style sheet"
    assert len(set(battles)) >= 48
    assert tab.faults == []
    assert [one for one in tab.requests if not one.startswith((allowed, "data:"))] == []


async def use_the_keys(tab: Browser, start: str) -> None:
    """From a list to a battle, through the battle, and back."""
    await tab.open(start)
    await tab.press("j")
    await tab.press("j")
    second = await tab.value("document.activeElement.href")
    assert second == await tab.value("document.querySelectorAll('.battles > li > a')[1].href")
    await tab.press("k")
    await tab.press("Enter")
    await tab.until("document.querySelector('#votes') !== null")
    assert not await tab.value("document.querySelector('details.written').open")
    await tab.press("w")
    assert await tab.value("document.querySelector('details.written').open")
    await tab.press("d")
    await tab.until(
        "document.querySelector('#difference')?.open && document.querySelector('#difference mark') !== null"
    )
    before = await tab.value("location.pathname")
    await tab.press("j")
    await tab.until(f"location.pathname !== {before!r} && document.querySelector('#votes') !== null")
    await tab.press("?")
    assert await tab.value("document.activeElement.parentElement.matches('#keys[open]')")
    await tab.until(
        "document.querySelector('#keys').getBoundingClientRect().bottom < innerHeight + 1"
    )  # scrolled there
    await tab.press("?")
    assert not await tab.value("document.querySelector('#keys').open")
    await tab.press("u")
    await tab.until("document.querySelector('.battles') !== null")


async def see_on_other_screens(tab: Browser, *addresses: str) -> None:
    """On a phone nothing but a part of the page is scrolled sideways, and dark mode is dark."""
    background = "getComputedStyle(document.body).backgroundColor"
    for address in addresses:
        await tab.screen(390, 844)
        await tab.open(address)
        assert await tab.value("innerWidth") == 390, address
        assert await tab.value("document.documentElement.scrollWidth") <= 390, address
        light = await tab.value(background)
        await tab.screen(1280, 900, dark=True)
        assert await tab.value(background) != light, address
        await tab.screen(1280, 900)
        assert await tab.value(background) == light, address


async def test_served_pages(made: Run) -> None:
    with served(str(made.store), folder=made.world.root) as reader:
        origin = f"http://127.0.0.1:{reader.port}/"
        async with browser() as tab:
            await tab.enter(reader.address)
            await read_everything(tab, f"{origin}all", origin)
            await use_the_keys(tab, f"{origin}flips")
            await tab.open(f"{origin}all")
            await tab.press("/")
            await tab.call("Input.insertText", text="heron")
            await tab.press("Enter")
            await tab.until(
                "location.search.includes('heron') && document.querySelectorAll('.battles > li').length === 1"
            )
            battle = await tab.value("document.querySelector('.battles > li > a').href")
            lists = await tab.value("[...document.querySelectorAll('header nav a')].map((one) => one.href)")
            long = f"{origin}battle/{made.world.id_of('ada', 2)}/ada/bob"
            await see_on_other_screens(tab, *lists, battle, long)
            if PICTURES:
                for name, address in (("list", f"{origin}all"), ("battle", battle)):
                    await tab.open(address)
                    await tab.picture(Path(PICTURES, f"{name}.png"), 1280, 1400)
                    await tab.picture(Path(PICTURES, f"{name}-phone.png"), 390, 844)
                    await tab.picture(Path(PICTURES, f"{name}-dark.png"), 1280, 1400, dark=True)


async def test_a_link_to_the_printed_address_leads_in_from_another_sites_page(made: Run, tmp_path: Path) -> None:
    """As in a terminal that is itself a web page: the browser sends no strict cookie along a redirect from there."""
    with served(str(made.store), folder=tmp_path) as reader:
        (tmp_path / "terminal.html").write_text(f'<a href="{reader.address}">{reader.address}</a>')
        async with browser() as tab:
            await tab.open((tmp_path / "terminal.html").as_uri())
            await tab.value("document.querySelector('a').click()")
            await tab.until("location.pathname === '/close' && document.querySelector('.battles') !== null")
            assert not await tab.value("document.documentElement.outerHTML.includes('token=')")
            assert await tab.value("document.cookie") == ""
            await tab.open(f"http://localhost:{reader.port}/")  # another host has its own cookies
            assert "Open the address" in await tab.value("document.body.textContent")


async def test_the_page_that_a_browser_is_given_leads_in(made: Run, tmp_path: Path) -> None:
    program, noted = noting_browser(tmp_path)
    with served(str(made.store), folder=tmp_path, browser=str(program)) as reader:
        wait_until(noted.exists)
        async with browser() as tab:
            await tab.open(noted.read_text())
            await tab.until("location.pathname === '/close' && document.querySelector('.battles') !== null")
            assert await tab.value("location.origin") == f"http://127.0.0.1:{reader.port}"


async def test_votes_by_keys(made: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader:
        origin = f"http://127.0.0.1:{reader.port}/"
        battle = "document.querySelector('input[name=battle]').value"
        async with browser() as tab:
            await tab.enter(reader.address)
            for key, labels in (("1", 1), ("2", 2), ("t", 3), ("S", 3), ("z", 2)):
                before = await tab.value(battle)
                await tab.press(key)
                await tab.until(f"document.querySelector('#agreement') !== null && {battle} !== {before!r}")
                assert file.read_text().count("\n") == labels
            asked = await tab.value(battle)
            await tab.open(f"{origin}label")  # a reload
            assert await tab.value(battle) == asked
            assert file.read_text().count("\n") == 2
            await tab.press("1")
            await tab.until(f"{battle} !== {asked!r}")
            assert file.read_text().count("\n") == 3
            if PICTURES:
                for name, width, height in (("label", 1280, 1000), ("label-phone", 390, 844)):
                    await tab.picture(Path(PICTURES, f"{name}.png"), width, height)
            assert tab.faults == []
            assert [one for one in tab.requests if not one.startswith((origin, "data:"))] == []


async def test_pages_from_a_folder(made: Run) -> None:
    folder = (made.folder / "battles").as_uri()
    async with browser() as tab:
        await read_everything(tab, f"{folder}/all.html", folder)
        await tab.open(f"{folder}/all.html")
        await tab.value("document.querySelector('input[type=search]').focus()")
        await tab.call("Input.insertText", text="no such text")
        assert await tab.value("document.querySelectorAll('.battles > li:not([hidden])').length") == 0
        assert tab.faults == []


async def test_a_run_of_a_hundred_thousand_battles(tmp_path: Path) -> None:
    """Each list opens, its last page too, and so does a battle far down; nothing but the reader is asked."""
    make_large_run(tmp_path / "run", 25_000)
    rows = "document.querySelectorAll('.battles > li').length"
    with served(str(tmp_path / "run"), folder=tmp_path) as reader:
        origin = f"http://127.0.0.1:{reader.port}/"
        async with browser() as tab:
            await tab.enter(reader.address)
            lists = await tab.value("[...document.querySelectorAll('header nav a')].map((one) => one.pathname)")
            assert "/all" in lists
            for address in lists:
                await tab.open(f"{origin[:-1]}{address}")
                assert await tab.value("document.querySelector('header nav a[aria-current=page]').pathname") == address
            await tab.open(f"{origin}all")
            count = "document.querySelector('header nav a[aria-current] + small').textContent"
            assert await tab.value(count) == "100,000"
            assert await tab.value(rows) == 50
            first = "document.querySelector('.battles > li > a')?.href"
            before = await tab.value(first)
            await tab.value("document.querySelector('a[rel=next]').click()")
            await tab.until(f"location.search.includes('page=2') && {rows} === 50 && {first} !== {before!r}")
            await tab.open(f"{origin}all?page=2000")
            assert await tab.value(rows) == 50
            assert await tab.value("document.querySelector('a[rel=next]')") is None
            await tab.value("document.querySelector('.battles > li:last-child > a').click()")
            await tab.until("document.querySelector('#votes') !== null")
            assert await tab.value("document.querySelectorAll('#votes tbody tr').length") > 0
            assert tab.faults == []
            assert [one for one in tab.requests if not one.startswith((origin, "data:"))] == []
