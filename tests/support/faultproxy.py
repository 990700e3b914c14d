"""A proxy before an HTTP server that does what networks and overloaded servers do: 500s, 503s, delays, cuts, damage.

Each request has a connection of its own to the server and is forwarded byte for byte, so that signatures stay valid.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import NamedTuple


class Fault(Enum):
    """What happens to a request."""

    INTERNAL_ERROR = auto()  # 500, not forwarded
    SLOW_DOWN = auto()  # 503 SlowDown, not forwarded
    HANG = auto()  # not forwarded, no answer until the client gives up
    CUT_REQUEST = auto()  # not forwarded, connection closed
    CUT_REPLY = auto()  # forwarded and done, connection closed before the answer
    CUT_BODY = auto()  # answered with the whole Content-Length and half of the body, connection closed
    OVERSTATED = auto()  # answered with the whole body, under a Content-Length that promises more
    DAMAGED = auto()  # answered with the body's last byte changed


_STATUS = {Fault.INTERNAL_ERROR: (500, "InternalError"), Fault.SLOW_DOWN: (503, "SlowDown")}


class Request(NamedTuple):
    """One request that came in, and what was done to it."""

    method: str
    path: str
    fault: Fault | None


@dataclass
class _Rule:
    fault: Fault
    method: str
    path: str
    times: int


class FaultProxy:
    """Serves on `endpoint` from a thread of its own; faults are added at any time and consumed in order."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faultproxy", daemon=True)
        self.requests: list[Request] = []
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, fault: Fault, *, times: int = 1, method: str = "", path: str = "") -> None:
        """Do this to the next `times` requests of this method (any) whose path contains `path`."""
        with self._lock:
            self._rules.append(_Rule(fault, method, path, times))

    def clear(self) -> None:
        """Forget all faults and requests."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def start(self) -> None:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            found = next((r for r in self._rules if r.times and r.method in ("", method) and r.path in path), None)
            if found is not None:
                found.times -= 1
            fault = found.fault if found else None
            self.requests.append(Request(method, path, fault))
            return fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client or the server went away; so does the proxy
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request for each connection: the answer says `Connection: close`."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        method, path, _ = lines[0].decode("latin-1").split(" ", 2)
        headers = _headers(lines)
        fault = self._take(method, path)
        if fault is Fault.CUT_REQUEST:
            return
        if headers.get("expect") == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if fault is Fault.HANG:
            await reader.read()  # until the client closes
            return
        if fault in _STATUS:
            writer.write(_error(*_STATUS[fault]))
        else:
            # Neither of the two is among the headers that are signed.
            kept = [line for line in lines if not line.lower().startswith((b"expect:", b"connection:"))]
            answer = await self._forward(b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + body)
            writer.write(_changed(answer, fault))
        await writer.drain()

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()  # the whole answer: the server closes after it
        finally:
            writer.close()


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    """A proxy before 127.0.0.1:`port` for the block."""
    proxy = FaultProxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


def _headers(lines: list[bytes]) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in lines[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _error(status: int, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>from the fault proxy</Message></Error>".encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/xml",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _changed(answer: bytes, fault: Fault | None) -> bytes:
    head, separator, body = answer.partition(b"\r\n\r\n")
    match fault:
        case Fault.CUT_REPLY:
            return b""
        case Fault.CUT_BODY:
            return head + separator + body[: len(body) // 2]
        case Fault.OVERSTATED:
            length = int(_headers(head.split(b"\r\n"))["content-length"])
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
            return b"\r\n".join([*lines, b"Content-Length: %d" % (length + 100)]) + separator + body
        case Fault.DAMAGED:
            return head + separator + body[:-1] + bytes([body[-1] ^ 1])
        case _:
            return answer
