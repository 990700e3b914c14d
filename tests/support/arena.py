"""A namespace of a real control plane with a running operator: what a user does there, and what a test waits for."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cluster import processes
from cluster.processes import free_port
from support.documents import ROOT
from support.manifests import manifest
from support.podplayer import PodPlayer
from support.s3server import S3Server
from support.waiting import until
from tiltyard.cluster.client import Client
from tiltyard.observe.kinds import EVENTS, JOBS, PODS, TOURNAMENTS, Kind, Object
from tiltyard.render.names import BUNDLE

KEY = "bucket-key"
"""The Secret with the bucket's credentials."""
Configure = Callable[[str, Mapping[str, Any]], None]
"""Changes a part of KServe's configuration."""
TOLD_SECONDS = 30
"""Within these a Tournament says what another object of the cluster says."""
GRACE_SECONDS = 25
"""A pod has 30 to end: an operator that takes more is killed."""
SMALL: dict[str, Any] = {
    "per_competitor": 12,
    "judges": 1,
    "curation": {"decontaminate": [], "diversity": {"perCompetitor": 4}},
    "jobs": {"shardSize": 12},
}
"""Two players and a judge: every stage, none of much work."""


@dataclass
class Operator:
    """The operator's process: `start`, `stop` and `kill` may be called at any moment."""

    kubeconfig: Path
    namespace: str
    log: Path
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None
    arguments: tuple[str, ...] = ()

    async def start(self) -> None:
        began = await self.launch()
        assert self.process is not None
        while self.log.read_text().count('"event": "ready"') == began:
            assert self.process.returncode is None, self.log.read_text()[-3000:]
            await asyncio.sleep(0.05)

    async def launch(self) -> int:
        """Start the process, and do not wait until it works; how often it has worked before."""
        command = [
            sys.executable, "-m", "tiltyard", "operator", f"--namespace={self.namespace}", f"--port={self.port}",
            '--children={"copiedLabels": ["example.com/*"]}', "--worker-image=tiltyard/worker", *self.arguments,
        ]  # fmt: skip
        environment = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'jobs'}", "KUBECONFIG": str(self.kubeconfig)}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                preexec_fn=processes.die_with_parent(),
            )
        return self.log.read_text().count('"event": "ready"')

    async def metrics(self) -> str:
        """What Prometheus would read."""

        def read() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
                return str(page.read().decode())

        return await asyncio.to_thread(read)

    async def calls(self) -> set[tuple[str, str, str]]:
        """Verb, resource and status of its calls, by its metrics."""
        pattern = r'^tiltyard_api_requests_total\{code="(\w+)",resource="(\w+)",verb="(\w+)"\}'
        found = re.findall(pattern, await self.metrics(), re.MULTILINE)
        return {(verb, resource, code) for code, resource, verb in found}

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        try:
            return await asyncio.wait_for(self.process.wait(), GRACE_SECONDS)
        except TimeoutError:
            await self.kill()
            raise

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()


