"""Models on this machine: a vLLM process for weights, a simulated expert for `sim://`."""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from tiltyard.api import Participant
from tiltyard.local.processes import end, spawn
from tiltyard.plan.observed import ModelPhase, ModelSeen

POLL_SECONDS = 0.1
GRACE_SECONDS = 20.0
MAX_CRASHES = 5  # in a row, without a shard done between them
LAST_LINES = 3

# vLLM as a library of this machine's user: no telemetry, no look at the network for what is on disk.
VLLM_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def server_command(participant: Participant, port: int, *, python: str, vllm_python: str) -> list[str]:
    """The process that serves a model on the loopback interface.

    Args:
        participant: with a `model`.
        port: where it listens.
        python: interpreter with tiltyard_jobs.
        vllm_python: interpreter with vLLM.
    """
    assert participant.model is not None
    uri, args = participant.model.uri, participant.serving_or_default.args
    address = ["--served-model-name", participant.name, "--host", "127.0.0.1", "--port", str(port)]
    if uri.startswith("sim://"):
        return [python, "-m", "tiltyard_jobs.sim", "--uri", uri, *address, *args]
    model = uri.removeprefix("file://") if uri.startswith("file://") else uri.removeprefix("hf://")
    revision = ["--revision", participant.model.revision] if participant.model.revision else []
    server = [vllm_python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, *revision]
    # Without this flag vLLM keeps to itself how many prompt tokens its prefix cache served.
    return [*server, "--enable-prompt-tokens-details", *address, *args]


@dataclass
class Server:
    """One model's process, and what became of it.

    Args:
        participant: what to serve.
        version: `ModelNode.version`.
        log: the process's output.
        deadline: seconds until it must be ready.
        look_again: called when something changed.
    """

    participant: Participant
    version: str
    log: Path
    deadline: float
    python: str
    vllm_python: str
    look_again: Callable[[], None]
    port: int = field(default_factory=free_port)
    phase: ModelPhase = ModelPhase.STOPPED
    loads: int = 0
    crashes: int = 0
    message: str = ""
    _process: asyncio.subprocess.Process | None = None
    _watcher: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The base of its API. The port stays the same over restarts, so that a waiting shard finds it again."""
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> ModelSeen:
        """What the planner is told."""
        url = self.url if self.phase is ModelPhase.READY else None
        return ModelSeen(self.phase, self.version, self.loads, url, self.message)

    def start(self) -> Coroutine[None, None, None]:
        """Start it: it counts as starting at once, and the coroutine returned does the work.

        `look_again` is called once it is ready or has failed.
        """
        self.phase, self.message = ModelPhase.STARTING, ""
        self.loads += 1
        return self._start()

    def stop(self) -> Coroutine[None, None, None]:
        """End it: it counts as stopping at once, and the coroutine returned ends when its memory is free."""
        self.phase = ModelPhase.STOPPING
        return self._stop()

    def worked(self) -> None:
        """A shard was made with it: crashes before that are forgiven."""
        self.crashes = 0

    async def _start(self) -> None:
        command = server_command(self.participant, self.port, python=self.python, vllm_python=self.vllm_python)
        environment = {} if command[0] == self.python else VLLM_ENVIRONMENT
        try:
            self._process = await spawn(command, self.log, environment)
        except OSError as error:
            self._fail(f"{command[0]} cannot be started: {error.strerror}; name an interpreter with --vllm-python")
            return
        self._watcher = asyncio.create_task(self._watch(self._process))

    async def _stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._process is not None:
            await end(self._process, GRACE_SECONDS)
        self._process = self._watcher = None
        self.phase = ModelPhase.STOPPED
        self.look_again()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait until it answers, then until it dies."""
        due = time.monotonic() + self.deadline
        while process.returncode is None and not await asyncio.to_thread(self._healthy):
            if time.monotonic() > due:
                await end(process, GRACE_SECONDS)
                self._fail(
                    f"not ready after {self.deadline:.0f} s (spec.serving.startupDeadlineSeconds);"
                    f" its log is {self.log}"
                )
                return
            await asyncio.sleep(POLL_SECONDS)
        if process.returncode is None:
            self.phase = ModelPhase.READY
            self.look_again()
            await process.wait()
            self.crashes += 1
            if self.crashes <= MAX_CRASHES:
                self.phase = ModelPhase.STOPPED  # the planner starts it again while it has work
                self.look_again()
                return
        self._fail(f"the server ended with code {process.returncode}: {self._last_words()}; its log is {self.log}")

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def _fail(self, message: str) -> None:
        self.phase, self.message = ModelPhase.FAILED, message
        self.look_again()

    def _last_words(self) -> str:
        """The last line of the log that says something."""
        try:
            tail = self.log.read_bytes()[-4096:].decode(errors="replace").splitlines()
        except OSError:
            return "it said nothing"
        lines = [line.strip() for line in tail if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"
