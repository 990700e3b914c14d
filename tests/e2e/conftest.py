"""A cluster with a real node for the session, with the chart installed, and what a user does on it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

import envs
import tools
from cluster import holder, node, up
from cluster.facts import Cluster
from support.local_runs import contents
from tiltyard.cluster.client import Client
from tiltyard.observe.kinds import TOURNAMENTS, Kind, Object
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import Store, open_store

ROOT = Path(__file__).resolve().parents[2]
SECRETS = Kind("v1", "Secret", "secrets")


@pytest.fixture(scope="session")
def cluster_tools() -> None:
    """All that a cluster is made of is built. `make test-e2e` does it before: it may take longer than a test."""
    up.prepare(vllm=True)
    for name in ("train", "lm-eval"):
        envs.ensure(name)


@pytest.fixture(scope="session")
def cluster(cluster_tools: None) -> Iterator[Cluster]:
    """A cluster that is up, with Tiltyard installed by its chart."""
    before = None if up.find() else traces()
    found = up.up(vllm=True)
    try:
        helm(
            "upgrade", "--install", "tiltyard", str(ROOT / "charts/tiltyard"), "--namespace=tiltyard",
            "--create-namespace", "--wait", "--timeout=90s",
            f"--set=trainer.python={TRAINER}/bin/python", "--set=trainer.image.repository=",
            f"--set=lmEval.python={LM_EVAL}/bin/python", "--set=lmEval.image.repository=",
            *found.chart_values(),
        )  # fmt: skip
        yield found
    finally:
        if not os.environ.get("TILTYARD_KEEP_CLUSTER"):
            if before is None and found.machine is None:
                helm("uninstall", "tiltyard", "--namespace=tiltyard", "--wait")
            up.down()
            assert before in (None, traces())


def restrict(namespace: str, cluster: Cluster) -> None:
    """Give a namespace all NetworkPolicies of the chart; what its pods reach outside of the cluster is the bucket."""
    policies = {"tournamentNamespaces": [namespace], "egress": {"enabled": True, "to": [bucket_block(cluster)]}}
    helm(
        "upgrade", "tiltyard", str(ROOT / "charts/tiltyard"), "--namespace=tiltyard", "--reuse-values",
        f"--set-json=networkPolicy={json.dumps(policies)}",
    )  # fmt: skip


def bucket_block(cluster: Cluster) -> dict[str, Any]:
    """The bucket as a NetworkPolicyPeer."""
    return {"ipBlock": {"cidr": f"{socket.gethostbyname(urlsplit(cluster.endpoint).hostname or '')}/32"}}


@pytest.fixture
def machine(cluster: Cluster) -> str:
    """The path below which the cluster's nodes see this machine's folders."""
    if cluster.machine is None:
        pytest.skip("an existing cluster does not see this machine's folders, and its S3 server is not ours to kill")
    return cluster.machine


TRAINER, LM_EVAL = "/trainer", "/lm-eval"


def environment_in_pod(name: str, place: str, folder: Path, machine: str) -> dict[str, Any]:
    """What a manifest's `pod` has, so that an environment of this machine is one of the pod's.

    An image of several GB is made by nobody. The environment lies where nobody but root may go, so its parts get other
    places, and a folder of links puts them together.

    Args:
        name: the environment's.
        place: where the pod finds it.
        folder: gets the links.
        machine: the path below which the cluster's nodes see this machine's folders.
    """
    python = envs.ensure(name)
    prefix = subprocess.run(
        [str(python), "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(f"/python/bin/{python.resolve().name}")
    (folder / "lib").symlink_to("/environment/lib")
    (folder / "pyvenv.cfg").write_text("home = /python/bin\n")
    places = ((folder, place), (python.parent.parent, "/environment"), (prefix, "/python"))
    return {
        "env": [{"name": "LD_LIBRARY_PATH", "value": "/python/lib"}],
        "volumes": [
            {"name": f"env-{at}", "hostPath": {"path": f"{machine}{here}"}} for at, (here, _) in enumerate(places)
        ],
        "volumeMounts": [
            {"name": f"env-{at}", "mountPath": there, "readOnly": True} for at, (_, there) in enumerate(places)
        ],
    }


def traces() -> dict[str, str]:
    """What a cluster could leave behind on this machine, by where to look."""
    commands = ("ip -o address", "ip route", "iptables-save", "ls /etc/cni /var/lib/cni /var/lib/kubelet /run/netns")
    found = {command: _output(command) for command in commands}
    found["iptables-save"] = re.sub(r"^#.*\n|\[\d+:\d+\]", "", found["iptables-save"], flags=re.MULTILINE)
    for name in node.KERNEL:
        found[name] = Path("/proc/sys", name).read_text()
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found["mounts"] = "\n".join(sorted(line.split(maxsplit=4)[4] for line in mounts))
    found["cgroups"] = " ".join(map(str, sorted(Path("/sys/fs/cgroup").glob(f"*/{node.CGROUP}"))))
    found["files"] = str(holder.folder().exists())
    network, foreign = os.readlink("/proc/self/ns/net"), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(process / "ns" / "net") != network:
                foreign.append(process.name)
    found["processes in other networks"] = " ".join(sorted(foreign))
    return found


def _output(command: str) -> str:
    return subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout


def helm(*arguments: str) -> None:
    subprocess.run([str(tools.ensure("helm")), *arguments], env=_environment(), check=True)


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """What a user types; returns what it prints."""
    command = [str(tools.ensure("kubectl")), *arguments]
    done = subprocess.run(command, env=_environment(), input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _environment() -> dict[str, str]:
    found = up.find()
    assert found is not None, "the cluster is down"
    return {**os.environ, "KUBECONFIG": str(found.kubeconfig)}


def wait_for_s3(endpoint: str) -> None:
    """Wait until the cluster's S3 server answers."""
    address = urlsplit(endpoint)
    end = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection((address.hostname, address.port), timeout=1):
            return
        assert time.monotonic() < end
        time.sleep(0.1)


