"""A stand-in for the Hugging Face hub on 127.0.0.1: models in memory, ranges, redirects to its file server, tokens.

It counts the bytes that it has sent of each file, and can hold a file back, cut it off, or send another one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import unquote, urlsplit

PIECE = 1 << 14
LARGE = 1 << 15
"""Files from this size on are LFS files: their SHA-256 is known, and they are elsewhere."""


class HubServer:
    """A hub.

    Attributes:
        models: files by model.
        sizes: what is said of the sizes of files, where it is not the truth.
        token: what must be sent, once set.
        url: its address.
        asked: the path of each request, in order.
        files_at: where it says that large files are: at its own file server, unless another address is set.
        ranges: whether a file is sent from where it is asked from; otherwise it is sent whole.
        sent: bytes of each file that were sent, by `MODEL/PATH`.
        listed: how often a model's files were listed.
        cut: files that break off half way, once each.
        held: files that stop half way until the event is set; `reached` is set then.
        wrong: files that are sent with another first byte, so many times.
    """

    def __init__(self, models: dict[str, dict[str, bytes]] | None = None) -> None:
        self.models = models or {}
        self.sizes: dict[str, object] = {}
        self.token: str | None = None
        self.asked: list[str] = []
        self.files_at = ""
        self.sent: Counter[str] = Counter()
        self.listed: Counter[str] = Counter()
        self.cut: set[str] = set()
        self.held: dict[str, Event] = {}
        self.reached = Event()
        self.wrong: Counter[str] = Counter()
        self.ranges = True
        self._lock = Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that is killed is what some tests are about."""

        self._http = Http(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        for event in self.held.values():
            event.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def size(self, model: str) -> int:
        return sum(map(len, self.models[model].values()))

    def commit(self, model: str) -> str:
        return hashlib.sha1(repr(sorted(self.models[model].items())).encode()).hexdigest()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        with self._lock:
            self.asked.append(path)
        if path.startswith("/cdn/"):
            self._send(handler, path.removeprefix("/cdn/"))
            return
        if self.token is not None and handler.headers.get("Authorization") != f"Bearer {self.token}":
            self._status(handler, 401)
        elif path.startswith("/api/models/"):
            self._list(handler, path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            model, _, rest = path.removeprefix("/").partition("/resolve/")
            commit, _, name = rest.partition("/")
            known = self.models.get(model, {})
            if name not in known or commit != self.commit(model):
                self._status(handler, 404)
            elif len(known[name]) >= LARGE:
                handler.send_response(302)
                handler.send_header("Location", f"{self.files_at}/cdn/{model}/{name}")
                handler.end_headers()
            else:
                self._send(handler, f"{model}/{name}")
        else:
            self._status(handler, 404)

    def _list(self, handler: BaseHTTPRequestHandler, rest: str) -> None:
        model, _, revision = rest.partition("/revision/")
        if model not in self.models or revision not in ("main", "v1", self.commit(model)):
            self._status(handler, 404)
            return
        siblings = []
        for name, data in self.models[model].items():
            sibling: dict[str, object] = {"rfilename": name, "size": self.sizes.get(name, len(data))}
            sibling["blobId"] = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            if len(data) >= LARGE:
                sibling["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(sibling)
        body = json.dumps({"id": model, "sha": self.commit(model), "siblings": siblings}).encode()
        with self._lock:
            self.listed[model] += 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _send(self, handler: BaseHTTPRequestHandler, name: str) -> None:
        model = "/".join(name.split("/")[:2])
        data = self.models[model][name.removeprefix(f"{model}/")]
        start, asked = 0, handler.headers.get("Range")
        if asked is not None and self.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        with self._lock:
            wrong, self.wrong[name] = self.wrong[name] > 0, max(0, self.wrong[name] - 1)
            cut = name in self.cut
            self.cut.discard(name)
        if wrong:
            data = bytes([data[0] ^ 1]) + data[1:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        half = start + (len(data) - start) // 2
        for place in range(start, len(data), PIECE):
            if place >= half and name in self.held:
                handler.wfile.flush()
                self.reached.set()
                self.held[name].wait()
            if place >= half and cut:
                return
            piece = data[place : place + PIECE]
            handler.wfile.write(piece)
            with self._lock:
                self.sent[name] += len(piece)

    @staticmethod
    def _status(handler: BaseHTTPRequestHandler, status: int) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
