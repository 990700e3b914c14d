"""Requests pass together, until some are suspected of killing their server: then these pass one at a time, alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class Isolation:
    """Who may be under way beside whom. For one event loop."""

    def __init__(self) -> None:
        self._together = 0
        self._suspects = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._cleared = asyncio.Event()
        self._turn = asyncio.Lock()

    @contextmanager
    def suspicion(self) -> Iterator[None]:
        """While a request is a suspect, none that is not begins."""
        self._suspects += 1
        self._cleared.clear()
        try:
            yield
        finally:
            self._suspects -= 1
            if not self._suspects:
                self._cleared.set()

    async def clear(self) -> None:
        """Wait until there is no suspect."""
        while self._suspects:
            await self._cleared.wait()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """One try of a request that is no suspect."""
        await self.clear()
        self._together += 1
        self._nobody.clear()
        try:
            yield
        finally:
            self._together -= 1
            if not self._together:
                self._nobody.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """One try of a suspect: nothing else is under way."""
        async with self._turn:
            await self._nobody.wait()
            yield
