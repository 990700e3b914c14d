"""A whole cluster with one real node, inside of namespaces of its own: `make cluster-up` starts it.

This is process 1 of a PID, a mount and a network namespace. When it ends, however it ends, the kernel ends all
processes of the cluster, and with the last of them go its mounts, interfaces, addresses and packet rules; what is left
is files and cgroups, which `make cluster-down` removes. One veth pair leads out: the machine reaches the API server and
the S3 server at `ADDRESS`, and pods reach them there too.

The parts: etcd, kube-apiserver, kube-controller-manager, kube-scheduler; containerd with runc, a bridge, kubelet,
kube-proxy, kube-router where NetworkPolicies are enforced; CoreDNS; the controllers of KServe, Kubeflow Trainer and
JobSet; versitygw.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import NoReturn

import yaml

import tools
from cluster import images, kserve, kubeflow, s3
from cluster.controlplane import ADMIN_TOKEN, ControlPlane
from cluster.processes import ClusterError, wait_for
from cluster.vllm import runtime

OUTSIDE, ADDRESS = "10.243.0.1", "10.243.0.2"  # the two ends of the way out
LINK = "tiltyard0"  # the end that stays outside
PODS, SERVICES, BRIDGE = "10.244.0.0/24", "10.96.0.0/16", "10.244.0.1"
NODE = "tiltyard"
CGROUP = "tiltyard"
# Where the node writes at fixed places; `machine.py` makes the last two where they are missing, and removes them again.
HIDDEN = ("/run", "/var/log", "/etc/cni", "/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/kubelet")
MADE = HIDDEN[-2:]
# Settings of the whole kernel on which kubelet insists. It is shown what it wants to see; the kernel keeps its own.
KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


class Node:
    """The cluster, up after `start`.

    Args:
        folder: for all its files.
        archives: of the images to import.
        vllm: an interpreter with vLLM, whose environment the runtime `kserve-vllmserver` mounts; None: no such runtime.
    """

    def __init__(self, folder: Path, archives: list[Path], vllm: Path | None) -> None:
        self.folder, self.archives, self.vllm = folder, archives, vllm
        self.socket = folder / "containerd" / "containerd.sock"
        self.plane = ControlPlane(
            folder / "plane",
            address=ADDRESS,
            services=SERVICES,
            users=(("node", f"system:node:{NODE}", "system:nodes"),),
            flags={"kube-apiserver": ["--allow-privileged", "--kubelet-preferred-address-types=InternalIP"]},
        )

    def start(self) -> None:
        """Start all parts in their order."""
        _prepare_namespaces(self.folder / "kernel")
        self.plane.__enter__()
        for part in (self._containerd, self._dns, self._scheduler, self._kubelet, self._proxy, self._s3):
            part()
        kserve.install(self.plane, vllm_image=images.tag("worker"))
        kubeflow.install(self.plane)
        if self.vllm is not None:
            kserve.install_runtime(self.plane, runtime(self.vllm))
        for archive in self.archives:
            self._ctr("images", "import", str(archive))
        # KServe asks for the sibling `-cpu` of a runtime's image where a model asks for no GPU.
        self._ctr("images", "tag", "--force", images.tag("worker"), images.cpu_tag("worker"))
        self._wait_for_node()
        if kserve.chosen().policies:
            self._policies()  # it asks for the node first
        self.plane.check()

    def _containerd(self) -> None:
        home = self.folder / "containerd"
        for name in ("root", "state", "cni"):
            (home / name).mkdir(parents=True, exist_ok=True)
        network = {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "pods",
                    "isGateway": True,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(home / "addresses"),
                        "ranges": [[{"subnet": PODS, "gateway": BRIDGE}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }
        (home / "cni" / "10-pods.conflist").write_text(json.dumps(network, indent=2))
        config = home / "config.toml"
        config.write_text(f"""\
version = 2
root = "{home / "root"}"
state = "{home / "state"}"
[grpc]
address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/tiltyard/pause:dev"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{home / "cni"}"
""")
        containerd, log = self.plane.run("containerd", "containerd", "--config", config)
        wait_for("containerd", self.socket.exists, containerd, log)
        self._ctr("images", "import", str(self._pause_image()))

    def _pause_image(self) -> Path:
        """An image of one static binary, written by hand."""

        def layer() -> bytes:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                entry = tarfile.TarInfo("pause")
                data = tools.ensure("pause").read_bytes()
                entry.size, entry.mode = len(data), 0o755
                tar.addfile(entry, io.BytesIO(data))
            return out.getvalue()

        data = layer()
        digest = hashlib.sha256(data).hexdigest()
        config = json.dumps(
            {
                "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
                "os": "linux",
                "config": {"Entrypoint": ["/pause"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            }
        ).encode()
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        tags = ["docker.io/tiltyard/pause:dev"]
        manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": ["layer.tar"]}]).encode()
        file = self.folder / "pause.tar"
        with tarfile.open(file, "w") as tar:
            for member, content in (("layer.tar", data), (name, config), ("manifest.json", manifest)):
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return file

    def _dns(self) -> None:
        corefile = self.folder / "Corefile"
        corefile.write_text(f"""\
