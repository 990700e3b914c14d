"""A cluster for development and for the end-to-end tests: `PYTHONPATH=hack python -m cluster.up up | down | status`.

Needs root and Linux, and Debian's containerd, runc, containernetworking-plugins, iptables, conntrack, iproute2; to
build the images buildah and debootstrap, or Docker. All else is built by `hack/tools.py`. See `node.py` for what runs,
and why nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import envs
import tools
from cluster import images, node
from cluster.processes import ClusterError, tail

PROGRAMS = {
    "containerd": "containerd", "ctr": "containerd", "runc": "runc", "iptables": "iptables", "conntrack": "conntrack",
    "ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux",
}  # fmt: skip
CNI = Path("/usr/lib/cni/bridge")
TOOLS = (
    "coredns", "etcd", "kserve-manager", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler",
    "kubectl", "kubelet", "pause", "versitygw",
)  # fmt: skip
CGROUPS = Path("/sys/fs/cgroup")
START_SECONDS = 240
_holders: list[subprocess.Popen[bytes]] = []  # of this process; forgotten ones would be warned of


def folder() -> Path:
    """Where the cluster keeps all its files."""
    if chosen := os.environ.get("TILTYARD_CLUSTER"):
        return Path(chosen).absolute()
    return tools.cache_root().parent / "cluster"


def kubeconfig() -> Path:
    """Of the cluster's administrator."""
    return folder() / "plane" / "kubeconfig"


def pid() -> int | None:
    """The process that holds the cluster; None: it is down."""
    try:
        number, start = (folder() / "pid").read_text().split()
        return int(number) if _start_time(int(number)) == start else None
    except (OSError, ValueError):
        return None


def up(*, vllm: bool) -> None:
    """Start the cluster, and wait until it can run pods. Callers at the same time wait for the first of them.

    Raises:
        ClusterError: something is missing, or does not come up.
    """
    folder().parent.mkdir(parents=True, exist_ok=True)
    with envs.exclusive(folder().with_name(".cluster.lock")):
        if pid() is None:
            _up(vllm=vllm)


def prepare(*, vllm: bool) -> tuple[list[str], str | None]:
    """Build all that the cluster is made of; returns the images' archives, and vLLM's interpreter.

    Raises:
        ClusterError: a program is missing.
    """
    _check_programs()
    for name in TOOLS:
        tools.ensure(name)
    return [str(images.ensure(target)) for target in images.TARGETS], str(envs.ensure("vllm")) if vllm else None


def _up(*, vllm: bool) -> None:
    down()
    archives, python = prepare(vllm=vllm)
    home = folder()
    home.mkdir(parents=True)
    (home / "settings.json").write_text(json.dumps({"images": archives, "vllm": python}))
    for controller in _controllers():
        (controller / node.CGROUP).mkdir(exist_ok=True)
    for place in node.MADE:
        Path(place).mkdir(exist_ok=True)
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with (home / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, sys.executable, str(Path(node.__file__)), str(home)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            preexec_fn=_record,
        )  # fmt: skip
    _holders.append(process)
    try:
        _connect(process)
        _wait_until_ready(process, home)
    except BaseException:
        down()
        raise


def _record() -> None:
    """Say who holds the cluster: its first act, so that no moment is left in which nobody could end it."""
    (folder() / "pid").write_text(f"{os.getpid()} {_start_time(os.getpid())}")


def down() -> None:
    """End the cluster and remove all that is left of it. One that is down already is no error."""
    if (running := pid()) is not None:
        os.kill(running, signal.SIGKILL)  # and the kernel its namespaces' processes
        while _start_time(running) is not None and not _is_zombie(running):
            time.sleep(0.05)
    while _holders:
        _holders.pop().wait()
    _wait_for_cgroups()
    subprocess.run(["ip", "link", "delete", node.LINK], capture_output=True, check=False)
    for place in node.MADE:
        _rmdir(Path(place))
    if (folder() / "settings.json").exists():  # never a folder that somebody else has named
        for attempt in range(20):
            shutil.rmtree(folder(), ignore_errors=attempt < 19)
            if not folder().exists():
                break
            time.sleep(0.2)


def _connect(process: subprocess.Popen[bytes]) -> None:
    """Lay the way into the cluster's network."""
    end = time.monotonic() + 20
    while not (children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()):
        if process.poll() is not None or time.monotonic() > end:
            raise ClusterError(f"the namespaces cannot be made; see {folder() / 'node.log'}")
        time.sleep(0.05)
    for command in (
        ("link", "add", node.LINK, "type", "veth", "peer", "name", "out", "netns", children[0]),
        ("address", "add", f"{node.OUTSIDE}/30", "dev", node.LINK),
        ("link", "set", node.LINK, "up"),
    ):
        subprocess.run(["ip", *command], check=True)


def _wait_until_ready(process: subprocess.Popen[bytes], home: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not (home / "ready").exists():
        if process.poll() is not None:
            raise ClusterError(f"the cluster did not come up:\n{tail(home / 'node.log')}")
        if time.monotonic() > end:
            raise ClusterError(f"the cluster is not up after {START_SECONDS} s:\n{tail(home / 'node.log')}")
        time.sleep(0.1)


def _controllers() -> list[Path]:
    """The roots of the cgroup hierarchies: one for each controller, or the single one of version 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if path.is_dir() and not path.is_symlink()]


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


def _start_time(number: int) -> str | None:
    """When a process started, in the kernel's ticks; None: there is none."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _is_zombie(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _check_programs() -> None:
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        raise ClusterError("a node needs root on Linux; `make test` runs without")
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if not CNI.exists():
        missing.add("containernetworking-plugins")
    if not images.has_docker():
        missing |= {name for name in ("buildah", "debootstrap") if shutil.which(name) is None}
    if missing:
        raise ClusterError(f"programs are missing: apt-get install {' '.join(sorted(missing))}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="A cluster with one real node, for development and tests.")
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument("--vllm", action="store_true", help="with a runtime for vLLM on the CPU")
    options = parser.parse_args()
    try:
        if options.action == "up":
            began = time.monotonic()
            up(vllm=options.vllm)
            print(f"up after {time.monotonic() - began:.0f} s", file=sys.stderr)
        elif options.action == "down":
            down()
    except (ClusterError, envs.SetupError, tools.ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if pid() is None:
        print("the cluster is down")
        return 0
    print(f"export KUBECONFIG={kubeconfig()}")
    print(f"# S3: http://{node.ADDRESS}:{node.S3_PORT}, bucket tournaments, keys {' / '.join(node.S3_KEYS.values())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
