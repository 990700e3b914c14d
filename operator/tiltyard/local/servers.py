"""Models on this machine: a vLLM process for weights, a simulated expert for `sim://`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tiltyard.api import ModelSource, Participant, Weights, local_path, secret_variable
from tiltyard.local.occupancy import Occupancy
from tiltyard.local.ports import Port
from tiltyard.local.processes import end, how_it_ended, spawn
from tiltyard.plan.observed import ModelPhase, ModelSeen

POLL_SECONDS = 0.1
HEALTH_SECONDS = 2.0
GRACE_SECONDS = 20.0
MAX_CRASHES = 5  # in a row, without anything done between them

# vLLM as a library of this machine's user: no telemetry, no look at the network for what is on disk.
VLLM_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


class FetchError(Exception):
    """A model cannot be brought to this machine; the message says why."""


def is_simulated(participant: Participant) -> bool:
    """Whether a model is played by the simulated expert's server, and not by vLLM."""
    return participant.model is not None and participant.model.uri.startswith("sim://")


def server_command(participant: Participant, port: int, *, python: str, vllm_python: str) -> list[str]:
    """The process that serves a model on the loopback interface.

    Args:
        participant: with a `model`.
        port: where it listens.
        python: interpreter with tiltyard_jobs.
        vllm_python: interpreter with vLLM.
    """
    assert participant.model is not None
    uri, args = participant.model.source, participant.serving_or_default.args
    address = ["--served-model-name", participant.name, "--host", "127.0.0.1", "--port", str(port)]
    if is_simulated(participant):
        return [python, "-m", "tiltyard_jobs.sim", "--uri", uri, *address, *args]
    is_folder = uri.startswith("file://")  # its revision is a digest of what is in it, and nothing to look for
    model = str(local_path(uri, Path.cwd())) if is_folder else uri.removeprefix("hf://")
    revision = ["--revision", participant.model.revision] if participant.model.revision and not is_folder else []
    server = [vllm_python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, *revision]
    # Without this flag vLLM keeps to itself how many prompt tokens its prefix cache served.
    return [*server, "--enable-prompt-tokens-details", *address, *args]


def hub_environment(weights: Weights, environment: Mapping[str, str]) -> dict[str, str]:
    """What a process needs that downloads weights: the model's own token and mirror.

    Args:
        weights: which.
        environment: this machine's, in which secrets are.
    """
    found = {}
    if weights.token_secret_ref is not None:
        found["HF_TOKEN"] = environment.get(secret_variable(weights.token_secret_ref), "")
    if weights.endpoint is not None:
        found["HF_ENDPOINT"] = weights.endpoint
    return {name: value for name, value in found.items() if value}