.:53 {{
    bind {ADDRESS}
    errors
    ready {ADDRESS}:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {self.plane.kubeconfig}
        ttl 1
    }}
}}
""")
        self.plane.run("coredns", tools.ensure("coredns"), "-conf", corefile)

    def _scheduler(self) -> None:
        config = f"--kubeconfig={self.plane.kubeconfig}"
        self.plane.run("kube-scheduler", tools.ensure("kube-scheduler"), config, "--leader-elect=false")

    def _kubelet(self) -> None:
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "readOnlyPort": 0,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{CGROUP}",
            "failCgroupV1": False,
            "enforceNodeAllocatable": [],
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageMinimumGCAge": "24h",
            "clusterDNS": [ADDRESS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "podLogsDir": str(self.folder / "pod-logs"),
            "resolvConf": str(self.folder / "resolv.conf"),
            "failSwapOn": False,
            "serializeImagePulls": False,
            "maxPods": 200,
        }
        (self.folder / "resolv.conf").write_text("")
        file = self.folder / "kubelet.yaml"
        file.write_text(yaml.safe_dump(config))
        kubeconfig = self.plane.kubeconfig_for("node", self.folder / "kubelet.kubeconfig")
        self.plane.run(
            "kubelet", tools.ensure("kubelet"), f"--config={file}", f"--kubeconfig={kubeconfig}",
            f"--hostname-override={NODE}", f"--node-ip={ADDRESS}", f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'kubelet-certificates'}",
        )  # fmt: skip

    def _proxy(self) -> None:
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": PODS,
            "hostnameOverride": NODE,
            "clientConnection": {"kubeconfig": str(self.plane.kubeconfig)},
            "conntrack": {"maxPerCore": 0},
            "iptables": {"masqueradeAll": True, "minSyncPeriod": "0s"},
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
        }
        file = self.folder / "kube-proxy.yaml"
        file.write_text(yaml.safe_dump(config))
        self.plane.run("kube-proxy", tools.ensure("kube-proxy"), f"--config={file}")

    def _policies(self) -> None:
        """Of kube-router the part that turns NetworkPolicies into packet rules."""
        self.plane.run(
            "kube-router", tools.ensure("kube-router"), f"--kubeconfig={self.plane.kubeconfig}",
            f"--hostname-override={NODE}", "--run-firewall=true", "--run-router=false", "--run-service-proxy=false",
            f"--service-cluster-ip-range={SERVICES}", "--metrics-port=0",
        )  # fmt: skip

    def _s3(self) -> None:
        self._s3_server = s3.serve(self.plane, ADDRESS)

    def keep(self) -> NoReturn:
        """Stay as process 1."""
        s3.keep(self.plane, ADDRESS, self._s3_server)

    def _ctr(self, *command: str) -> None:
        subprocess.run(
            ["ctr", "-a", str(self.socket), "-n", "k8s.io", *command], check=True, stdout=sys.stderr, stderr=sys.stderr
        )

    def _wait_for_node(self) -> None:
        end = time.monotonic() + 60
        while True:
            nodes = self.plane.request("GET", "/api/v1/nodes")["items"]
            ready = [
                c["status"] for node in nodes for c in node["status"].get("conditions", []) if c["type"] == "Ready"
            ]
            if ready == ["True"]:
                return
            if time.monotonic() > end:
                raise ClusterError(
                    f"the node is not ready after a minute; logs are in {self.folder / 'plane' / 'logs'}"
                )
            time.sleep(0.2)


def _prepare_namespaces(kernel: Path) -> None:
    """Addresses, and private places where the node writes at fixed paths."""
    end = time.monotonic() + 30
    while not _has_link("out"):
        if time.monotonic() > end:
            raise ClusterError("the interface to the machine did not come")
        time.sleep(0.05)
    _ip("link", "set", "lo", "up")
    _ip("address", "add", f"{ADDRESS}/30", "dev", "out")
    _ip("link", "set", "out", "up")
    _ip("route", "add", "default", "via", OUTSIDE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for place in HIDDEN:
        if Path(place).is_dir():
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    kernel.mkdir()
    for name, value in KERNEL.items():
        shown = kernel / name.replace("/", "-")
        shown.write_text(value)
        subprocess.run(["mount", "--bind", shown, f"/proc/sys/{name}"], check=True)


def _has_link(name: str) -> bool:
    return subprocess.run(["ip", "link", "show", name], capture_output=True, check=False).returncode == 0


def _ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True)


def main() -> NoReturn:
    """Start everything named in the folder's `settings.json`, say so in `ready`, and stay."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    vllm = settings["vllm"] and Path(settings["vllm"])
    node = Node(folder, [Path(image) for image in settings["images"]], vllm)
    node.start()
    (folder / "ready").write_text(ADMIN_TOKEN)
    node.keep()


if __name__ == "__main__":
    main()
