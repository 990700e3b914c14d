"""A real S3 server on 127.0.0.1: versitygw over a folder, built by `hack/tools.py`."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config

from cluster.processes import die_with_parent, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
_HEALTH = "/healthz"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0


def build() -> Path:
    """The path of the server's binary, built first where the cache does not have it (some minutes, once).

    Call it before the first test, not within one: a build takes longer than a test may.
    """
    command = [sys.executable, str(REPOSITORY / "hack" / "tools.py"), "versitygw"]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


class S3Server:
    """One server: its root folder, its port and its credentials stay the same over kills and restarts.

    Args:
        folder: an empty folder of its own; the log and the objects go there.
        access_key: of the only account.
        secret_key: of the only account.
        read_only: refuse all writes.
        metadata: keep objects' metadata; a server without it does not honour conditional writes.
        domain: names buckets as hosts too: `bucket.DOMAIN`.
        tls: serve https, with a certificate that only `ca_bundle` vouches for (made with the `openssl` command).
        port: a certain one; None: any.
    """

    def __init__(
        self,
        folder: Path,
        *,
        access_key: str = "tiltyard-test",
        secret_key: str = "tiltyard-test-secret",
        read_only: bool = False,
        metadata: bool = True,
        domain: str | None = None,
        tls: bool = False,
        port: int | None = None,
    ) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.port = port or free_port()
        self.objects = folder / "objects"
        self.objects.mkdir(parents=True)
        self.ca_bundle = folder / "certificate.pem" if tls else None
        self._log = folder / "server.log"
        self._command = ["--port", f"127.0.0.1:{self.port}", "--health", _HEALTH, "--keep-alive", "--quiet"]
        if domain:
            self._command += ["--virtual-domain", domain]
        if read_only:
            self._command.append("--readonly")
        if self.ca_bundle:
            key = folder / "key.pem"
            _make_certificate(self.ca_bundle, key)
            self._command += ["--cert", str(self.ca_bundle), "--key", str(key)]
        self._command.append("posix")
        if not metadata:
            self._command.append("--nometa")
        elif not _has_attributes(folder):
            (folder / "metadata").mkdir()
            self._command += ["--sidecar", str(folder / "metadata")]
        self._command.append(str(self.objects))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.ca_bundle else 'http'}://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment of a client: the credentials and the region, and no other source of them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def start(self) -> None:
        """Start, and wait until it answers."""
        assert self._process is None, "the server runs already"
        environment = {**os.environ, "ROOT_ACCESS_KEY_ID": self.access_key, "ROOT_SECRET_ACCESS_KEY": self.secret_key}
        # A test run that is cut off leaves nothing. The kernel means the thread, and others end before the test.
        lasting = threading.current_thread() is threading.main_thread()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(build()), *self._command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent() if lasting else None,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """End it as an administrator would; nothing where it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it by SIGKILL: connections are cut, nothing is flushed."""
        assert self._process is not None, "the server does not run"
        self._process.kill()
        self._process.wait()
        self._process = None

    def create_bucket(self, name: str) -> None:
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
            verify=str(self.ca_bundle) if self.ca_bundle else None,
        )
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()

    def _wait_until_ready(self) -> None:
        context = ssl.create_default_context(cafile=self.ca_bundle) if self.ca_bundle else None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.endpoint}{_HEALTH}", timeout=1, context=context):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"the S3 server did not start:\n{self._log.read_text(errors='replace')[-2000:]}")


@contextmanager
def s3_server(
    folder: Path,
    *buckets: str,
    read_only: bool = False,
    metadata: bool = True,
    domain: str | None = None,
    tls: bool = False,
    port: int | None = None,
    **account: str,
) -> Iterator[S3Server]:
    """A server that runs for the block, with these buckets; the options are those of `S3Server`."""
    server = S3Server(folder, read_only=read_only, metadata=metadata, domain=domain, tls=tls, port=port, **account)
    for bucket in buckets:  # a bucket is a folder; made so, a read-only server can have some too
        (server.objects / bucket).mkdir()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _make_certificate(certificate: Path, key: Path) -> None:
    """A certificate of 127.0.0.1, signed by itself."""
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)


def _has_attributes(folder: Path) -> bool:
    """Whether the file system keeps extended attributes, where the server would store metadata."""
    try:
        os.setxattr(folder, "user.tiltyard", b"1")
    except OSError:
        return False
    return True
