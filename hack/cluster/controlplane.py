"""A real control plane without a node and without root: etcd, kube-apiserver, kube-controller-manager.

    with ControlPlane(folder) as plane:
        ...  # plane.kubeconfig

Binaries come from `hack/tools.py`; where KUBEBUILDER_ASSETS names a folder, etcd and kube-apiserver are taken from
there. Everything else (data, certificates, logs) is in the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tools
from cluster.processes import ClusterError, free_port, start, stop, tail, wait_for

ADMIN_TOKEN = "admin"


def binary(name: str) -> Path:
    """A control plane's binary."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (given := Path(assets) / name).exists():
        return given
    return tools.ensure(name)


@dataclass
class ControlPlane:
    """A control plane, up inside of a `with` block.

    Attributes:
        folder: for all its files; emptied first.
        address: where the API server listens.
        services: addresses of Services.
        flags: more flags by component.
        users: more users, as (token, name, group).
    """

    folder: Path
    address: str = "127.0.0.1"
    services: str = "10.96.0.0/16"
    flags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    users: Sequence[tuple[str, str, str]] = ()
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = free_port(self.address)

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"https://{self.address}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """Of a user who may do everything."""
        return self.folder / "kubeconfig"

    @property
    def ca(self) -> Path:
        """The certificate that signs the API server's: its own."""
        return self.folder / "certificates" / "apiserver.crt"

    def __enter__(self) -> Self:
        try:
            self._up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """End all processes, the last that was started first."""
        while self._processes:
            stop(self._processes.pop())

    def kubeconfig_for(self, token: str, file: Path) -> Path:
        """Write a kubeconfig for the bearer of a token."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tiltyard", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "tiltyard", "context": {"cluster": "tiltyard", "user": "user"}}],
            "current-context": "tiltyard",
        }
        file.write_text(json.dumps(document, indent=2))
        return file

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """One call of the API as its administrator; `bytes` go as they are. Returns the answer's JSON, or its text.

        Raises:
            urllib.error.HTTPError: it was refused.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": content}
        call = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(call, context=ssl.create_default_context(cafile=str(self.ca))) as answer:
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def apply(self, path: str, body: Any) -> Any:
        """Server-side apply of an object, or of a YAML document's bytes."""
        return self.request(
            "PATCH", f"{path}?fieldManager=test-cluster&force=true", body, "application/apply-patch+yaml"
        )

    def wait_for_resource(self, group: str, plural: str) -> None:
        """Wait until a custom resource is served: clients find it by discovery from then on."""

        def served() -> bool:
            try:
                return any(one["name"] == plural for one in self.request("GET", f"/apis/{group}")["resources"])
            except urllib.error.HTTPError:
                return False

        server, log = self._processes[1], self.folder / "logs" / "kube-apiserver.log"
        wait_for(f"the API of {plural}", served, server, log)

    def run(self, name: str, *command: str | Path) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a process that ends with the control plane; returns it and its log."""
        log = self.folder / "logs" / f"{name}.log"
        process = start([*command, *self.flags.get(name, ())], log)
        self._processes.append(process)
        self._names[process.pid] = name
        return process, log

    def check(self) -> None:
        """See that everything that was started still runs.

        Raises:
            ClusterError: something has ended.
        """
        for process in self._processes:
            if process.poll() is not None:
                name = self._names[process.pid]
                log = self.folder / "logs" / f"{name}.log"
                raise ClusterError(f"{name} ended with {process.returncode}; its log is {log}:\n{tail(log)}")

    def _up(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "certificates").mkdir(parents=True)
        key, public = self.folder / "service-accounts.key", self.folder / "service-accounts.pub"
        for command in (("genrsa", "-out", key, "2048"), ("rsa", "-in", key, "-pubout", "-out", public)):
            subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
        tokens = self.folder / "tokens.csv"
        users = [(ADMIN_TOKEN, "admin", "system:masters"), *self.users]
        tokens.write_text("".join(f'{token},{name},{name},"{group}"\n' for token, name, group in users))
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.run(
            "etcd", binary("etcd"), "--data-dir", self.folder / "etcd", "--unsafe-no-fsync",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        )  # fmt: skip
        server, log = self.run(
            "kube-apiserver", binary("kube-apiserver"), f"--etcd-servers={client}",
            f"--bind-address={self.address}", f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={key}", f"--service-cluster-ip-range={self.services}",
            f"--token-auth-file={tokens}", "--authorization-mode=Node,RBAC",
        )  # fmt: skip
        wait_for("kube-apiserver", self._ready, server, log)
        self.kubeconfig_for(ADMIN_TOKEN, self.kubeconfig)
        self.run(
            "kube-controller-manager", binary("kube-controller-manager"), f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={key}", f"--root-ca-file={self.ca}", "--leader-elect=false",
            "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=1000", "--concurrent-job-syncs=20",
        )  # fmt: skip
        self._wait_for_default_account(server, log)

    def _ready(self) -> bool:
        try:
            return bool(self.request("GET", "/readyz") == "ok")
        except OSError:
            return False

    def _wait_for_default_account(self, server: subprocess.Popen[bytes], log: Path) -> None:
        """Pods of the namespace `default` can be made once its service account is there."""

        def there() -> bool:
            try:
                self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
            except OSError:
                return False
            return True

        wait_for("kube-controller-manager", there, server, log)


def main() -> None:
    """Up until Ctrl-C, for a look around."""
    with ControlPlane(Path(os.environ.get("TMPDIR", "/tmp")) / f"tiltyard-{os.getpid()}") as plane:
        print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
