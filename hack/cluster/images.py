"""The images of the Dockerfile as docker archives, built where no registry is to be had.

    PYTHONPATH=hack python -m cluster.images worker operator     # prints their paths

With a Docker engine its `docker build` is used. Without, buildah; where the Dockerfile's base image cannot be pulled,
it is made by debootstrap under the same name. Archives are cached outside of the tree, named by a digest of all that
goes into them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import tools

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("operator", "worker")
LOCKS = tuple(f"requirements/{name}.txt" for name in ("build", "operator", "worker"))
SOURCES = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", *LOCKS)
FOLDERS = ("operator/tiltyard", "jobs/tiltyard_jobs")


def tag(target: str) -> str:
    """The name by which the archive's image is imported."""
    return f"docker.io/tiltyard/{target}:dev"


def cache() -> Path:
    """Where archives, and buildah's layers, are kept."""
    folder = tools.cache_root().parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ensure(target: str) -> Path:
    """The archive of one target, built first where it is not there."""
    digest = hashlib.sha256()
    for file in _inputs():
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    archive = cache() / f"{target}-{digest.hexdigest()[:16]}.tar"
    if not archive.exists():
        for old in cache().glob(f"{target}-*.tar"):
            old.unlink()
        staged = archive.with_suffix(".next")
        staged.unlink(missing_ok=True)
        (_build_with_docker if has_docker() else _build_with_buildah)(target, staged)
        staged.rename(archive)
    return archive


def _inputs() -> Iterator[Path]:
    yield from (ROOT / name for name in SOURCES)
    for folder in FOLDERS:
        yield from sorted(file for file in (ROOT / folder).rglob("*") if file.is_file() and file.suffix != ".pyc")


def has_docker() -> bool:
    """Whether a Docker engine answers."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def _build_with_docker(target: str, archive: Path) -> None:
    _run("docker", "build", "--target", target, "--tag", tag(target), str(ROOT))
    _run("docker", "save", "--output", str(archive), tag(target))


def _build_with_buildah(target: str, archive: Path) -> None:
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    if _buildah("inspect", "--type", "image", base[1], quiet=True) != 0:
        _make_base(base[1])
    # What the build needs of this machine to fetch packages is mounted, so that nothing of it stays in the image.
    mounts = [f"--volume={path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
    options = ["--isolation", "chroot", "--network", "host", "--pull-never", "--layers", "--timestamp", "0", *mounts]
    if _buildah("build", *options, "--target", target, "--tag", tag(target), str(ROOT)) != 0:
        raise SystemExit(f"the image {target} cannot be built; the message is above")
    if _buildah("push", tag(target), f"docker-archive:{archive}:{tag(target)}") != 0:
        raise SystemExit(f"the image {target} cannot be written to {archive}")


def _make_base(name: str) -> None:
    """The base image, from the packages that it is made of."""
    suite = re.search(r":(\w+)", name)
    assert suite is not None
    root = cache() / "base"
    shutil.rmtree(root, ignore_errors=True)
    sources = "\n".join(file.read_text() for file in Path("/etc/apt").rglob("*.sources")) + "\n"
    sources += "\n".join(file.read_text() for file in Path("/etc/apt").rglob("*.list"))
    mirror = re.search(r"^URIs:\s*(\S+)|^deb\s+(?:\[[^]]*\]\s+)?(\S+)", sources, re.MULTILINE)
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite[1], str(root)]
    _run(*command, *([mirror[1] or mirror[2]] if mirror else []))
    archive = cache() / "base.tar"
    _run("tar", "-C", str(root), "-cf", str(archive), ".")
    shutil.rmtree(root)
    container = subprocess.run([*_command(), "from", "scratch"], stdout=subprocess.PIPE, text=True, check=True).stdout
    container = container.strip()
    for step in (["add", container, str(archive), "/"], ["commit", container, name], ["rm", container]):
        if _buildah(*step) != 0:
            raise SystemExit(f"the base image {name} cannot be made")
    archive.unlink()


def _command() -> list[str]:
    storage = cache() / "buildah"
    return ["buildah", "--root", str(storage / "storage"), "--runroot", str(storage / "run")]


def _buildah(*arguments: str, quiet: bool = False) -> int:
    out = subprocess.DEVNULL if quiet else sys.stderr
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    return subprocess.run([*_command(), *arguments], stdout=out, stderr=out, env=environment, check=False).returncode


def _run(*command: str) -> None:
    subprocess.run(command, stdout=sys.stderr, check=True)


def main() -> int:
    """Print one path for each target named."""
    parser = argparse.ArgumentParser(description="Build the project's images and print the paths of their archives.")
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET", help=" or ".join(TARGETS))
    for target in parser.parse_args().targets:
        print(ensure(target), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
