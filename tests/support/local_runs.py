"""`tiltyard run` as a user runs it: a process of its own, a manifest in a file, folders that a test may look into."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import yaml

from tiltyard_jobs.sim.request_log import LoggedRequest, read_log
from tiltyard_jobs.store import Store

INTERRUPTED = 130
TIME_OUT = 200.0
_CONTEXT = 60
"""How many bytes before the first that differs are shown; three times as many after it."""
_COST = re.compile(rb'<section id="cost".*?</section>', re.DOTALL)


class Finished(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class LocalRun:
    """One tournament on this machine, run as often as a test likes.

    Args:
        folder: an empty folder of its own.
        manifest: what to run; `write` replaces it.
        out: `--out`; None: the manifest says where. By default a folder beside the manifest.
        env: added to the environment of the commands.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        *,
        out: Path | str | None = "out",
        env: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "tournament.yaml"
        self.out = None if out is None else folder / out
        self.state = folder / "state"
        self.env = dict(env or {})
        self._started: list[subprocess.Popen[str]] = []
        self.write(manifest)

    def write(self, manifest: Mapping[str, Any]) -> None:
        """Put another manifest in the place of the one before."""
        self.file.write_text(yaml.safe_dump(dict(manifest)))

    def command(self, name: str, *options: str) -> list[str]:
        """The command line of a command."""
        line = [sys.executable, "-m", "tiltyard", name, str(self.file)]
        if name != "validate":
            line += ["--state", str(self.state)]
        if self.out is not None and name not in ("validate", "status"):
            line += ["--out", str(self.out)]
        return [*line, *(("--progress", "none") if name == "run" else ()), *options]

    def start(self, name: str = "run", *options: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            self.command(name, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, **self.env},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end_all(self) -> None:
        """End what a failed test has left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for pid in alive(self.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def finish(self, process: subprocess.Popen[str], timeout: float = TIME_OUT) -> Finished:
        """Wait for a command's end; none of its processes may be left."""
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it takes longer than {timeout} s\n{self.logs()}") from None
        assert "Traceback" not in err, err
        assert (left := alive(self.pids())) == [], f"left behind: {left}"
        return Finished(process.returncode, out, err)

    def run(self, *options: str, timeout: float = TIME_OUT) -> Finished:
        """`tiltyard run`, to its end."""
        return self.finish(self.start("run", *options), timeout)

    def complete(self, *options: str, timeout: float = TIME_OUT) -> Finished:
        """`tiltyard run`, which must succeed."""
        finished = self.run(*options, timeout=timeout)
        assert finished.code == 0, f"{finished.err}\n{self.logs()}"
        return finished

    def pids(self) -> list[int]:
        """The processes that the latest run has started."""
        try:
            return [int(line) for line in (self.state / "processes").read_text().split()]
        except FileNotFoundError:
            return []

    def models_started(self) -> set[str]:
        """The models that were ever started."""
        return {log.stem for log in (self.state / "models").glob("*.log")}

    def run_folder(self) -> Path | None:
        """The folder of the latest run's own account and status."""
        return max((self.state / "runs").glob("*/"), key=lambda folder: folder.stat().st_mtime_ns, default=None)

    def status(self) -> dict[str, Any]:
        """The status as it was written last; empty where there is none."""
        folder = self.run_folder()
        try:
            document: dict[str, Any] = json.loads((folder / "status.json").read_bytes()) if folder else {}
        except (FileNotFoundError, ValueError):
            return {}
        return document

    def at_work(self, stage: str) -> bool:
        """Whether a shard of a stage has made some of its records."""
        for file in (self.state / "jobs").glob(f"{stage}.*/*.progress.json"):
            with suppress(FileNotFoundError):
                if json.loads(file.read_bytes()).get("done"):
                    return True
        return False

    def logs(self) -> str:
        """The ends of all logs, for a failing test's message."""
        logs = sorted(self.state.glob("jobs/*/*log")) + sorted(self.state.glob("models/*.log"))
        failed = [(log, log.read_text(errors="replace")) for log in logs]
        return "\n".join(
            f"{log}: {text[-800:]}" for log, text in failed if '"level": "error"' in text or "rror:" in text
        )


def alive(pids: Iterable[int]) -> list[int]:
    """Those of our processes that are still there; a zombie is not."""
    return [pid for pid in pids if "tiltyard_jobs" in command_of(pid)]


def command_of(pid: int) -> str:
    """A process's command line; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def contents(store: Store) -> dict[str, bytes]:
    """All that a store holds, by key, with what the cost of a run decides taken out.

    That is the report's section on cost, the report's digest and size where others name it, and reports that a killed
    shard left without a seal.
    """
    objects = {info.key: store.get(info.key) or b"" for info in store.list("")}
    result: dict[str, bytes] = {}
    for key, data in objects.items():
        stage, _, name = key.partition("/")
        if key.endswith("report.html"):
            if stage == "runs":
                result[key] = _COST.sub(b"", data)
        elif stage == "report":
            result[key] = _without_report(data, ("files", "report"))
        elif name.endswith("manifest.json"):
            result[key] = _without_report(data, ("files",))
        else:
            result[key] = data
    return result


def differences(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """A line for each key whose bytes differ, or that one of the two lacks.

    Tests compare what it returns with no lines: an assertion of the bytes themselves would print all of them.
    """
    lines = []
    for key in sorted({*expected, *found}):
        if key not in found:
            lines.append(f"{key}: missing")
        elif key not in expected:
            lines.append(f"{key}: not expected: {_shown(found[key], 0)}")
        elif expected[key] != found[key]:
            first, second = _readable(key, expected[key]), _readable(key, found[key])
            same = next((at for at, two in enumerate(zip(first, second, strict=False)) if two[0] != two[1]), 0)
            start = max(same - _CONTEXT, 0)
            lines.append(f"{key}: expected {_shown(first, start)}, found {_shown(second, start)}")
    return lines


def _readable(key: str, data: bytes) -> bytes:
    if not key.endswith(".parquet"):
        return data
    return "\n".join(str(row) for row in pq.read_table(BytesIO(data)).to_pylist()).encode()


def _shown(data: bytes, start: int) -> str:
    return repr(data[start : start + 4 * _CONTEXT])


def _without_report(data: bytes, path: tuple[str, ...]) -> bytes:
    document = json.loads(data)
    part = document
    for step in path:
        part = part[step]
    for entry in part if isinstance(part, list) else [part]:
        if str(entry["path"]).endswith("report.html"):
            entry.clear()
    return json.dumps(document, sort_keys=True).encode()


def asked(logs: Iterable[Path]) -> list[LoggedRequest]:
    """All requests in some logs, in order."""
    return [request for log in logs for request in read_log(log).requests]