@dataclass
class Arena:
    """A namespace with everything in it, and what a user does there."""

    kube: Client
    namespace: str
    s3_uri: str
    server: S3Server
    player: PodPlayer
    operator: Operator

    def manifest(self, competitors: int | list[str] = 3, *, name: str = "test", **spec: Any) -> dict[str, Any]:
        """A manifest of simulated experts whose artifacts go to the test's bucket."""
        document = manifest(competitors, **spec)
        document["metadata"] = {"name": name, "namespace": self.namespace}
        s3 = {"uri": self.s3_uri, "endpoint": self.server.endpoint, "secretRef": {"name": KEY}}
        document["spec"].setdefault("output", {"s3": s3})
        return document

    async def apply(self, document: dict[str, Any]) -> None:
        """`kubectl apply --server-side`, refusing unknown fields."""
        path = TOURNAMENTS.path(self.namespace, document["metadata"]["name"])
        query = {"fieldManager": "user", "force": "true", "fieldValidation": "Strict"}
        content = "application/apply-patch+yaml"
        await self.kube._call("PATCH", TOURNAMENTS, path, query=query, body=document, content=content)

    async def patch(self, name: str = "test", **spec: Any) -> None:
        """`kubectl patch --type merge`."""
        await self.kube.merge(TOURNAMENTS, self.namespace, name, {"spec": spec})

    async def get(self, name: str = "test") -> Object:
        return await self.kube.get(TOURNAMENTS, self.namespace, name)

    async def wait(self, holds: Callable[[Object], bool], name: str = "test", limit: float = 90) -> Object:
        """Wait until a Tournament is as told."""
        end = asyncio.get_running_loop().time() + limit
        while True:
            found = await self.get(name)
            if holds(found):
                return found
            if asyncio.get_running_loop().time() > end:
                log = self.operator.log.read_text()[-3000:]
                pods = "\n".join(map(pod_line, (await self.kube.list(PODS, None, ""))[0]))  # who else holds the node
                raise AssertionError(f"after {limit} s:\n{yaml.safe_dump(found.get('status'))}\n{log}\n{pods}")
            await asyncio.sleep(0.1)

    async def told(
        self, said: Callable[[], Awaitable[object]], holds: Callable[[Object], bool], *events: str, name: str = "test"
    ) -> Object:
        """Wait until another object says something; the Tournament must say it within `TOLD_SECONDS` from then.

        Args:
            said: whether the other object says it; it is asked again and again.
            holds: whether the Tournament does.
            events: reasons of which it must have events by then too.
            name: the Tournament's.
        """
        await until(said, 120)
        clock = asyncio.get_running_loop().time
        end = clock() + TOLD_SECONDS
        found = await self.wait(holds, name, TOLD_SECONDS)
        for reason in events:
            await self.notes(reason, end - clock())
        return found

    async def unschedulable(self) -> list[Object]:
        """Pods of which it is said that no node takes them."""
        return [pod for pod in await self.children(PODS) if condition(pod, "PodScheduled").get("status") == "False"]

    async def wait_for_phase(self, *phases: str, name: str = "test", limit: float = 90) -> Object:
        return await self.wait(lambda one: one.get("status", {}).get("phase") in phases, name, limit)

    async def children(self, kind: Kind) -> list[Object]:
        """What the operator has made of a kind."""
        items, _ = await self.kube.list(kind, self.namespace, "app.kubernetes.io/managed-by=tiltyard")
        return items

    async def events(self) -> list[tuple[str, str, str]]:
        """Type, reason and note of each event of a Tournament, in the order of time."""
        items, _ = await self.kube.list(EVENTS, self.namespace, "")
        ours = [item for item in items if item["regarding"]["kind"] == "Tournament"]
        ours.sort(key=lambda item: str(item["eventTime"]))
        return [(item["type"], item["reason"], item["note"]) for item in ours]

    async def notes(self, reason: str, limit: float = 30) -> list[str]:
        """Notes of the events of a reason, once there is one: events follow the status."""

        async def of_it() -> list[str]:
            return [note for _, one, note in await self.events() if one == reason]

        return await until(of_it, limit)

    async def gone(self, kind: Kind, limit: float = 30) -> None:
        """Wait until nothing of a kind is left."""
        end = asyncio.get_running_loop().time() + limit
        while left := await self.children(kind):
            assert asyncio.get_running_loop().time() < end, [item["metadata"]["name"] for item in left]
            await asyncio.sleep(0.2)


def pod_line(pod: Object) -> str:
    """What holds a pod, or what a pod holds."""
    meta, status = pod["metadata"], pod.get("status", {})
    told = [one.get("message") for one in status.get("conditions", ()) if one["type"] == "PodScheduled"]
    node, end = pod["spec"].get("nodeName"), meta.get("deletionTimestamp")
    return f"pod {meta['namespace']}/{meta['name']}: {status.get('phase')}, node {node}, deleted {end} {told}"


def answering_late(document: dict[str, Any], milliseconds: int = 2000) -> dict[str, Any]:
    """The manifest, its models as slow as told: a shard that has begun is still running when a test acts on it."""
    for one in (*document["spec"]["competitors"], *document["spec"].get("judges", ())):
        one["serving"] = {"args": [f"--latency-ms={milliseconds}"]}
    return document


async def begun(arena: Arena, stage: str, name: str = "test") -> None:
    """Wait until a shard of a stage is running."""

    def at_work(tournament: Any) -> bool:
        return any(f"{name}-{stage}" in pod for pod in arena.player.started)

    await arena.wait(at_work, name)


async def pods_ended(arena: Arena, *, models: bool = True) -> None:
    """Wait until no pod is running, or none of a shard."""

    async def have_ended() -> bool:
        phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in await arena.children(PODS)}
        return all(
            phase not in ("Pending", "Running") for name, phase in phases.items() if models or "-predictor-" not in name
        )

    await until(have_ended)


async def bundles(arena: Arena) -> dict[str, str]:
    """Names of bundles by their Jobs' names."""
    return {job["metadata"]["name"]: job["metadata"]["annotations"][BUNDLE] for job in await arena.children(JOBS)}


def condition(tournament: Object, kind: str) -> dict[str, Any]:
    """A condition by its type; empty: it has none such."""
    conditions = tournament.get("status", {}).get("conditions", [])
    return next((dict(one) for one in conditions if one["type"] == kind), {})
