"""A cluster with one real node on this machine, seen from outside of its namespaces.

Needs root and Linux, and Debian's containerd, runc, containernetworking-plugins, iptables, conntrack, iproute2, and
ipset where NetworkPolicies are enforced; to build the images buildah and debootstrap, or Docker. All else is built by
`hack/tools.py`. See `node.py` for what runs, and why nothing of it is left behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import envs
import tools
from cluster import holder, images, kserve, node, s3
from cluster.facts import Cluster
from cluster.processes import ClusterError

PROGRAMS = {
    "containerd": "containerd", "ctr": "containerd", "runc": "runc", "iptables": "iptables", "conntrack": "conntrack",
    "ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux",
}  # fmt: skip
CNI = Path("/usr/lib/cni/bridge")
TOOLS = (
    "coredns", "etcd", "jobset-manager", "kube-apiserver", "kube-controller-manager", "kube-proxy",
    "kube-scheduler", "kubectl", "kubelet", "pause", "trainer-manager", "versitygw",
)  # fmt: skip
CGROUPS = Path("/sys/fs/cgroup")
WEIGHT = 32
"""Processes that all pods together count like."""
MAKER = "node"


def prepare(*, vllm: bool) -> tuple[list[str], str | None]:
    """Build all that the cluster is made of; returns the images' archives, and vLLM's interpreter.

    Raises:
        ClusterError: a program is missing.
    """
    _check_programs()
    for name in (*TOOLS, *kserve.chosen().tools):
        tools.ensure(name)
    return [str(images.ensure(target)) for target in images.IN_CLUSTER], str(envs.ensure("vllm")) if vllm else None


def up(*, vllm: bool) -> None:
    """Start the cluster, and wait until it can run pods.

    Raises:
        ClusterError: something is missing, or does not come up.
    """
    down()
    archives, python = prepare(vllm=vllm)
    home = holder.folder()
    holder.claim(MAKER, images=archives, vllm=python)
    for controller in _controllers():
        (controller / node.CGROUP).mkdir(exist_ok=True)
        _weigh(controller / node.CGROUP)
    for place in node.MADE:
        Path(place).mkdir(exist_ok=True)
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    process = holder.start([*command, sys.executable, "-m", "cluster.node", str(home)])
    try:
        _connect(process)
        holder.wait_until_ready(process)
    except BaseException:
        down()
        raise


def down() -> None:
    """End the cluster and remove all that is left of it. One that is down already is no error."""
    is_ours = holder.is_ours(MAKER)
    holder.end()
    _wait_for_cgroups()
    subprocess.run(["ip", "link", "delete", node.LINK], capture_output=True, check=False)
    for place in node.MADE:
        _rmdir(Path(place))
    if is_ours:
        for attempt in range(20):
            shutil.rmtree(holder.folder(), ignore_errors=attempt < 19)
            if not holder.folder().exists():
                break
            time.sleep(0.2)


def find() -> Cluster | None:
    """The cluster; None: it is down."""
    if not holder.is_ours(MAKER) or holder.pid() is None:
        return None
    return Cluster(
        kubeconfig=holder.folder() / "plane" / "kubeconfig",
        endpoint=f"http://{node.ADDRESS}:{s3.PORT}",
        bucket=s3.BUCKET,
        keys=s3.KEYS,
        images={target: images.tag(target) for target in images.IN_CLUSTER},
        machine="",
    )


def _connect(process: subprocess.Popen[bytes]) -> None:
    """Lay the way into the cluster's network."""
    end = time.monotonic() + 20
    while not (children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()):
        if process.poll() is not None or time.monotonic() > end:
            raise ClusterError(f"the namespaces cannot be made; see {holder.folder() / 'node.log'}")
        time.sleep(0.05)
    for command in (
        ("link", "add", node.LINK, "type", "veth", "peer", "name", "out", "netns", children[0]),
        ("address", "add", f"{node.OUTSIDE}/30", "dev", node.LINK),
        ("link", "set", node.LINK, "up"),
    ):
        subprocess.run(["ip", *command], check=True)


def _controllers() -> list[Path]:
    """The roots of the cgroup hierarchies: one for each controller, or the single one of version 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if path.is_dir() and not path.is_symlink()]


def _weigh(group: Path) -> None:
    """Let the pods together have as much of a busy CPU as many processes have: by default they count like one."""
    for name, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (group / name).exists():
            (group / name).write_text(str(one * WEIGHT))


def _wait_for_cgroups() -> None:
    """Remove the cgroups once the kernel has let their last processes go."""
    end = time.monotonic() + 20
    left = [controller / node.CGROUP for controller in _controllers() if (controller / node.CGROUP).is_dir()]
    while left and time.monotonic() < end:
        for root in left:
            for path in sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True):
                _rmdir(path)
            _rmdir(root)
        left = [root for root in left if root.is_dir()]
        if left:
            time.sleep(0.2)


def _rmdir(path: Path) -> None:
    with suppress(OSError):
        path.rmdir()


def _check_programs() -> None:
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        raise ClusterError("a node needs root on Linux; `make test` runs without")
    programs = {**PROGRAMS, "ipset": "ipset"} if kserve.chosen().policies else PROGRAMS
    missing = {package for program, package in programs.items() if shutil.which(program) is None}
    if not CNI.exists():
        missing.add("containernetworking-plugins")
    if not images.has_docker():
        missing |= {name for name in ("buildah", "debootstrap") if shutil.which(name) is None}
    if missing:
        raise ClusterError(f"programs are missing: apt-get install {' '.join(sorted(missing))}")
