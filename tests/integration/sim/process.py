"""The simulated expert as a user starts it: a process of its own, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from support.waiting import until

_JOBS = Path(__file__).resolve().parents[3] / "jobs"


class SimProcess:
    """A running server; an async context manager that ends it.

    Args:
        uri: `sim://…`.
        options: more of the command line.
    """

    def __init__(self, uri: str, *options: str) -> None:
        self.model = uri.removeprefix("sim://").partition("?")[0]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tiltyard_jobs.sim", "--uri", uri, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_JOBS)},
        )
        assert self._process.stdout is not None
        self.announced = self._process.stdout.readline().decode().strip()
        self.url = self.announced.rpartition(" ")[2]
        self._session: aiohttp.ClientSession | None = None
        self._errors: str | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """HTTP to the server."""
        assert self._session is not None
        return self._session

    async def post(self, path: str, **members: Any) -> tuple[int, Any]:
        """POST a JSON body; returns status and JSON of the reply."""
        async with self.session.post(path, json={"model": self.model, **members}) as response:
            return response.status, await response.json()

    async def get_text(self, path: str) -> tuple[int, str]:
        """GET; returns status and text."""
        async with self.session.get(path) as response:
            return response.status, await response.text()

    async def until_metric(self, name: str, value: float) -> None:
        """Wait until a gauge of the server has this value."""
        line = f'{name}{{engine="0",model_name="{self.model}"}} {value}'

        async def is_there() -> bool:
            return line in (await self.get_text("/metrics"))[1]

        await until(is_there)

    def send(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 15) -> tuple[int, str]:
        """Wait for the end; returns exit code and standard error."""
        if self._errors is None:
            self._errors = self._process.communicate(timeout=timeout_s)[1].decode()
        return self._process.returncode, self._errors

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            await asyncio.to_thread(self.wait)
        finally:
            self._process.kill()
