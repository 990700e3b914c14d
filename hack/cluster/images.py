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

import envs
import tools

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("operator", "worker")
IN_CLUSTER = (*TARGETS, "python")  # a bare Debian with Python, for root: in tests it is somebody else's image
_LOCKS = ("build", "operator", "worker", "worker-full", "trainer", "lm-eval")
LOCKS = tuple(f"requirements/{name}.txt" for name in _LOCKS)
SOURCES = ("hack/cluster/images.py", "Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", *LOCKS)
FOLDERS = ("operator/tiltyard", "jobs/tiltyard_jobs")


def tag(target: str) -> str:
    """The name by which the archive's image is imported."""
    return f"docker.io/tiltyard/{target}:dev"


def cpu_tag(target: str) -> str:
    """The sibling of an image that KServe asks for where a runtime's model asks for no GPU."""
    return f"docker.io/tiltyard/{target}-cpu:dev"


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
    with envs.exclusive(cache() / ".lock"):  # of all targets: they share their base
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
        # Python may be writing its caches just now.
        files = (file for file in (ROOT / folder).rglob("*") if "__pycache__" not in file.parts)
        yield from sorted(file for file in files if file.is_file())


def has_docker() -> bool:
    """Whether a Docker engine answers."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def _build_with_docker(target: str, archive: Path) -> None:
    _run("docker", "build", *_secrets(), "--target", target, "--tag", tag(target), str(ROOT))
    _run("docker", "save", "--output", str(archive), tag(target))


def _build_with_buildah(target: str, archive: Path) -> None:
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    if _buildah("inspect", "--type", "image", base[1], quiet=True) != 0:
        _make_base(base[1])
    # How this machine fetches packages is lent to the build: nothing of it stays in the image.
    options = ["--isolation", "chroot", "--network", "host", "--pull-never", "--layers", "--timestamp", "0"]
    options.append("--force-rm")  # what a failed build has mounted too
    options.extend(_secrets())
    options.append(f"--volume={_sources()}:/etc/apt/sources.list:ro")
    if _buildah("build", *options, "--target", target, "--tag", tag(target), str(ROOT)) != 0:
        raise SystemExit(f"the image {target} cannot be built; the message is above")
    if _buildah("push", tag(target), f"docker-archive:{archive}:{tag(target)}") != 0:
        raise SystemExit(f"the image {target} cannot be written to {archive}")


def _make_base(name: str) -> None:
    """The base image, from the packages that it is made of."""
    suite = re.search(r":(\w+)", name)
    assert suite is not None
    root = cache() / "base"
    for stale in (root, *cache().glob("buildah-*")):
        shutil.rmtree(stale, ignore_errors=True)
    _run("debootstrap", "--variant=minbase", suite[1], str(root), *filter(None, [_mirror()]))
    sources = root / "etc/apt/sources.list"
    _sources().write_text(sources.read_text())
    sources.write_text("")  # which mirror this machine has is nobody else's business
    left_out = [f"usr/share/{kind}" for kind in ("doc", "info", "locale", "man")]
    exclude = "".join(f"path-exclude /{place}/*\n" for place in left_out)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(exclude)
    for place in (*left_out, "var/cache/apt", "var/lib/apt/lists", "var/log"):
        for path in (root / place).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    archive = cache() / "base.tar"
    _run("tar", "-C", str(root), "-cf", str(archive), ".")
    shutil.rmtree(root)
    container = subprocess.run([*_command(), "from", "scratch"], stdout=subprocess.PIPE, text=True, check=True).stdout
    container = container.strip()
    for step in (["add", container, str(archive), "/"], ["commit", container, name], ["rm", container]):
        if _buildah(*step) != 0:
            raise SystemExit(f"the base image {name} cannot be made")
    archive.unlink()


def _mirror() -> str | None:
    """Where this machine gets its Debian packages from; None: it is no Debian, or does not say."""
    if not Path("/etc/debian_version").exists() or "ID=debian" not in Path("/etc/os-release").read_text().split():
        return None
    texts = [file.read_text() for kind in ("*.sources", "*.list") for file in sorted(Path("/etc/apt").rglob(kind))]
    found = re.search(r"^URIs:\s*(\S+)|^deb\s+(?:\[[^]]*\]\s+)?(\S+)", "\n".join(texts), re.MULTILINE)
    return (found[1] or found[2]) if found else None


def _sources() -> Path:
    """Where the build's packages come from, as debootstrap wrote it."""
    return _storage() / "sources.list"


def _secrets() -> Iterator[str]:
    """How this machine's pip finds its index, as options of a build."""
    for name, path in (("pip", "/etc/pip.conf"), ("ca", "/etc/ssl/certs/ca-certificates.crt")):
        if Path(path).exists():
            yield f"--secret=id={name},src={path}"


def _storage() -> Path:
    """Of buildah's layers: a change in this file makes a new base."""
    folder = cache() / f"buildah-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _command() -> list[str]:
    storage = _storage()
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
