"""A real control plane with KServe for the tests of a worker, and a namespace with a player of pods for each test.

The tests are in three groups, `cluster`, `cluster-2` and `cluster-3`, so that each of three workers has about a third
of their time. They wait more than they compute.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

import tools
from cluster import kserve, kubeflow, llmisvc, managers, processes
from cluster import kueue as kueue_manager
from cluster.controlplane import ControlPlane
from support import gitops
from support.answering_pods import pods as pods
from support.api_server import connected as connected
from support.arena import KEY, Arena, Configure, Operator, pod_line
from support.documents import ROOT
from support.podplayer import NODE, PodPlayer
from support.refusers import Refuser, remove
from support.s3server import S3Server
from tiltyard.cluster.client import Client
from tiltyard.observe.kinds import NODES, PODS

CRD = "charts/tiltyard/files/tournaments.tiltyard.dev.yaml"
TOOLS = {
    "plane": ("etcd", "kube-apiserver", "kube-controller-manager", "helm", *kserve.chosen().tools),
    "trainer": ("jobset-manager", "trainer-manager"),
    "llms": ("kserve-llmisvc-manager",),
    "kueue": ("kueue-manager",),
    "scheduler": ("kube-scheduler",),
    "engines": (gitops.TOOL,),
    "kubectl": ("kubectl",),
}
"""What each fixture needs."""
CLEARED_SECONDS = 60
CONFIGURATION = f"/api/v1/namespaces/{kserve.NAMESPACE}/configmaps/inferenceservice-config"


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


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was logged: on standard output where an earlier test of this process set up the log."""
    return lambda: caplog.text or capsys.readouterr().out


@pytest.fixture(scope="session")
def engines() -> None:
    """The engines of GitOps tools."""
    tools.ensure(gitops.TOOL)


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The command."""
    return Path(tools.ensure("kubectl"))


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
    while left := plane.request("GET", "/api/v1/pods")["items"]:
        assert time.monotonic() < end, "earlier tests leave\n" + "\n".join(map(pod_line, left))
        for pod in left:
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
def configure(plane: ControlPlane) -> Iterator[Configure]:
    """Changes a part of KServe's configuration, which is read at each reconciliation; as it was after the test."""
    before = plane.request("GET", CONFIGURATION)["data"]

    def change(part: str, values: Mapping[str, Any]) -> None:
        data = {**before, part: json.dumps({**json.loads(before.get(part, "{}")), **values})}
        write(data)

    def write(data: Mapping[str, str]) -> None:
        meta = {"name": "inferenceservice-config", "namespace": kserve.NAMESPACE}
        plane.apply(CONFIGURATION, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})

    yield change
    write(before)


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


@pytest.fixture
def arena(kube: Client, namespace: str, s3_uri: str, server: S3Server, player: PodPlayer, operator: Operator) -> Arena:
    """All of the above."""
    return Arena(kube, namespace, s3_uri, server, player, operator)


@pytest.fixture
def refusers(plane: ControlPlane) -> Iterator[list[Refuser]]:
    """Those that stand; what a test leaves is deleted."""
    standing: list[Refuser] = []
    yield standing
    remove(plane, standing)