@dataclass
class Server:
    """One model's process, and what became of it.

    Args:
        participant: what to serve.
        place: the manifest's field of it, for messages.
        version: `ModelNode.version`.
        log: the process's output.
        deadline: seconds until it must be ready.
        python: interpreter with tiltyard_jobs.
        vllm_python: interpreter with vLLM.
        look_again: called when something changed.
        occupancy: the run that it belongs to.
        fetch: brings the model to a folder of this machine first; None: it is where its uri says.
        work: how much has been done with it, in any measure; crashes before a change of it are forgiven.
        loads: times that it was started before.
        load_seconds: of its last load that has answered; None: none has.
        held_before: seconds that it was up in this run before this process.
    """

    participant: Participant
    place: str
    version: str
    log: Path
    deadline: float
    python: str
    vllm_python: str
    look_again: Callable[[], None]
    occupancy: Occupancy | None = None
    fetch: Callable[[], Awaitable[Path]] | None = None
    work: Callable[[], float] = lambda: 0.0
    loads: int = 0
    load_seconds: float | None = None
    held_before: float = 0.0
    port: Port = field(default_factory=Port)
    phase: ModelPhase = ModelPhase.STOPPED
    message: str = ""
    _crashes: int = 0
    _work_at_crash: float = 0.0
    _was_ready: bool = False
    _held_since: float | None = None
    _process: asyncio.subprocess.Process | None = None
    _watcher: asyncio.Task[None] | None = None
    _turns: asyncio.Lock = field(default_factory=asyncio.Lock)  # a start and a stop never overlap

    @property
    def url(self) -> str:
        """The base of its API. The port stays the same over restarts, so that a waiting shard finds it again."""
        return f"http://127.0.0.1:{self.port.number}/v1"

    @property
    def held_seconds(self) -> float:
        """How long it was up in this run: from each start to the end of its process."""
        return self.held_before + (0.0 if self._held_since is None else time.monotonic() - self._held_since)

    def _let_go(self) -> None:
        self.held_before, self._held_since = self.held_seconds, None

    def seen(self) -> ModelSeen:
        """What the planner is told."""
        url = self.url if self.phase is ModelPhase.READY else None
        seen = ModelSeen(self.phase, self.version, self.loads, url, self.message)
        return replace(seen, load_seconds=self.load_seconds)

    def start(self) -> Coroutine[None, None, None]:
        """Start it: it counts as starting at once, and the coroutine returned does the work.

        `look_again` is called once it is ready or has failed.
        """
        self.phase, self.message = ModelPhase.STARTING, ""
        self.loads += 1
        if self._held_since is None:
            self._held_since = time.monotonic()
        return self._start()

    def stop(self) -> Coroutine[None, None, None]:
        """End it: it counts as stopping at once, and the coroutine returned ends when its memory is free."""
        self.phase = ModelPhase.STOPPING
        return self._stop()

    async def close(self) -> None:
        """End it for good and give its port back."""
        await self.stop()
        self.port.release()

    def worked(self) -> None:
        """A shard was made with it: crashes before that are forgiven."""
        self._crashes = 0

    async def _start(self) -> None:
        async with self._turns:
            participant = self.participant
            if self.fetch is not None:
                try:
                    folder = await self.fetch()
                except FetchError as error:
                    self._fail(f"{self.place}: {error}")
                    return
                source = ModelSource(uri=folder.as_uri())
                participant = participant.model_copy(update={"model": source})
            command = server_command(participant, self.port.number, python=self.python, vllm_python=self.vllm_python)
            assert participant.model is not None
            environment = {} if is_simulated(self.participant) else VLLM_ENVIRONMENT
            environment = {**environment, **hub_environment(participant.model, os.environ)}
            began = time.monotonic()
            try:
                self._process = await spawn(command, self.log, environment, self.occupancy)
            except OSError as error:
                self._fail(f"{command[0]} cannot be started: {error.strerror}")
                return
            self._watcher = asyncio.create_task(self._watch(self._process, began))

    async def _stop(self) -> None:
        async with self._turns:
            if self._watcher is not None:
                self._watcher.cancel()
            if self._process is not None:
                await end(self._process, GRACE_SECONDS)
            self._process = self._watcher = None
            if self.phase is not ModelPhase.STARTING:
                self._let_go()
            if self.phase is ModelPhase.STOPPING:  # else it was told to start again: that is the last word
                self.phase = ModelPhase.STOPPED
            self.look_again()

    async def _watch(self, process: asyncio.subprocess.Process, began: float) -> None:
        """Wait until it answers, then until it dies."""
        due = time.monotonic() + self.deadline
        while process.returncode is None and not await asyncio.to_thread(self._healthy):
            if time.monotonic() > due:
                await end(process, GRACE_SECONDS)
                self._fail(
                    f"{self.place}: {self.participant.name} was not ready after {self.deadline:.0f} s: raise"
                    f" spec.serving.startupDeadlineSeconds; its log is {self.log}"
                )
                return
            await asyncio.sleep(POLL_SECONDS)
        if process.returncode is None:
            self._was_ready = True
            self.load_seconds = time.monotonic() - began
            self._seen_as(ModelPhase.READY)
        code = await process.wait()
        await end(process, GRACE_SECONDS)  # what it started itself
        self._died(code)

    def _died(self, code: int) -> None:
        """It ended without being told to: it is started again, unless that is of no use."""
        if self.phase is ModelPhase.STOPPING:
            return  # the stop that is under way says when it is done
        # One that never came up and ended by itself does not like what it was given.
        crashed = self._was_ready or code < 0
        if (work := self.work()) != self._work_at_crash:
            self._crashes, self._work_at_crash = 0, work
        self._crashes += 1
        if crashed and self._crashes <= MAX_CRASHES:
            with self.log.open("a") as log:
                log.write(f"tiltyard: it {how_it_ended(code)}, and is started again\n")
            self._seen_as(ModelPhase.STOPPED)
            return
        often = f", {self._crashes} times in a row" if crashed else " before it was ready"
        self._fail(
            f"{self.place}: the server of {self.participant.name} {how_it_ended(code)}{often}; its last output is"
            f" {self._last_words()!r}; see serving.args, and its log {self.log}"
        )

    def _healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port.number, timeout=HEALTH_SECONDS)  # never through a proxy
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _fail(self, message: str) -> None:
        self._seen_as(ModelPhase.FAILED, message)

    def _seen_as(self, phase: ModelPhase, message: str = "") -> None:
        """What became of it by itself; once it is told to stop, nothing counts but that the stop is done."""
        if self.phase is not ModelPhase.STOPPING:
            self.phase, self.message = phase, message
            if phase in (ModelPhase.STOPPED, ModelPhase.FAILED):
                self._let_go()
        self.look_again()

    def _last_words(self) -> str:
        """The last line of the log that says something."""
        try:
            tail = self.log.read_bytes()[-4096:].decode(errors="replace").splitlines()
        except OSError:
            return ""
        lines = [line.strip() for line in tail if line.strip()]
        return lines[-1][:300] if lines else ""
