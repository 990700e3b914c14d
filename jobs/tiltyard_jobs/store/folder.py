"""The store in a folder: a key is a path below the root."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError, PermanentError, TransientError
from tiltyard_jobs.store.base import PIECE, ObjectInfo, digest_mismatch
from tiltyard_jobs.store.keys import check_key, check_prefix, is_segment
from tiltyard_jobs.store.probe import probe
from tiltyard_jobs.store.staging import StagedFile

# No such file: also where a segment of its path is a file, or where it is a folder.
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

# What the user has to change; every other failure of the file system is taken for one that passes (a full disk, a
# network file system that is away).
_CONFIGURATION = {
    errno.EACCES: "permission is denied; allow this user to write there, or name another folder",
    errno.EPERM: "the file system does not permit it (hard links are needed); name another folder",
    errno.EROFS: "the file system is read-only; name another folder",
    errno.ENOTDIR: "a part of the path is a file; name another folder",
    errno.EISDIR: "there is a folder of that name; name another folder",
    errno.ENOTSUP: "the file system cannot do it (hard links are needed); name another folder",
    errno.ENAMETOOLONG: "the path is too long; name a folder with a shorter path",
    errno.ELOOP: "the path goes through a loop of symbolic links; name another folder",
}


def open_store(ref: StoreRef) -> FolderStore:
    """The store of a `file://` URI; see `factory.open_store`."""
    rest = ref.uri.removeprefix("file://")
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not path or "\0" in unquote(path):
        raise ConfigurationError(f"The URI file://{rest} of a store must be file:///absolute/path, of this machine.")
    return FolderStore(Path(slash + unquote(path)))


class FolderStore:
    """A store below one folder, which is made at the first write.

    Writers exclude one another through link(2), so the file system must know hard links (all common ones do, FAT and
    some network file systems do not; `check` finds out).
    """

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()

    @property
    def uri(self) -> str:
        """The root as `file:///…`."""
        return self._root.as_uri()

    @property
    def place(self) -> str:
        """The root as a path."""
        return str(self._root)

    def get(self, key: str) -> bytes | None:
        """See `Store.get`. A folder keeps no checksums."""
        path = self._path(key)
        with self._errors("read", key):
            try:
                return path.read_bytes()
            except _ABSENT:
                return None

    def get_file(self, key: str, path: Path, *, sha256: str | None) -> None:
        """See `Store.get_file`."""
        digest = hashlib.sha256()
        with StagedFile(path, durable=False) as staged:
            for piece in self._pieces(key):
                digest.update(piece)
                staged.write(piece)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise digest_mismatch(self.uri, key, wanted=sha256, found=digest.hexdigest())
            staged.publish()

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        with self._errors("write", key), StagedFile(self._path(key)) as staged:
            staged.write(data)
            staged.publish()

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        with self._errors("write", key), StagedFile(self._path(key)) as staged:
            staged.write(data)
            return staged.publish_new()

    def put_file(self, key: str, path: Path) -> None:
        """See `Store.put_file`."""
        with path.open("rb") as source, self._errors("write", key), StagedFile(self._path(key)) as staged:
            while piece := source.read(PIECE):
                staged.write(piece)
            staged.publish()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Store.list`. Files that no key can name (temporary ones among them) are left out."""
        folder, slash, _ = check_prefix(prefix).rpartition("/")
        with self._errors("list", prefix):
            for info in _walk(self._root / folder, folder + slash):
                if info.key.startswith(prefix):
                    yield info

    def delete(self, key: str) -> None:
        """See `Store.delete`. Folders stay: a writer may be about to use them."""
        path = self._path(key)
        with self._errors("delete", key):
            try:
                path.unlink()
            except _ABSENT:
                return

    def check(self) -> None:
        """See `Store.check`."""
        probe(self)

    def close(self) -> None:
        """See `Store.close`. A folder holds nothing open."""

    def _pieces(self, key: str) -> Iterator[bytes]:
        with self._errors("read", key):
            try:
                with self._path(key).open("rb") as source:
                    while piece := source.read(PIECE):
                        yield piece
            except _ABSENT:
                raise PermanentError(f"There is no object {key!r} in {self.place}.") from None

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    @contextmanager
    def _errors(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            subject = f"Cannot {doing} {key!r} in {self.place}"
            if error.errno in _CONFIGURATION:
                raise ConfigurationError(f"{subject}: {_CONFIGURATION[error.errno]}.") from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TransientError(f"{subject}: the disk is full; free some space and run again.") from error
            raise TransientError(f"{subject}: {error.strerror or error}.") from error


def _walk(folder: Path, prefix: str) -> Iterator[ObjectInfo]:
    """The files below, sorted by key, one folder in memory at a time."""
    try:
        with os.scandir(folder) as scan:
            entries = [(entry.name + "/" * entry.is_dir(), entry) for entry in scan if is_segment(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return
    # With its slash a folder takes the place that its keys have: 'a-b' < 'a/b' < 'a0'.
    for name, entry in sorted(entries, key=lambda pair: pair[0]):
        if name.endswith("/"):
            yield from _walk(folder / entry.name, prefix + name)
            continue
        try:
            size = entry.stat().st_size
        except FileNotFoundError:  # deleted since the folder was read
            continue
        yield ObjectInfo(prefix + name, size)
