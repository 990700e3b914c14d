"""A cluster made by kind, where Docker runs: KServe's and Trainer's managers and S3 are processes of this machine.

They listen at the gateway of kind's Docker network, where the API server and the pods reach them; that takes Docker on
Linux, not in a virtual machine. The process that holds them is `python -m cluster.kind`.
"""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import yaml

import envs
import tools
from cluster import holder, images, kserve, kubeflow, s3
from cluster.api import ClusterApi
from cluster.facts import Cluster
from cluster.processes import ClusterError
from cluster.vllm import runtime

MAKER, NAME = "kind", "tiltyard"
NODE = f"{NAME}-control-plane"
MACHINE = "/machine"
TOOLS = ("jobset-manager", "kubectl", "trainer-manager", "versitygw")


def is_possible() -> bool:
    """Whether kind is installed, and a Docker engine answers."""
    return shutil.which("kind") is not None and images.has_docker()


def prepare(*, vllm: bool) -> tuple[list[Path], Path | None]:
    """Build all that is put into the cluster; returns the images' archives, and vLLM's interpreter.

    Raises:
        ClusterError: kind or Docker is missing.
    """
    if not is_possible():
        raise ClusterError("kind, or a Docker engine that answers, is missing; TILTYARD_CLUSTER=node needs neither")
    for name in (*TOOLS, *kserve.chosen().tools):
        tools.ensure(name)
    return [images.ensure(target) for target in images.IN_CLUSTER], envs.ensure("vllm") if vllm else None


def up(*, vllm: bool) -> None:
    """Make the cluster, and wait until it can run pods.

    Raises:
        ClusterError: something is missing, or does not come up.
    """
    down()
    archives, python = prepare(vllm=vllm)
    home = holder.folder()
    holder.claim(MAKER, vllm=python and str(python))
    mounts = [{"hostPath": "/", "containerPath": MACHINE, "readOnly": True}]
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraMounts": mounts}],
    }
    try:
        _run("kind", "create", "cluster", f"--name={NAME}", "--config=-", f"--kubeconfig={_kubeconfig()}",
             "--wait=120s", stdin=json.dumps(config))  # fmt: skip
        for archive in archives:
            _run("kind", "load", "image-archive", str(archive), f"--name={NAME}")
        # KServe asks for the sibling `-cpu` of a runtime's image where a model asks for no GPU.
        names = (images.tag("worker"), images.cpu_tag("worker"))
        _run("docker", "exec", NODE, "ctr", "--namespace=k8s.io", "images", "tag", "--force", *names)
        holder.wait_until_ready(holder.start([sys.executable, "-m", "cluster.kind", str(home)]))
    except BaseException:
        down()
        raise


def down() -> None:
    """End the processes and delete the cluster. One that is down already is no error."""
    if holder.is_ours(MAKER):
        holder.end()
        _run("kind", "delete", "cluster", f"--name={NAME}", f"--kubeconfig={_kubeconfig()}")
        shutil.rmtree(holder.folder())


def find() -> Cluster | None:
    """The cluster; None: it is down."""
    if not holder.is_ours(MAKER) or holder.pid() is None:
        return None
    return Cluster(
        kubeconfig=_kubeconfig(),
        endpoint=f"http://{_gateway()}:{s3.PORT}",
        bucket=s3.BUCKET,
        keys=s3.KEYS,
        images={target: images.tag(target) for target in images.IN_CLUSTER},
        machine=MACHINE,
    )


def _kubeconfig() -> Path:
    return holder.folder() / "kubeconfig"


def _gateway() -> str:
    """This machine's address in kind's network."""
    networks = json.loads(_run("docker", "network", "inspect", "kind"))
    configs = [one for network in networks for one in network["IPAM"]["Config"]]
    found = [one["Gateway"] for one in configs if "." in one.get("Gateway", "")]
    if not found:
        raise ClusterError("kind's Docker network has no IPv4 gateway")
    return str(found[0])


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


class _Api(ClusterApi):
    """The API of kind's cluster: its administrator has a certificate."""

    @property
    def kubeconfig(self) -> Path:
        return _kubeconfig()

    @property
    def url(self) -> str:
        return str(self._document["clusters"][0]["cluster"]["server"])

    @cached_property
    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load(self.kubeconfig.read_text())
        return document

    def _context(self) -> ssl.SSLContext:
        user, cluster = self._document["users"][0]["user"], self._document["clusters"][0]["cluster"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        pair = self.folder / "administrator.pem"
        if not pair.exists():
            pair.touch(mode=0o600)
            pair.write_text(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        context.load_cert_chain(pair)
        return context


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def main() -> NoReturn:
    """Start KServe and the S3 server, say so in the file `ready`, and stay."""
    folder = Path(sys.argv[1])
    python = json.loads((folder / "settings.json").read_text())["vllm"]
    api, address = _Api(folder), _gateway()
    server = s3.serve(api, address)
    kserve.install(api, address=address, vllm_image=images.tag("worker"))
    kubeflow.install(api, address=address)
    if python is not None:
        kserve.install_runtime(api, runtime(Path(python), MACHINE))
    api.check()
    (folder / "ready").touch()
    s3.keep(api, address, server)


if __name__ == "__main__":
    main()
