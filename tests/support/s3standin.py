"""What the tests' S3 server lacks: a server before it that refuses some requests as other servers would.

It serves as an HTTP proxy too, so that a client's host names need no DNS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Asked(NamedTuple):
    """One request: its path with the query, and its headers by name in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class Refusal(NamedTuple):
    """An answer that is an error: the HTTP status and S3's code."""

    status: int
    code: str


Rule = Callable[[Asked], Refusal | None]
_OF_A_CONNECTION = ("connection", "proxy-connection", "expect", "keep-alive", "transfer-encoding")


@contextmanager
def s3_standin(port: int, rule: Rule) -> Iterator[tuple[str, list[Asked]]]:
    """Its endpoint and what it was asked; for the block.

    Args:
        port: of the server behind it.
        rule: which requests it refuses; the others are the server's.
    """
    requests: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            target = urlsplit(self.path)
            path = f"{target.path}?{target.query}" if target.query else target.path
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            asked = Asked(self.command, path, headers)
            requests.append(asked)
            refusal = rule(asked)
            if refusal is not None:
                self.answer(refusal.status, {"content-type": "application/xml"}, _error(refusal.code))
                return
            status, given, content = self.behind(path, body)
            self.answer(status, given, content)

        def behind(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _OF_A_CONNECTION:
                        connection.putheader(name, value)
                connection.endheaders(body)
                response = connection.getresponse()
                given = {n: v for n, v in response.getheaders() if n.lower() not in (*_OF_A_CONNECTION, "date")}
                return response.status, given, response.read()
            finally:
                connection.close()

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.daemon_threads = True
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}", requests
        finally:
            web.shutdown()
            thread.join()


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>from the stand-in</Message></Error>".encode()
