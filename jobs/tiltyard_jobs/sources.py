"""Where files of the user lie: on this machine, in S3, on the Hugging Face hub, or at an https:// address.

Whatever is read is a file of this machine first: what lies elsewhere is fetched, a piece at a time, into a temporary
file that is gone when nobody holds it any more, or, where its content is fixed, into the downloads that are kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from tiltyard_jobs import downloads
from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.located import LocatedFile, is_many, readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.download import PATIENCE, Patience, download, hub_files
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.store import Store, open_store


class LocalFile:
    """A file that can be read here.

    Attributes:
        uri: where it lies; its name says what it is.
        place: the same for people.
        name: among several.
        path: where it is read.
        kept: it is a download that is kept.
    """

    def __init__(self, source: LocatedFile, path: Path, *, temporary: bool = False, kept: bool = False) -> None:
        self.kept = kept
        self.uri, self.place, self.name, self.path = source.uri, readable(source.uri), source.name, path
        if temporary:
            weakref.finalize(self, path.unlink, missing_ok=True)


def fetched(source: LocatedFile, store: StoreRef, patience: Patience = PATIENCE) -> LocalFile:
    """A file, fetched where it lies elsewhere.

    Args:
        source: its URI, and its digest where that is known.
        store: S3's endpoint, region and certificates.
        patience: with the hub, or the server at https://.

    Raises:
        ConfigurationError: it is not there, cannot be read, or has another digest.
        TransientError: the server that has it fails.
    """
    scheme = urlsplit(source.uri).scheme
    if scheme == "file":
        return _checked(LocalFile(source, Path(unquote(urlsplit(source.uri).path))), source)
    place = downloads.kept_at(source) if scheme in ("hf", "https") else None
    if place is not None and place.is_file():
        try:
            return _checked(LocalFile(source, place, kept=True), source)
        except ConfigurationError:
            pass  # damaged: it is fetched again
    folder = downloads.made_folder() if place is not None else None
    handle, name = tempfile.mkstemp(prefix="tiltyard-", dir=folder)
    os.close(handle)
    file = LocalFile(source, Path(name), temporary=True)
    if scheme in ("hf", "https"):
        download(source.uri, file.path, patience=patience)
    else:
        _from_bucket(source.uri, store, file.path)
    _checked(file, source)
    if place is None or folder is None:
        return file
    file.path.replace(place)
    return LocalFile(source, place, kept=True)


def _checked(file: LocalFile, source: LocatedFile) -> LocalFile:
    """The file, if it can be read and has the digest that is known."""
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


class Expanded(NamedTuple):
    """Files, with those that patterns and prefixes stand for.

    Attributes:
        files: all of them, in order.
        notes: what to say of files that were skipped.
    """

    files: list[LocatedFile]
    notes: list[str]


def expanded(sources: Sequence[LocatedFile], store: StoreRef) -> Expanded:
    """The same with what a pattern or a prefix of a bucket stands for in its place, in the order of the names.

    Raises:
        ConfigurationError: it stands for nothing, or a digest is given for several files.
    """
    found = Expanded([], [])
    for source in sources:
        if not is_many(source.uri):
            found.files.append(source)
            continue
        if source.sha256 is not None:
            raise ConfigurationError(f"{source.uri} stands for several files, and sha256 is the digest of one")
        there = _on_hub(source.uri) if source.uri.startswith("hf://") else _in_bucket(source.uri, store)
        found.files.extend(there.files)
        found.notes.extend(there.notes)
    return found


def _in_bucket(uri: str, store: StoreRef) -> Expanded:
    parts = urlsplit(uri)
    pattern = parts.path.lstrip("/")
    root = _root(pattern)
    bucket = _bucket(uri, store)
    try:
        keys = [info.key for info in bucket.list(root)]
    finally:
        bucket.close()
    keys, notes = _chosen(uri, pattern, keys)
    place = f"{parts.scheme}://{parts.netloc}"
    return Expanded([LocatedFile(uri=f"{place}/{key}", name=key.removeprefix(root)) for key in keys], notes)


def _on_hub(uri: str) -> Expanded:
    """All at the commit that the revision stands for now, so that they belong together."""
    repository, _, rest = uri.partition("@")
    path = unquote(rest.partition("/")[2])
    pattern = path if _has_mark(path) or path.endswith("/") else f"{path}/"
    commit, names = hub_files(uri)
    root, place = _root(pattern), f"{repository}@{commit}"
    paths, notes = _chosen(uri, pattern, names)
    return Expanded([LocatedFile(uri=f"{place}/{quote(path)}", name=path.removeprefix(root)) for path in paths], notes)


def _chosen(uri: str, pattern: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that a pattern stands for, or all below a prefix that are files of records, in order; and notes.

    Raises:
        ConfigurationError: there is none.
    """
    shown = [name for name in names if not name.rpartition("/")[2].startswith(".")]
    if not pattern.endswith("/"):
        found, note = sorted(name for name in shown if fnmatchcase(name, pattern)), ""
    else:
        inside = textfile.of_folder(name.removeprefix(pattern) for name in shown if name.startswith(pattern))
        found, note = [pattern + name for name in inside.read], inside.note
    if not found:
        advice = f"{note}; give the path of one to read it" if note else "check the prefix"
        raise ConfigurationError(f"{uri} stands for no file that can be read: {advice}")
    return found, [note] if note else []


def _root(pattern: str) -> str:
    return pattern[: pattern.rfind("/", 0, _first_mark(pattern)) + 1]


def _has_mark(pattern: str) -> bool:
    return _first_mark(pattern) < len(pattern)


def _first_mark(pattern: str) -> int:
    return next((place for place, mark in enumerate(pattern) if mark in "*["), len(pattern))


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
