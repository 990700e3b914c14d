"""Controllers as processes of this machine, their webhooks called by URL: nothing of cert-manager or a mesh is needed.

The manifests are those of the Go module that a manager is built from.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import tools
from cluster.api import ClusterApi
from cluster.processes import free_port, wait_for

CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOK_PATH = "/apis/admissionregistration.k8s.io/v1"
SERVED = "k8s-webhook-server/serving-certs"  # where controller-runtime looks below TMPDIR
Change = Callable[[dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class Served:
    """Where a manager's webhooks are.

    Attributes:
        url: without a path.
        certificate: PEM, that signs the server's: its own.
    """

    url: str
    certificate: str


def module_folder(lock: str, module: str) -> Path:
    """A Go module's folder in the module cache, at the version of a tool's lock."""
    folder = tools.LOCKS / lock
    version = re.search(rf"{re.escape(module)} (v\S+)", (folder / "go.mod").read_text())
    assert version is not None
    command = [str(tools._go(folder)), "mod", "download", "-json", f"{module}@{version[1]}"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return Path(json.loads(answer.stdout)["Dir"])


def apply_crd(plane: ClusterApi, file: Path) -> None:
    """Apply a CustomResourceDefinition."""
    text = file.read_bytes()
    found = re.search(rb"^  name: (\S+)$", text, re.MULTILINE)
    assert found is not None
    plane.apply(f"{CRD_PATH}/{found[1].decode()}", text)


def certify(plane: ClusterApi, name: str, address: str) -> tuple[Path, str]:
    """A folder for a manager's `TMPDIR`, with a certificate where its webhooks look for it; returns that one too."""
    scratch = plane.folder / name
    served = scratch / SERVED
    served.mkdir(parents=True)
    subject = ["-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}", "-days", "3650"]
    files = ["-keyout", str(served / "tls.key"), "-out", str(served / "tls.crt")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], check=True, capture_output=True
    )
    return scratch, (served / "tls.crt").read_text()


def start(
    plane: ClusterApi,
    name: str,
    arguments: Sequence[str],
    *,
    scratch: Path,
    namespace: str,
    probes: int,
    within: Sequence[str] = (),
) -> None:
    """Start a manager; returns once it says that it is ready.

    Args:
        plane: the API of a cluster that is up.
        name: the tool.
        arguments: its own.
        scratch: its `TMPDIR`.
        namespace: where it is to live.
        probes: the port of its probes.
        within: a command that runs it.
    """
    manager, log = plane.run(
        name, *within, "env", f"TMPDIR={scratch}", f"KUBECONFIG={plane.kubeconfig}", f"POD_NAMESPACE={namespace}",
        tools.ensure(name), *arguments,
    )  # fmt: skip

    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{probes}/readyz"):
                return True
        except OSError:
            return False

    wait_for(name, is_ready, manager, log)


def start_configured(
    plane: ClusterApi,
    name: str,
    address: str,
    api: str,
    certificates: str,
    more: Mapping[str, Any] | None = None,
    *,
    metrics_certificate: str = "",
) -> Served:
    """Start a manager that is configured by a file.

    Args:
        plane: the API of a cluster that is up.
        name: the tool, without `-manager`.
        address: by which the API server reaches this machine.
        api: of the file: group and version.
        certificates: its field that would have the manager make its own.
        more: of its fields.
        metrics_certificate: the folder where it looks for one, whatever it was told; it sees an /etc of its own then.
            Such a manager (Kueue) is told where its webhooks' is, too; Trainer 2.1 refuses to be.
    """
    scratch, certificate = certify(plane, name, address)
    webhooks, probes = ports(2)
    webhook_folder = {"certDir": str(scratch / SERVED)} if metrics_certificate else {}
    settings = {
        "apiVersion": api,
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{probes}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"port": webhooks, "host": "", **webhook_folder},  # Trainer 2.1 does not start without a host
        "leaderElection": {"leaderElect": False},
        certificates: {"enable": False},
        **(more or {}),
    }
    file = scratch / "config.yaml"
    file.write_text(yaml.safe_dump(settings))
    start(
        plane,
        f"{name}-manager",
        [f"--config={file}"],
        scratch=scratch,
        namespace=f"{name}-system",
        probes=probes,
        within=_with_own_etc(metrics_certificate, scratch / SERVED) if metrics_certificate else (),
    )
    return Served(f"https://{address}:{webhooks}", certificate)


def _with_own_etc(path: str, folder: Path) -> list[str]:
    """A command that runs another one with an /etc that has nothing but a link; it needs no root."""
    script = 'mount -t tmpfs none /etc; mkdir -p "$(dirname "$0")"; ln -s "$1" "$0"; shift; exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-ec", script, path, str(folder)]


def ports(count: int) -> list[int]:
    """Ports that nobody listens on, no two the same."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)


def install_webhooks(
    plane: ClusterApi, file: Path, prefix: str, served: Served, change: Change = lambda hook: hook
) -> None:
    """Apply the webhook configurations of a module, by URL.

    Args:
        plane: the API of a cluster that is up.
        file: the module's manifest.
        prefix: begins their names, which several modules share.
        served: where they are.
        change: makes of a webhook what it shall be; None: it is left out.
    """
    text = re.sub(r"\$\((\w+)\)", r"\1", file.read_text())
    for document in filter(None, yaml.safe_load_all(text)):
        document["webhooks"] = [hook for one in document["webhooks"] if (hook := change(one)) is not None]
        for hook in document["webhooks"]:
            path = hook["clientConfig"].pop("service")["path"]
            hook["clientConfig"] |= {
                "url": f"{served.url}{path}",
                "caBundle": base64.b64encode(served.certificate.encode()).decode(),
            }
            hook["admissionReviewVersions"] = ["v1", "v1beta1"]
        plural = document["kind"].lower() + "s"
        document["metadata"].pop("creationTimestamp", None)
        document["metadata"]["name"] = f"{prefix}{document['metadata']['name']}"
        plane.apply(f"{HOOK_PATH}/{plural}/{document['metadata']['name']}", document)


def load(file: Path) -> dict[str, Any]:
    """A manifest of one document."""
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


def named(api: str, kind: str, name: str) -> dict[str, Any]:
    """An object that has a name and nothing else."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}}
