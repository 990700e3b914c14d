"""Virtual environments for software that must not share the project's: vLLM, and the tools that read our outputs.

    python hack/envs.py vllm      # prints the path of that environment's python; the first call makes it

An environment is made from the hash lock `requirements/NAME.txt` with the Python that runs this script, outside of
the tree: below TILTYARD_ENVS, or else `${XDG_CACHE_HOME:-~/.cache}/tiltyard/envs`. Its folder is named after a digest
of the lock, so a changed lock makes a new one. Callers at the same time wait for the first of them. Only the standard
library is needed; uv is taken from PATH, or else installed beside the environments.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
UV_VERSION = "0.13.9"
COMPLETE = ".complete"  # written last: a folder without it was left by a call that was cut short


class SystemLibrary(NamedTuple):
    """A shared library that a wheel loads and does not carry."""

    soname: str
    debian_package: str


SYSTEM_LIBRARIES = {"vllm": (SystemLibrary("libnuma.so.1", "libnuma1"),)}


class SetupError(Exception):
    """An environment cannot be made. The message is a sentence that says what to do."""


def environments_folder() -> Path:
    """Where the environments are kept."""
    if chosen := os.environ.get("TILTYARD_ENVS"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tiltyard" / "envs"


def ensure(name: str) -> Path:
    """Makes the environment `name` unless it is there; returns the path of its python.

    Raises:
        SetupError: there is no such lock, a system library is missing, or the installation failed.
    """
    lock = REQUIREMENTS / f"{name}.txt"
    if not lock.is_file():
        raise SetupError(f"{name}: there is no lock {lock}.")
    check_system_libraries(name)
    folder = environments_folder() / f"{name}-{key_of(lock)}"
    python = folder / "bin" / "python"
    if usable(folder):
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        if not usable(folder):  # another call may have made it while this one waited
            shutil.rmtree(folder, ignore_errors=True)
            install(lock, folder)
            (folder / COMPLETE).touch()
    return python


def key_of(lock: Path) -> str:
    """What two environments must share to be the same: the lock, Python's version, the machine's kind."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256(b"\n".join((lock.read_bytes(), version.encode(), platform.machine().encode()))).hexdigest()[
        :12
    ]


def usable(folder: Path) -> bool:
    """Whether the environment is whole, and the Python that it was made from still there."""
    return (folder / COMPLETE).exists() and os.access(folder / "bin" / "python", os.X_OK)


def install(lock: Path, folder: Path) -> None:
    """Makes the virtual environment and installs exactly what the lock says, each file checked by its hash."""
    uv = find_uv()
    run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder))
    python = str(folder / "bin" / "python")
    run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(lock))


def find_uv() -> str:
    """uv from PATH where it runs; else one of our own, installed by pip beside the environments."""
    on_path = shutil.which("uv")
    if on_path and subprocess.run([on_path, "--version"], capture_output=True, check=False).returncode == 0:
        return on_path
    folder = environments_folder() / f"uv-{UV_VERSION}"
    uv = folder / "bin" / "uv"
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            run(sys.executable, "-m", "venv", str(folder))
            run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}")
            (folder / COMPLETE).touch()
    return str(uv)


def check_system_libraries(name: str) -> None:
    """Loads each shared library that the environment's wheels expect of the system.

    Raises:
        SetupError: one is missing.
    """
    for library in SYSTEM_LIBRARIES.get(name, ()):
        try:
            ctypes.CDLL(library.soname)
        except OSError:
            raise SetupError(
                f"{name} needs the system library {library.soname}: "
                f"install it (Debian, Ubuntu: apt-get install {library.debian_package})."
            ) from None


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds a lock on a file; the kernel frees it when the process ends, however it ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that holds {path}", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(*command: str) -> None:
    """Runs a command with its output on stderr, as stdout carries the answer.

    Raises:
        SetupError: it failed.
    """
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise SetupError(f"This command failed, its message is above: {' '.join(command)}")


def main() -> int:
    """The command line."""
    names = sorted(path.stem for path in REQUIREMENTS.glob("*.txt") if not path.stem.endswith("-overrides"))
    parser = argparse.ArgumentParser(description="Make a virtual environment from a lock; print its python's path.")
    parser.add_argument("name", choices=names)
    try:
        print(ensure(parser.parse_args().name))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
