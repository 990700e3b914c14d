"""A real Chromium that the system has, driven through its DevTools protocol: no package, no download."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from support.vllm_server import STOP_SECONDS, group_members
from support.waiting import wait_until

VARIABLE = "TILTYARD_BROWSER"
"""Names the program; tests that need one are skipped without it."""

_SECONDS = 60.0


class Browser:
    """One tab.

    Attributes:
        requests: addresses of all that was asked for.
        faults: what the page complained of: exceptions, dialogs, errors on the console, violations of its policy.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requests: list[str] = []
        self.faults: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded: set[str] = set()
        self._has_loaded = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if "id" in data:
                self._waiting.pop(data["id"]).set_result(data)
                continue
            given = data.get("params", {})
            if data["method"] == "Network.requestWillBeSent":
                self.requests.append(given["request"]["url"])
            elif data["method"] == "Page.lifecycleEvent" and given["name"] == "load":
                async with self._has_loaded:
                    self._loaded.add(given["loaderId"])
                    self._has_loaded.notify_all()
            elif data["method"] == "Page.javascriptDialogOpening":
                self.faults.append(given["message"])
            elif data["method"] == "Runtime.exceptionThrown":
                self.faults.append(given["exceptionDetails"]["text"])
            elif data["method"] == "Runtime.consoleAPICalled" and given["type"] == "error":
                self.faults.append(" ".join(str(one.get("value", one.get("description"))) for one in given["args"]))
            elif data["method"] == "Log.entryAdded" and given["entry"]["level"] == "error":
                self.faults.append(given["entry"]["text"])

    async def call(self, method: str, **given: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": given})
        result: dict[str, Any] = (await asyncio.wait_for(answer, _SECONDS)).get("result", {})
        return result

    async def open(self, address: str) -> None:
        """Go to a page, and wait until it is loaded."""
        loader = (await self.call("Page.navigate", url=address))["loaderId"]  # the page before may load late
        async with asyncio.timeout(_SECONDS), self._has_loaded:
            await self._has_loaded.wait_for(lambda: loader in self._loaded)

    async def enter(self, address: str) -> None:
        """Open the reader by the address that it printed, and wait for the page that this leads to."""
        await self.open(address)
        await self.until("!location.search.includes('token=') && document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """What an expression is on the page; None while another page takes its place."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(_SECONDS):
            while not await self.value(expression):  # noqa: ASYNC110 - the browser has no event for it
                await asyncio.sleep(0.02)

    async def press(self, key: str) -> None:
        """Press a key, once the page's script listens."""
        await self.until("document.readyState === 'complete'")
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        """Show the page on a screen of this size, in light or dark mode."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)

    async def picture(self, path: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Save what a screen of this size shows."""
        await self.screen(width, height, dark=dark)
        answer = await self.call("Page.captureScreenshot")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))

    async def close(self) -> None:
        """End the reading of messages."""
        await self._socket.close()
        await self._reading


def _port_in(file: Path) -> str:
    """The port, once the browser has written its file."""
    ends = time.monotonic() + _SECONDS
    while not (file.exists() and file.read_text().count("\n")):
        assert time.monotonic() < ends, "the browser does not start"
        time.sleep(0.05)
    return file.read_text().split()[0]


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a browser with all of its processes, the command that has started it among them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.to_thread(wait_until, lambda: not group_members(process.pid), STOP_SECONDS)
    await process.wait()


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser that `VARIABLE` names, with an empty tab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = ["--headless", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        quiet = asyncio.subprocess.DEVNULL
        # A group of its own: the command may be a script that starts the browser and does not hand signals on.
        process = await asyncio.create_subprocess_exec(
            os.environ[VARIABLE], *flags, "about:blank", stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            file = Path(folder, "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                port = await asyncio.to_thread(_port_in, file)
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = [tab for tab in await answer.json(content_type=None) if tab["type"] == "page"]
                socket = await session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0)
                tab = Browser(socket)
                for domain in ("Page", "Runtime", "Network", "Log"):
                    await tab.call(f"{domain}.enable")
                await tab.call("Page.setLifecycleEventsEnabled", enabled=True)
                yield tab
                await tab.close()
        finally:
            await _end(process)
