"""A cluster's API as its administrator sees it, and the processes of this machine that belong to it."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.processes import ClusterError, start, stop, tail, wait_for


class ClusterApi(ABC):
    """Calls of the API, and processes that end with this object.

    Args:
        folder: for files and logs.
        flags: more flags, by the name of a process.
    """

    def __init__(self, folder: Path, flags: Mapping[str, Sequence[str]] | None = None) -> None:
        self.folder = folder
        self._flags = flags or {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._names: dict[int, str] = {}

    @property
    @abstractmethod
    def url(self) -> str:
        """Of the API server."""

    @property
    @abstractmethod
    def kubeconfig(self) -> Path:
        """Of a user who may do everything."""

    def _headers(self) -> dict[str, str]:
        """What tells the API server who calls."""
        return {}

    def _context(self) -> ssl.SSLContext | None:
        """How the API server's certificate is checked; None: it has none."""
        return None

    def down(self) -> None:
        """End all processes, the last that was started first."""
        while self._processes:
            stop(self._processes.pop())

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """One call of the API; `bytes` go as they are. Returns the answer's JSON, or its text.

        Raises:
            urllib.error.HTTPError: it was refused.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self._headers(), "Content-Type": content}
        call = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(call, context=self._context()) as answer:
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def apply(self, path: str, body: Any) -> Any:
        """Server-side apply of an object, or of a YAML document's bytes."""
        return self.request(
            "PATCH", f"{path}?fieldManager=test-cluster&force=true", body, "application/apply-patch+yaml"
        )

    def wait_for_resource(self, group: str, plural: str) -> None:
        """Wait until a custom resource is served: clients find it by discovery from then on."""

        def served() -> bool:
            try:
                return any(one["name"] == plural for one in self.request("GET", f"/apis/{group}")["resources"])
            except urllib.error.HTTPError:
                return False

        wait_for(f"the API of {plural}", served)

    def run(self, name: str, *command: str | Path) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a process that ends with this object; returns it and its log."""
        log = self.folder / "logs" / f"{name}.log"
        process = start([*command, *self._flags.get(name, ())], log)
        self._processes.append(process)
        self._names[process.pid] = name
        return process, log

    def check(self) -> None:
        """See that everything that was started still runs.

        Raises:
            ClusterError: something has ended.
        """
        for process in self._processes:
            if process.poll() is not None:
                name = self._names[process.pid]
                log = self.folder / "logs" / f"{name}.log"
                raise ClusterError(f"{name} ended with {process.returncode}; its log is {log}:\n{tail(log)}")
