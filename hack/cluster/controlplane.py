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
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import tools
from cluster.api import ClusterApi
from cluster.processes import free_port, wait_for

ADMIN_TOKEN = "admin"


def binary(name: str) -> Path:
    """A control plane's binary."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (given := Path(assets) / name).exists():
        return given
    return tools.ensure(name)


class ControlPlane(ClusterApi):
    """A control plane, up inside of a `with` block.

    Args:
        folder: for all its files; emptied first.
        address: where the API server listens.
        services: addresses of Services.
        flags: more flags by component.
        users: more users, as (token, name, group).
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        services: str = "10.96.0.0/16",
        flags: Mapping[str, Sequence[str]] | None = None,
        users: Sequence[tuple[str, str, str]] = (),
    ) -> None:
        super().__init__(folder, flags)
        self.address, self.services, self.users = address, services, users
        self.port = free_port(address)

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def ca(self) -> Path:
        """The certificate that signs the API server's: its own."""
        return self.folder / "certificates" / "apiserver.crt"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {ADMIN_TOKEN}"}

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

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
