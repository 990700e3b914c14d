"""A cluster with a real node for the session, with the chart installed, and what a user does on it."""

from __future__ import annotations

import asyncio
import base64
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

import pytest
import yaml

import envs
import tools
from cluster import node, up
from support.local_runs import contents
from tiltyard.cluster.kube import TOURNAMENTS, Kind, Kube, Object
from tiltyard_jobs.store import open_store

ROOT = Path(__file__).resolve().parents[2]
SECRETS = Kind("v1", "Secret", "secrets")
ENDPOINT = f"http://{node.ADDRESS}:{node.S3_PORT}"
KEYS = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), node.S3_KEYS.values(), strict=True))
IMAGES = [
    f"--set={part}.{field}={value}"
    for part, target in (("image", "operator"), ("worker.image", "worker"))
    for field, value in (("repository", f"docker.io/tiltyard/{target}"), ("tag", "dev"))
]


@pytest.fixture(scope="session")
def cluster_tools() -> None:
    """All that a cluster is made of is built: that may take longer than a test."""
    up.prepare(vllm=True)
    envs.ensure("train")


@pytest.fixture(scope="session")
def cluster(cluster_tools: None) -> Iterator[Path]:
    """The kubeconfig of a cluster that is up, with Tiltyard installed by its chart."""
    before = None if up.pid() else traces()
    up.up(vllm=True)
    try:
        helm(
            "upgrade", "--install", "tiltyard", str(ROOT / "charts/tiltyard"), "--namespace=tiltyard",
            "--create-namespace", "--wait", "--timeout=90s", f"--set=trainer.python={TRAINER}/bin/python", *IMAGES,
        )  # fmt: skip
        yield up.kubeconfig()
    finally:
        if not os.environ.get("TILTYARD_KEEP_CLUSTER"):
            up.down()
            assert before in (None, traces())


TRAINER = "/trainer"


def trainer_mounts(folder: Path) -> list[tuple[str, str]]:
    """Folders of this machine, with where a pod mounts them, that make `TRAINER` an environment with TRL.

    An image of several GB is made by nobody. The environment lies where nobody but root may go, so its parts get other
    places, and a folder of links puts them together.
    """
    python = envs.ensure("train")
    prefix = subprocess.run(
        [str(python), "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(f"/python/bin/{python.resolve().name}")
    (folder / "lib").symlink_to("/train/lib")
    (folder / "pyvenv.cfg").write_text("home = /python/bin\n")
    return [(str(folder), TRAINER), (str(python.parent.parent), "/train"), (prefix, "/python")]


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
    found["files"] = str(up.folder().exists())
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
    environment = {**os.environ, "KUBECONFIG": str(up.kubeconfig())}
    subprocess.run([str(tools.ensure("helm")), *arguments], env=environment, check=True)


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """What a user types; returns what it prints."""
    environment = {**os.environ, "KUBECONFIG": str(up.kubeconfig())}
    command = [str(tools.ensure("kubectl")), *arguments]
    done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
    return done.stdout


def wait_for_s3() -> None:
    """Wait until the cluster's S3 server answers."""
    end = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection((node.ADDRESS, node.S3_PORT), timeout=1):
            return
        assert time.monotonic() < end
        time.sleep(0.1)


def kill_s3() -> None:
    """End the cluster's S3 server; the node starts it again after a while."""
    holder = up.pid()
    assert holder is not None
    first = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0]
    inside = os.readlink(f"/proc/{first}/ns/pid")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "comm").read_text() == "versitygw\n" and os.readlink(process / "ns" / "pid") == inside:
                os.kill(int(process.name), 9)
                return
    raise AssertionError("no S3 server runs")


@dataclass
class Arena:
    """A namespace in which tournaments run, their artifacts in a prefix of their own."""

    kube: Kube
    namespace: str

    @property
    def uri(self) -> str:
        return f"s3://tournaments/{self.namespace}"

    async def apply(self, document: dict[str, Any]) -> None:
        """`kubectl apply` of a manifest whose bucket is the cluster's."""
        document = {**document, "metadata": {**document["metadata"], "namespace": self.namespace}}
        s3 = {"uri": self.uri, "endpoint": ENDPOINT, "secretRef": {"name": "tournament-bucket"}}
        document["spec"] = {**document["spec"], "output": {"s3": s3}}
        await self.kube.apply(TOURNAMENTS, document)

    async def wait(self, name: str, holds: Callable[[Object], bool], limit: float) -> Object:
        end = asyncio.get_running_loop().time() + limit
        while True:
            found = await self.kube.get(TOURNAMENTS, self.namespace, name)
            if holds(found):
                return found
            if asyncio.get_running_loop().time() > end:
                pods = kubectl("-n", self.namespace, "get", "pods")
                log = kubectl("-n", "tiltyard", "logs", "deploy/tiltyard", "--tail=20")
                raise AssertionError(f"after {limit} s:\n{yaml.safe_dump(found.get('status'))}\n{pods}\n{log}")
            await asyncio.sleep(0.2)

    async def complete(self, name: str, limit: float = 400) -> Object:
        """Wait for the end, which must be a good one."""
        done = await self.wait(name, lambda one: phase(one) in ("Complete", "Failed", "Invalid"), limit)
        assert phase(done) == "Complete", yaml.safe_dump(done["status"])
        return done

    def contents(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
        """All that the bucket holds of this arena, what tells of costs taken out."""
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        store = open_store(self.uri, endpoint=ENDPOINT, region="us-east-1")
        try:
            return contents(store)
        finally:
            store.close()


def phase(tournament: Object) -> str:
    word: str = tournament.get("status", {}).get("phase", "")
    return word


@pytest.fixture
async def arena(cluster: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Arena]:
    """A fresh namespace under the restricted Pod Security Standard."""
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    name = f"arena-{abs(hash(request.node.nodeid)) % 10**8}"
    async with await Kube.connect() as kube:
        kubectl("create", "namespace", name)
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        data = {key: base64.b64encode(value.encode()).decode() for key, value in KEYS.items()}
        meta = {"name": "tournament-bucket", "namespace": name}
        await kube.apply(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})
        yield Arena(kube, name)
        if not os.environ.get("TILTYARD_KEEP_CLUSTER"):
            kubectl("delete", "namespace", name, "--wait=false")
