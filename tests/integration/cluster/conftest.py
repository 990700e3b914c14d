"""A real control plane with KServe for the tests of a worker, and a namespace with a player of pods for each test.

The tests are in two groups, `cluster` and `cluster-2`, so that each of two workers has about half of their time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

import tools
from cluster import kserve, kubeflow, llmisvc, managers, processes
from cluster import kueue as kueue_manager
from cluster.controlplane import ControlPlane
from cluster.processes import free_port
from support import gitops
from support.answering_pods import pods as pods
from support.api_server import connected as connected
from support.documents import ROOT
from support.manifests import manifest
from support.podplayer import NODE, PodPlayer
from support.s3server import S3Server
from support.waiting import until
from tiltyard.cluster.client import ApiError, Client
from tiltyard.observe.kinds import JOBS, PODS, TOURNAMENTS, Kind, Object
from tiltyard.render.names import BUNDLE

NODES = Kind("v1", "Node", "nodes")
EVENTS = Kind("events.k8s.io/v1", "Event", "events")
CRD = "charts/tiltyard/files/tournaments.tiltyard.dev.yaml"
TOOLS = {
    "plane": ("etcd", "kube-apiserver", "kube-controller-manager", "helm", *kserve.chosen().tools),
    "trainer": ("jobset-manager", "trainer-manager"),
    "llms": ("kserve-llmisvc-manager",),
    "kueue": ("kueue-manager",),
    "scheduler": ("kube-scheduler",),
    "engines": (gitops.TOOL,),
}
"""What each fixture needs."""
KEY = "bucket-key"
CLEARED_SECONDS = 60
SMALL: dict[str, Any] = {
    "per_competitor": 12,
    "judges": 1,
    "curation": {"decontaminate": [], "diversity": {"perCompetitor": 4}},
    "jobs": {"shardSize": 12},
}
"""Two players and a judge: every stage, none of much work."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the tools before the first test: within one, the build would run into the test's time-out."""
    used = {fixture for item in session.items for fixture in getattr(item, "fixturenames", ())}
    for fixture, names in TOOLS.items():
        for name in names if fixture in used else ():
            tools.ensure(name)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane, with KServe and the Tournament's CRD."""
    folder = tmp_path_factory.mktemp("cluster") / "plane"
    flags = {"kube-controller-manager": ["--controllers=*,-node-lifecycle-controller"]}
    with ControlPlane(folder, flags=flags) as running:
        kserve.install(running)
        running.apply(f"{managers.CRD_PATH}/tournaments.tiltyard.dev", (ROOT / CRD).read_bytes())
        running.wait_for_resource("tiltyard.dev/v1alpha1", "tournaments")
        running.apply(f"/api/v1/nodes/{NODE}", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        yield running


@pytest.fixture(scope="session")
def trainer(plane: ControlPlane) -> None:
    """Kubeflow Trainer on that control plane, with its runtime `torch-distributed`."""
    kubeflow.install(plane)


@pytest.fixture(scope="session")
def llms(plane: ControlPlane) -> None:
    """KServe's LLMInferenceServices on that control plane."""
    llmisvc.install(plane)


@pytest.fixture(scope="session")
def kueue(plane: ControlPlane) -> None:
    """Kueue on that control plane, for namespaces that have its label."""
    kueue_manager.install(plane)


@pytest.fixture(scope="session")
def engines() -> None:
    """The engines of GitOps tools."""
    tools.ensure(gitops.TOOL)


@pytest.fixture
def scheduler(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[None]:
    """A kube-scheduler for the length of a test, and a node that can give something: the parameter's among it."""
    clear_node(plane)
    path = NODES.path(None, NODE)
    before = plane.request("GET", path)
    room = {"cpu": "64", "memory": "256Gi", "pods": "200", **request.param}
    ready = {"type": "Ready", "status": "True", "reason": "Played", "message": "",
             "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
    status = {**before.get("status", {}), "capacity": room, "allocatable": room, "conditions": [ready]}
    plane.request("PUT", f"{path}/status", {**before, "status": status})
    there = plane.request("GET", path)
    plane.request("PUT", path, {**there, "spec": {**there.get("spec", {}), "taints": []}})
    flags = [f"--kubeconfig={plane.kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    running = processes.start([tools.ensure("kube-scheduler"), *flags], plane.folder / "kube-scheduler.log")
    yield
    processes.stop(running)
    there = plane.request("GET", path)
    plane.request("PUT", f"{path}/status", {**there, "status": before.get("status", {})})


def clear_node(plane: ControlPlane) -> None:
    """Delete the pods of earlier tests: nobody plays them any more, and each would hold its room for ever.

    A Job's pod would wait for its Job to count it, the Job for its pod to end, and the namespace, which deletes pods
    before everything else, for both.
    """
    end = time.monotonic() + CLEARED_SECONDS
    while pods := plane.request("GET", "/api/v1/pods")["items"]:
        assert time.monotonic() < end, "earlier tests leave\n" + "\n".join(map(pod_line, pods))
        for pod in pods:
            path = PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"])
            with suppress(urllib.error.HTTPError):  # it has just gone
                plane.request("DELETE", path, {"gracePeriodSeconds": 0})
                plane.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        time.sleep(0.2)


@pytest.fixture(scope="session")
def rights(plane: ControlPlane) -> Path:
    """The kubeconfig of a service account that has the rights of the chart's operator, and no other."""
    return chart_rights(plane, "default")


def chart_rights(plane: ControlPlane, release_namespace: str, *watched: str) -> Path:
    """As `rights`: of a release in a namespace, which watches some namespaces or all."""
    command = [str(tools.ensure("helm")), "template", "tiltyard", str(ROOT / "charts" / "tiltyard")]
    command += [f"--namespace={release_namespace}", f"--set-json=watchNamespaces={json.dumps(watched)}"]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    core, rbac = "/api/v1", "/apis/rbac.authorization.k8s.io/v1"
    paths = {
        "ServiceAccount": (core, "serviceaccounts"),
        "ClusterRole": (rbac, "clusterroles"),
        "ClusterRoleBinding": (rbac, "clusterrolebindings"),
        "Role": (rbac, "roles"),
        "RoleBinding": (rbac, "rolebindings"),
    }
    for document in yaml.safe_load_all(rendered):
        if document and document["kind"] in paths:
            api, resource = paths[document["kind"]]
            name, namespace = document["metadata"]["name"], document["metadata"].get("namespace")
            plane.apply(f"{api}/{f'namespaces/{namespace}/' if namespace else ''}{resource}/{name}", document)
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    account = f"/api/v1/namespaces/{release_namespace}/serviceaccounts/tiltyard"
    token = plane.request("POST", f"{account}/token", wanted)["status"]["token"]
    return plane.kubeconfig_for(token, plane.folder / f"{release_namespace}.kubeconfig")


@pytest.fixture
async def kube(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A connection as an administrator."""
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    async with await Client.connect() as connection:
        yield connection


@pytest.fixture
def namespace(plane: ControlPlane, server: S3Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of its own, with the bucket's credentials in a Secret; a test may name it by the parameter."""
    name = getattr(request, "param", f"arena-{uuid4().hex[:8]}")
    plane.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wanted = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    data = {key: base64.b64encode(server.env[key].encode()).decode() for key in wanted}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": KEY, "namespace": name}, "data": data}
    plane.apply(f"/api/v1/namespaces/{name}/secrets/{KEY}", secret)
    yield name
    with suppress(OSError):
        plane.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
async def player(kube: Client, namespace: str, tmp_path: Path) -> AsyncIterator[PodPlayer]:
    """Who runs the namespace's pods."""
    async with PodPlayer(kube, namespace, tmp_path / "pods") as playing:
        yield playing


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
        return await asyncio.wait_for(self.process.wait(), 15)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()


@pytest.fixture
async def operator(rights: Path, namespace: str, tmp_path: Path) -> AsyncIterator[Operator]:
    """The operator, at work in the test's namespace with the rights that the chart gives it."""
    running = Operator(rights, namespace, tmp_path / "operator.log")
    await running.start()
    yield running
    code = await running.stop()
    text = running.log.read_text()
    assert "a bug in the operator" not in text, text[-4000:]
    assert "is forbidden: User" not in text, text[-4000:]
    assert code == 0, text[-4000:]


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


@pytest.fixture
def arena(kube: Client, namespace: str, s3_uri: str, server: S3Server, player: PodPlayer, operator: Operator) -> Arena:
    """All of the above."""
    return Arena(kube, namespace, s3_uri, server, player, operator)


async def begun(arena: Arena, stage: str, name: str = "test") -> None:
    """Wait until a shard of a stage is at work."""

    def at_work(tournament: Any) -> bool:
        return any(f"{name}-{stage}" in pod for pod in arena.player.started)

    await arena.wait(at_work, name)


async def pods_ended(arena: Arena, *, models: bool = True) -> None:
    """Wait until no pod is at work, or none of a shard."""

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


__all__ = ["ApiError", "Arena", "Operator", "condition"]
