"""The site of docs/ in a real browser: its pages open, its search finds, and no other host is asked.

TILTYARD_BROWSER=$(which chromium) .venv/bin/python -m pytest tests/integration/site
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from support.browser import VARIABLE, browser
from support.documents import ROOT

pytestmark = [
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no browser"),
    pytest.mark.timeout(600),
]

PAGES = len([*(ROOT / "docs").glob("*.md")])


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each request; no icon, which some browsers ask for."""

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, built as `make site` does."""
    folder = tmp_path_factory.mktemp("site")
    environment = subprocess.run(
        [sys.executable, "hack/envs.py", "docs"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    sphinx = [environment.stdout.strip(), "-m", "sphinx", "--quiet", "--fail-on-warning"]
    subprocess.run(
        [*sphinx, "-c", "docs/site", "-d", str(folder / "read"), "docs", str(folder / "site")], cwd=ROOT, check=True
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder / "site"))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


async def test_the_site_in_a_browser(site: str) -> None:
    async with browser() as tab:
        await tab.open(f"{site}index.html")
        assert "Tiltyard" in await tab.value("document.title")
        pages = await tab.value("[...document.querySelectorAll('.sidebar-tree a.internal')].map((one) => one.pathname)")
        assert len(pages) >= PAGES - 1
        pictures = "[...document.images].every((one) => one.complete && one.naturalWidth > 0)"
        assert await tab.value(f"document.images.length > 0 && {pictures}")
        for page in pages:
            await tab.open(f"{site[:-1]}{page}")
            assert await tab.value("document.querySelector('article h1') !== null"), page
        await tab.open(f"{site}index.html")
        await tab.value("document.querySelector('input[name=q]').focus()")
        await tab.call("Input.insertText", text="calibrate")
        await tab.press("Enter")
        await tab.until("document.querySelectorAll('#search-results li a').length > 0")
        found = await tab.value("[...document.querySelectorAll('#search-results li a')].map((one) => one.pathname)")
        assert "/rejudge.html" in found or "/cli.html" in found, found
        await tab.value("document.querySelector('#search-results li a').click()")
        await tab.until("document.readyState === 'complete' && document.querySelector('article h1') !== null")
        assert tab.faults == []
        assert [one for one in tab.requests if not one.startswith((site, "data:"))] == []
