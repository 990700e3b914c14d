"""Plays the kubelet: pods of a cluster without a node run as processes, the worker's real code and real servers.

A pod's own command runs with its own environment and volumes, in folders (`podfolders`, `podprocesses`). A rule makes
pods fail as told instead.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.podfolders import Pod, PodFolders, service_of
from support.podprocesses import PodProcesses, ended, terminate
from tiltyard.cluster.client import ApiError, Client
from tiltyard.local.processes import Process
from tiltyard.observe.kinds import PODS

NODE = "player"
MAX_GRACE = 10.0
BUSY = (0, 409, 429, 500, 503, 504)
"""What a busy API server answers, or does not; tried again."""
TRIES = 20


@dataclass
class Rule:
    """What becomes of pods that match, instead of their command.

    Attributes:
        matches: which pods.
        status: merged into the pod's status, which then stays so: a pod that never starts.
        command: run instead of the pod's own; "{port}" stands for its port.
        times: pods that it applies to; None: all.
    """

    matches: Callable[[Pod], bool]
    status: Mapping[str, Any] | None = None
    command: list[str] | None = None
    times: int | None = None


@dataclass
class PodPlayer:
    """The pods of one namespace, played inside of an `async with` block.

    Attributes:
        kube: the connection.
        namespace: whose pods.
        folder: for the pods' files and logs.
        rules: the first that matches a pod applies.
        binds: puts pods on the node at once; otherwise a scheduler does.
        started: names of the pods whose process was started, in order.
    """

    kube: Client
    namespace: str
    folder: Path
    rules: list[Rule] = field(default_factory=list)
    binds: bool = True
    started: list[str] = field(default_factory=list)
    _plays: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _ending: dict[str, asyncio.Event] = field(default_factory=dict)
    _watch: asyncio.Task[None] | None = None
    mistakes: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folders = PodFolders(self.kube, self.namespace, self.folder)
        self._processes = PodProcesses(self.folder)

    async def __aenter__(self) -> Self:
        self._watch = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._watch, *self._plays.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._processes.close()
        if self.mistakes and error is None:
            raise self.mistakes[0]

    def never_starts(self, matches: Callable[[Pod], bool], status: Mapping[str, Any]) -> None:
        """Pods that stay as told."""
        self.rules.append(Rule(matches, status=status))

    def runs(self, matches: Callable[[Pod], bool], command: list[str], times: int | None = None) -> None:
        """Pods that run another command."""
        self.rules.append(Rule(matches, command=command, times=times))

    def kill(self, part_of_name: str) -> str | None:
        """SIGKILL a running pod's process; returns the pod's name, None: no such pod runs."""
        return self._processes.send(part_of_name, signal.SIGKILL)

    def pause(self, part_of_name: str) -> str | None:
        """Let a running pod's process do nothing until `go_on`; returns as `kill`."""
        return self._processes.send(part_of_name, signal.SIGSTOP)

    def go_on(self, part_of_name: str) -> str | None:
        """Let it work again; returns as `kill`."""
        return self._processes.send(part_of_name, signal.SIGCONT)

    async def _follow(self) -> None:
        version = ""
        while True:
            try:
                if not version:
                    pods, version = await self.kube.list(PODS, self.namespace, "")
                    for pod in pods:
                        self._see("ADDED", pod)
                async for event, pod in self.kube.watch(PODS, self.namespace, "", version):
                    version = pod["metadata"]["resourceVersion"]
                    self._see(event, pod)
            except ApiError as error:
                version = "" if error.status else version
                await asyncio.sleep(0.1)

    def _see(self, event: str, pod: Pod) -> None:
        if event == "BOOKMARK":
            return
        uid = pod["metadata"]["uid"]
        if event == "DELETED" or "deletionTimestamp" in pod["metadata"]:
            if uid in self._ending:
                self._ending[uid].set()
            elif event != "DELETED":
                self._ending[uid] = asyncio.Event()
                self._ending[uid].set()
                self._plays[uid] = asyncio.create_task(self._guard(pod, self._finish(pod)))
        elif (not self.binds and "nodeName" not in pod["spec"]) or pod["spec"].get("schedulingGates"):
            pass
        elif uid not in self._plays and pod.get("status", {}).get("phase", "Pending") == "Pending":
            self._ending[uid] = asyncio.Event()
            self._plays[uid] = asyncio.create_task(self._guard(pod, self._play(pod)))

    async def _guard(self, pod: Pod, play: Awaitable[None]) -> None:
        try:
            try:
                await play
            except ApiError as error:
                if error.status not in (404, 409):  # gone, or deleted in the middle: it must not hold its node for ever
                    raise
                await self._ending[pod["metadata"]["uid"]].wait()
                await self._finish(pod)
        except Exception as error:
            self.mistakes.append(error)

    async def _play(self, pod: Pod) -> None:
        meta, ending = pod["metadata"], self._ending[pod["metadata"]["uid"]]
        rule = next((r for r in self.rules if r.times != 0 and r.matches(pod)), None)
        if rule is not None and rule.times is not None:
            rule.times -= 1
        if rule is not None and rule.status is not None:
            await self._status(pod, rule.status)
            await ending.wait()
            await self._finish(pod)
            return
        if self.binds:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": meta["name"], "namespace": self.namespace},
            }
            path = PODS.path(self.namespace, meta["name"], "binding")
            await self._call("POST", PODS, path, query={}, body={**binding, "target": target})
        container = pod["spec"]["containers"][0]
        place = self.folders.of(pod)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        prepared = await self.folders.prepare(pod, container, rule.command if rule else None)
        if not await self._fill_claims(pod, ending):
            await ending.wait()
            await self._finish(pod)
            return
        sidecars = await self._start_sidecars(pod)
        restarts, code = 0, 0
        while True:
            code = await self._run_once(pod, container, prepared, ending, restarts)
            if ending.is_set() or pod["spec"].get("restartPolicy") != "Always":
                break
            restarts += 1
            terminated = self._terminated(pod, container, code)
            waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
            state = {"state": {"waiting": waiting}, "lastState": {"terminated": terminated}}
            await self._containers(pod, container, "Running", ready=False, restarts=restarts, **state)
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), min(5.0, 0.3 * 2**restarts))
        for sidecar in sidecars:
            terminate(sidecar)
            await sidecar.wait()
        phase = "Succeeded" if code == 0 else "Failed"
        terminated = self._terminated(pod, container, code)
        await self._containers(pod, container, phase, ready=False, restarts=restarts, state={"terminated": terminated})
        await ending.wait()
        await self._finish(pod)

    async def _fill_claims(self, pod: Pod, ending: asyncio.Event) -> bool:
        """Run the init containers that bring weights, again and again until they succeed; False: the pod is to end."""
        for container in pod["spec"].get("initContainers", ()):
            if "tiltyard_jobs.weights" not in container.get("command", ()):
                continue
            code = -1
            while code != 0 and not ending.is_set():
                (self.folders.of(pod) / "termination-log").write_text("")
                process = await self._spawn(pod, await self.folders.prepare(pod, container), container["name"])
                code = await ended(process, ending, _grace(pod))
                if ending.is_set():
                    return False
                status = {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": code == 0,
                    "restartCount": 0,
                    "state": {"terminated": self._terminated(pod, container, code)},
                }
                conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()}]
                await self._status(
                    pod, {"phase": "Pending", "conditions": conditions, "initContainerStatuses": [status]}
                )
                if code != 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(ending.wait(), 0.3)
        return not ending.is_set()

    async def _start_sidecars(self, pod: Pod) -> list[Process]:
        """The init containers that stay: each with its own environment, in the pod's volumes."""
        started = []
        for container in pod["spec"].get("initContainers", ()):
            if container.get("restartPolicy") == "Always":
                prepared = await self.folders.prepare(pod, container)
                name = container["name"]
                started.append(await self._spawn(pod, prepared, name, log=f"{name}.log"))
        return started

    async def _run_once(
        self,
        pod: Pod,
        container: Mapping[str, Any],
        prepared: tuple[list[str], dict[str, str]],
        ending: asyncio.Event,
        restarts: int,
    ) -> int:
        (self.folders.of(pod) / "termination-log").write_text("")
        process = await self._spawn(pod, prepared)
        self.started.append(pod["metadata"]["name"])
        probe = container.get("readinessProbe", {}).get("httpGet")
        running = {"running": {"startedAt": _now()}}
        await self._containers(pod, container, "Running", ready=probe is None, restarts=restarts, state=running)
        ready = asyncio.create_task(self._probe(pod, container, probe, restarts)) if probe else None
        try:
            return await ended(process, ending, _grace(pod))
        finally:
            if ready is not None:
                ready.cancel()

    async def _spawn(
        self, pod: Pod, prepared: tuple[list[str], dict[str, str]], init: str = "", *, log: str = "log"
    ) -> Process:
        """The process of the pod's container, or of an init container of this name."""
        place = self.folders.of(pod)
        name = f"{place.name}/{init}" if init else place.name
        return await self._processes.start(name, place, *prepared, log=log)

    async def _probe(self, pod: Pod, container: Mapping[str, Any], probe: Mapping[str, Any], restarts: int) -> None:
        url = f"http://127.0.0.1:{self.folders.port_of(service_of(pod))}{probe['path']}"

        def answers() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return True
            except OSError:
                return False

        while not await asyncio.to_thread(answers):  # noqa: ASYNC110  (another process is waited for)
            await asyncio.sleep(0.1)
        with suppress(ApiError):
            state = {"running": {"startedAt": _now()}}
            await self._containers(pod, container, "Running", ready=True, restarts=restarts, state=state)

    async def _finish(self, pod: Pod) -> None:
        path = PODS.path(self.namespace, pod["metadata"]["name"])
        with suppress(ApiError):
            await self._call("DELETE", PODS, path, query={"gracePeriodSeconds": "0"})

    def _terminated(self, pod: Pod, container: Mapping[str, Any], code: int) -> dict[str, Any]:
        place = self.folders.of(pod)
        message = (place / "termination-log").read_text(errors="replace")[-4096:]
        if not message and code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = (place / "log").read_bytes()[-2048:].decode(errors="replace")
        reason = (
            "Completed" if code == 0 else "OOMKilled" if code == -9 and "oom" in pod["metadata"]["name"] else "Error"
        )
        exit_code = 128 - code if code < 0 else code
        return {"exitCode": exit_code, "reason": reason, "message": message, "startedAt": _now(), "finishedAt": _now()}

    async def _containers(
        self, pod: Pod, container: Mapping[str, Any], phase: str, *, ready: bool, restarts: int, **states: Any
    ) -> None:
        condition = {"status": str(ready), "lastTransitionTime": _now()}
        status = {
            "phase": phase,
            "podIP": self.folders.ip_of(pod),
            "conditions": [{"type": kind, **condition} for kind in ("Ready", "ContainersReady")],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "restartCount": restarts,
                    **states,
                }
            ],
        }
        await self._status(pod, status)

    async def _status(self, pod: Pod, status: Mapping[str, Any]) -> None:
        path = PODS.path(self.namespace, pod["metadata"]["name"], "status")
        merge = "application/merge-patch+json"
        await self._call("PATCH", PODS, path, query={}, body={"status": status}, content=merge)

    async def _call(self, *arguments: Any, **named: Any) -> None:
        for _ in range(TRIES):
            try:
                await self.kube._call(*arguments, **named)
                return
            except ApiError as error:
                if error.status not in BUSY:
                    raise
                refused = error
            await asyncio.sleep(0.2)
        raise refused


def _grace(pod: Pod) -> float:
    grace: float = min(MAX_GRACE, pod["spec"].get("terminationGracePeriodSeconds", 30))
    return grace


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
