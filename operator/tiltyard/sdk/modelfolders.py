"""Models in folders of this machine: which they are, by the digest of their files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tiltyard.api import local_path
from tiltyard.local.ledger import write_atomically
from tiltyard_jobs.contracts.located import DIGEST

_READERS = 4  # files read at once
_NOT_READ_BY_SERVERS = (".md", ".lock")


def digest_of_model(uri: str) -> str | None:
    """`sha256:…` over the names and digests of a model's files; None where it is no folder of this machine.

    Files are read whole once: their digests are kept by place, size and time of change, as `git` does with its index.
    """
    if not uri.startswith("file://"):
        return None
    folder = local_path(uri, Path("/"))
    try:
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if _counts(folder, path)}
        if not files:
            return None
        digests = _digests(list(files.values()))
        lines = "".join(f"{digests[path]}  {name}\n" for name, path in files.items())
    except OSError:
        return None
    return DIGEST + hashlib.sha256(lines.encode()).hexdigest()


def _counts(folder: Path, path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.is_file() and path.suffix not in _NOT_READ_BY_SERVERS


def _digests(files: list[Path]) -> Mapping[Path, str]:
    known = _remembered()
    marks = {path: _mark(path) for path in files}
    unread = [path for path in files if known.get(str(path), ["", ""])[0] != marks[path]]
    with ThreadPoolExecutor(_READERS) as pool:
        known |= {
            str(path): [marks[path], digest] for path, digest in zip(unread, pool.map(_digest, unread), strict=True)
        }
    if unread:
        with suppress(OSError, RuntimeError):  # no place to remember: they are read again the next time
            write_atomically(_memory(), json.dumps(known))
    return {path: known[str(path)][1] for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mark(path: Path) -> str:
    """What changes when a file is written to, or another takes its place."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _memory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tiltyard", "digests.json")


def _remembered() -> dict[str, list[str]]:
    try:
        document = json.loads(_memory().read_bytes())
        return {path: [mark, digest] for path, (mark, digest) in document.items()}
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError):
        return {}
