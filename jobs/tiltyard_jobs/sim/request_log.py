"""The log of requests: who asked what, and what was asked twice.

JSON lines. A request has a line when it arrives, which names the fault that awaits it, and one when its reply is out.
Each line is one `write` to a file opened for appending: it is whole as soon as the call returns, whatever then happens
to the process. A line torn all the same (a full disk) is closed by the next writer and dropped by the reader.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import orjson


class RequestKind(StrEnum):
    """What a request is for."""

    MINE = "mine"
    ANSWER = "answer"
    JUDGE = "judge"
    GRADE = "grade"
    EMBED = "embed"
    TOKENIZE = "tokenize"
    OTHER = "other"  # health checks, probes of one token, what cannot be read


MODEL_WORK = frozenset({RequestKind.MINE, RequestKind.ANSWER, RequestKind.JUDGE, RequestKind.GRADE, RequestKind.EMBED})
"""The kinds that cost a real model something, and that no tournament should ask twice."""

CLIENT_GONE = 499
"""Logged status of a request whose client left before the reply was out."""


class LoggedRequest(NamedTuple):
    """One request as it was logged.

    Attributes:
        run: the server process, 8 hex digits.
        sequence: 1, 2, … within the run.
        path: of the URL.
        sha256: of the body with sorted keys (of its bytes, where it is no JSON).
        kind: what it was for.
        fault: the fault that the server put in its way, a `faults.Fault`.
        status: HTTP status of the reply; None where none went out (the server was killed, or it hung).
    """

    run: str
    sequence: int
    path: str
    sha256: str
    kind: RequestKind
    fault: str | None
    status: int | None


class RequestLog(NamedTuple):
    """A log read back: requests in order of arrival, and how many lines could not be read."""

    requests: list[LoggedRequest]
    torn: int


class Counts(NamedTuple):
    """What was asked more than once. Retries after a fault are counted apart: the client had to.

    Attributes:
        requests: all that arrived.
        distinct: different ones among them.
        retries: repeats of a request whose attempt before met a fault of the server's own.
        after_loss: repeats of a request whose reply never went out: a killed server, or a client that left.
        after_reply: repeats of a request that had been answered.
    """

    requests: int
    distinct: int
    retries: int
    after_loss: int
    after_reply: int

    @property
    def asked_twice(self) -> int:
        """Repeats that no fault of the server's own asked for."""
        return self.after_loss + self.after_reply

    @property
    def share(self) -> float:
        """`asked_twice` as a share of the distinct requests."""
        return self.asked_twice / self.distinct if self.distinct else 0.0


class RequestLogWriter:
    """Appends to a log; one for each process. Close it at the end.

    Args:
        path: made where it is not there; a process that starts anew goes on with the same file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")
        self._run = secrets.token_hex(4)
        self._sequence = 0

    def arrived(self, path: str, sha256: str, kind: RequestKind, fault: str | None) -> int:
        """Log an arrival; returns its sequence number."""
        self._sequence += 1
        line = {"run": self._run, "seq": self._sequence, "path": path, "sha256": sha256, "kind": kind, "fault": fault}
        self._append(line)
        return self._sequence

    def replied(self, sequence: int, status: int) -> None:
        """Log that a reply is out."""
        self._append({"run": self._run, "seq": sequence, "status": status})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: dict[str, object]) -> None:
        os.write(self._file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def read_log(path: Path) -> RequestLog:
    """Read one log, of any number of server processes one after another."""
    requests: dict[tuple[str, int], LoggedRequest] = {}
    torn = 0
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                entry = orjson.loads(line)
                key = (str(entry["run"]), int(entry["seq"]))
                if "status" in entry:
                    requests[key] = requests[key]._replace(status=int(entry["status"]))
                else:
                    kind = RequestKind(entry["kind"])
                    requests[key] = LoggedRequest(*key, entry["path"], entry["sha256"], kind, entry["fault"], None)
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                torn += 1
    return RequestLog(list(requests.values()), torn)


def asked_twice(paths: Iterable[Path], kinds: Collection[RequestKind] = MODEL_WORK) -> Counts:
    """Count the requests of these kinds that arrived more than once.

    Two requests are one and the same where path and body are (the body names the model). Each repeat is put down to
    what became of the attempt before it.

    Args:
        paths: logs; those of one server in the order of their making.
        kinds: which requests to look at.
    """
    latest: dict[tuple[str, str], LoggedRequest] = {}
    requests = retries = after_loss = after_reply = 0
    for path in paths:
        for request in read_log(path).requests:
            if request.kind not in kinds:
                continue
            requests += 1
            key = (request.path, request.sha256)
            before = latest.get(key)
            latest[key] = request
            if before is None:
                continue
            if before.fault is not None:
                retries += 1
            elif before.status is None or before.status == CLIENT_GONE:
                after_loss += 1
            else:
                after_reply += 1
    return Counts(requests, len(latest), retries, after_loss, after_reply)
