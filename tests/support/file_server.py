"""A server of files on 127.0.0.1, for what is fetched from the hub or from elsewhere."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from support.certificates import tls_of


class FileServer:
    """A server whose replies are set by path: bytes, a status, or where it leads; it remembers what it was asked."""

    def __init__(self, certificate: tuple[Path, Path] | None) -> None:
        self.replies: dict[str, bytes | int | str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.cut: set[str] = set()
        self.lengths: dict[str, str] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization")))
                reply = server.replies.get(self.path, 404)
                if isinstance(reply, bytes):
                    self.send_response(200)
                    self.send_header("Content-Length", server.lengths.get(self.path, str(len(reply))))
                    self.end_headers()
                    self.wfile.write(reply[: len(reply) // 2] if self.path in server.cut else reply)
                    server.cut.discard(self.path)
                    return
                self.send_response(302 if isinstance(reply, str) else reply)
                if isinstance(reply, str):
                    self.send_header("Location", reply)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Http(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that leaves, or that trusts no certificate, is what some tests are about."""

        self._http = Http(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            self._http.socket = tls_of(certificate).wrap_socket(self._http.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
