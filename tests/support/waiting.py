"""Waiting for what other processes do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def until(condition: Callable[[], Awaitable[T | None]], seconds: float = ...) -> T: ...
@overload
async def until(condition: Callable[[], T | None], seconds: float = ...) -> T: ...
async def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until it holds; it is looked at, or awaited, again and again. What it gave at last.

    Raises:
        TimeoutError: it does not hold after so many seconds.
    """
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0, poll: float = 0.02) -> None:
    """The same where no loop runs.

    Raises:
        TimeoutError: it does not hold after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise TimeoutError("it did not come true")
        time.sleep(poll)
