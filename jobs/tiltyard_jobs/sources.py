"""Where files of the user lie: on this machine, in S3, on the Hugging Face hub, or at an https:// address.

Whatever is read is a file of this machine first: what lies elsewhere is fetched, a piece at a time, into a temporary
file that is gone when nobody holds it any more.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.located import LocatedFile, is_many, readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textstream import BadTextFileError
from tiltyard_jobs.download import download
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.store import Store, open_store


class LocalFile:
    """A file that can be read here.

    Attributes:
        uri: where it lies; its name says what it is.
        place: the same for people.
        name: among several.
        path: where it is read.
    """

    def __init__(self, source: LocatedFile, path: Path, *, temporary: bool = False) -> None:
        self.uri, self.place, self.name, self.path = source.uri, readable(source.uri), source.name, path
        if temporary:
            weakref.finalize(self, path.unlink, missing_ok=True)


def fetched(source: LocatedFile, store: StoreRef) -> LocalFile:
    """A file, fetched where it lies elsewhere.

    Args:
        source: its URI, and its digest where that is known.
        store: S3's endpoint, region and certificates.

    Raises:
        ConfigurationError: it is not there, cannot be read, or has another digest.
        TransientError: the server that has it fails.
    """
    parts = urlsplit(source.uri)
    if parts.scheme == "file":
        file = LocalFile(source, Path(unquote(parts.path)))
    else:
        handle, name = tempfile.mkstemp(prefix="tiltyard-")
        os.close(handle)
        file = LocalFile(source, Path(name), temporary=True)
        if parts.scheme in ("hf", "https"):
            download(source.uri, file.path)
        else:
            _from_bucket(source.uri, store, file.path)
    try:
        with file.path.open("rb") as opened:
            if source.sha256 is None:
                return file
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{file.place} cannot be read: {error.strerror}") from None
    if found != source.sha256:
        raise ConfigurationError(
            f"{file.place} has the SHA-256 digest {found}, not {source.sha256}: another file, or a changed one"
        )
    return file


def expanded(sources: Sequence[LocatedFile], store: StoreRef) -> Iterator[LocatedFile]:
    """The same with what a pattern or a prefix of a bucket stands for in its place, in the order of the names.

    Raises:
        ConfigurationError: it stands for nothing, or a digest is given for several files.
    """
    for source in sources:
        if not is_many(source.uri):
            yield source
            continue
        if source.sha256 is not None:
            raise ConfigurationError(f"{source.uri} stands for several files, and sha256 is the digest of one")
        parts = urlsplit(source.uri)
        pattern = parts.path.lstrip("/")
        root = pattern[: pattern.rfind("/", 0, _first_mark(pattern)) + 1]
        with_end = pattern.endswith("/")
        bucket = _bucket(source.uri, store)
        try:
            keys = [info.key for info in bucket.list(root)]
        finally:
            bucket.close()
        found = [key for key in keys if (_is_known(key) if with_end else fnmatchcase(key, pattern))]
        if not found:
            raise ConfigurationError(f"{source.uri} stands for no file that can be read: check the prefix")
        for key in found:
            uri = f"{parts.scheme}://{parts.netloc}/{key}"
            yield LocatedFile(uri=uri, name=key.removeprefix(root))


def _first_mark(pattern: str) -> int:
    return next((place for place, mark in enumerate(pattern) if mark in "*["), len(pattern))


def _is_known(name: str) -> bool:
    try:
        textfile.kind_of(name)
    except BadTextFileError:
        return False
    return not name.rpartition("/")[2].startswith(".")


def _bucket(uri: str, store: StoreRef) -> Store:
    parts = urlsplit(uri)
    return open_store(store.model_copy(update={"uri": f"{parts.scheme}://{parts.netloc}"}))


def _from_bucket(uri: str, store: StoreRef, path: Path) -> None:
    bucket = _bucket(uri, store)
    try:
        bucket.get_file(urlsplit(uri).path.lstrip("/"), path, sha256=None)
    except PermanentError:
        raise ConfigurationError(f"{uri} does not exist") from None
    except ValueError as error:
        raise ConfigurationError(f"{uri} cannot be read: {error}") from None
    finally:
        bucket.close()