def kill_s3() -> None:
    """End the cluster's S3 server; who holds the cluster starts it again after a while."""
    parents = [holder.pid()]
    while parents:
        if (parent := parents.pop()) is None:
            break
        if Path(f"/proc/{parent}/comm").read_text() == "versitygw\n":
            os.kill(parent, 9)
            return
        parents += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    raise AssertionError("no S3 server runs")


@dataclass
class Arena:
    """A namespace in which tournaments run, their artifacts in a prefix of their own."""

    kube: Client
    namespace: str
    cluster: Cluster

    @property
    def uri(self) -> str:
        return f"s3://{self.cluster.bucket}/{self.namespace}"

    async def apply(self, document: dict[str, Any]) -> None:
        """`kubectl apply` of a manifest whose bucket is the cluster's."""
        document = {**document, "metadata": {**document["metadata"], "namespace": self.namespace}}
        s3 = {"uri": self.uri, "endpoint": self.cluster.endpoint, "secretRef": {"name": "tournament-bucket"}}
        document["spec"] = {**document["spec"], "output": {"s3": s3}}
        await self.kube.apply(TOURNAMENTS, document)

    async def wait(self, name: str, holds: Callable[[Object], bool], limit: float) -> Object:
        """Wait until a Tournament is as told; the limit is of seconds without a change: the machine may be slow."""
        clock, before, end = asyncio.get_running_loop().time, None, 0.0
        while True:
            found = await self.kube.get(TOURNAMENTS, self.namespace, name)
            if holds(found):
                return found
            if found.get("status") != before or not end:
                before, end = found.get("status"), clock() + limit
            if clock() > end:
                pods = kubectl("-n", self.namespace, "get", "pods")
                log = kubectl("-n", "tiltyard", "logs", "deploy/tiltyard", "--tail=20")
                said = yaml.safe_dump(found.get("status"))
                raise AssertionError(f"nothing changed for {limit} s:\n{said}\n{pods}\n{log}")
            await asyncio.sleep(0.2)

    async def complete(self, name: str, limit: float = 400) -> Object:
        """Wait for the end, which must be a good one."""
        done = await self.wait(name, lambda one: phase(one) in ("Complete", "Failed", "Invalid"), limit)
        assert phase(done) == "Complete", yaml.safe_dump(done["status"])
        return done

    def store(self) -> Store:
        """The tournaments' folder in the bucket."""
        return open_store(StoreRef(uri=self.uri, endpoint=self.cluster.endpoint, region="us-east-1"))

    def contents(self) -> dict[str, bytes]:
        """All that the bucket holds of this arena, what tells of costs taken out."""
        store = self.store()
        try:
            return contents(store)
        finally:
            store.close()


def phase(tournament: Object) -> str:
    word: str = tournament.get("status", {}).get("phase", "")
    return word


@pytest.fixture
async def arena(
    cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Arena]:
    """A fresh namespace under the restricted Pod Security Standard."""
    for name, value in {"KUBECONFIG": str(cluster.kubeconfig), **cluster.keys}.items():
        monkeypatch.setenv(name, value)
    name = f"arena-{abs(hash(request.node.nodeid)) % 10**8}"
    async with await Client.connect() as kube:
        kubectl("create", "namespace", name)
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        data = {key: base64.b64encode(value.encode()).decode() for key, value in cluster.keys.items()}
        meta = {"name": "tournament-bucket", "namespace": name}
        restrict(name, cluster)
        await kube.apply(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})
        yield Arena(kube, name, cluster)
        if not os.environ.get("TILTYARD_KEEP_CLUSTER"):
            kubectl("delete", "namespace", name, "--wait=false")
