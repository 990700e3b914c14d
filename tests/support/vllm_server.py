"""A real vLLM server on a CPU, on 127.0.0.1, from the environment that `hack/envs.py` makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cluster.processes import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
# A start takes 17 s; the first of a new environment, which compiles its modules, 35 s; more on a busy machine.
START_SECONDS = 300.0
STOP_SECONDS = 20.0

# One thread a server and 128 MiB for the KV cache: several servers fit on two cores beside one another. The tiny model
# needs no compiled graphs, whose making would be most of the start.
SERVER_ARGUMENTS = (
    "--enforce-eager",
    "--dtype=float32",
    "--kv-cache-memory-bytes=134217728",
    "--max-num-seqs=64",
    "--enable-prompt-tokens-details",  # or else usage says nothing of cached tokens
)


# Variables that a server must not see. The first overrides --kv-cache-memory-bytes; without byte code each start takes
# as long as the first; the last would show this project's packages to a server that has its own.
_DROPPED = frozenset({"VLLM_CPU_KVCACHE_SPACE", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"})

# Never through a proxy that the environment names.
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answer(NamedTuple):
    """A reply to a JSON request, refusals included."""

    status: int
    document: dict[str, Any]


class VllmServer(NamedTuple):
    """A server that answers.

    Attributes:
        url: its root, without `/v1`.
        model: the name that requests carry.
        process: the server's main process, the leader of its group.
        log: what it wrote.
    """

    url: str
    model: str
    process: subprocess.Popen[bytes]
    log: Path

    def post(self, path: str, **members: Any) -> Answer:
        """Sends a JSON object that names the model; other members as given, `model` too."""
        body = json.dumps({"model": self.model, **members}).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with _HTTP.open(request, timeout=60) as reply:
                return Answer(reply.status, json.loads(reply.read()))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, json.loads(refusal.read()))

    def get(self, path: str) -> str:
        """Fetches a text."""
        with _HTTP.open(self.url + path, timeout=10) as reply:
            text: str = reply.read().decode()
            return text


def vllm_python() -> Path:
    """The Python of vLLM's environment, which is made first where it is not there (a minute or two, once)."""
    command = [sys.executable, str(REPOSITORY / "hack" / "envs.py"), "vllm"]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def server_environment() -> dict[str, str]:
    """The environment of a server: nothing is fetched or reported, and no variable overrides an argument."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiltyard" / "vllm"
    return {
        **{name: value for name, value in os.environ.items() if name not in _DROPPED},
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CACHE_ROOT": str(cache),
    }


@contextmanager
def vllm_server(model: Path, name: str, *, log: Path, arguments: Sequence[str] = ()) -> Iterator[VllmServer]:
    """Starts a server of the model in a folder, waits until it is ready, and ends it with all of its processes.

    Args:
        model: the model's folder.
        name: the name that requests carry.
        log: the file that the server's output is appended to.
        arguments: after `SERVER_ARGUMENTS`.

    Raises:
        RuntimeError: it ended, or was not ready in time; the message holds the end of its log.
    """
    port = free_port()
    command = [
        *(str(vllm_python()), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)),
        *SERVER_ARGUMENTS,
        *arguments,
    ]
    with log.open("ab") as output:
        # A session of its own, so that its engine and other children form one group that a signal reaches whole.
        process = subprocess.Popen(
            command, env=server_environment(), stdout=output, stderr=output, start_new_session=True
        )
    try:
        server = VllmServer(f"http://127.0.0.1:{port}", name, process, log)
        _wait_until_ready(server)
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and all processes of its group: by SIGTERM, then by SIGKILL; returns when all are gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + STOP_SECONDS
        while running := (process.poll() is None or group_members(process.pid)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if not running:
            break
    process.wait()


def group_members(group: int) -> list[int]:
    """The ids of the processes of a group, zombies left out: they hold nothing and wait for their parent."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, process_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        if int(process_group) == group and state != "Z":
            members.append(int(folder.name))
    return sorted(members)


def _wait_until_ready(server: VllmServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            server.get("/health")
        except OSError:  # nobody listens yet
            time.sleep(0.2)
        else:
            return
    ended = server.process.poll()
    state = "was not ready in time" if ended is None else f"ended with exit code {ended}"
    tail = server.log.read_text(encoding="utf-8", errors="replace")[-4000:]
    raise RuntimeError(f"the vLLM server {state}; its log ends with:\n{tail}")
