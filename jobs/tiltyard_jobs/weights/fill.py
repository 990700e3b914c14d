"""Filling a folder with a model, once, whoever else fills it meanwhile.

The folder appears by one rename, when all of its files are there and hold their digests: where it is, it is whole. Who
comes later finds it and asks nobody. What a killed download has left is continued. A lock keeps two from
downloading the same; where the file system has none, each pod has a folder of its own, and the first to be ready wins.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import IO, BinaryIO, NoReturn

import structlog

from tiltyard_jobs.contracts.weights import Filled
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.weights.hub import TRIES, HubFile, HubModel, Listing

NOTE = ".tiltyard.json"
"""The file in a model's folder that says what it holds."""
_COMMIT = ".tiltyard.commit"  # of a download that is not complete
_PART = ".tiltyard.part"
FILES_AT_ONCE = 4
PIECE = 1 << 20
WAIT_SECONDS = 1.0
_RESERVE = 16 << 20  # bytes that a file system keeps for itself

log = structlog.get_logger(__name__)

Sleep = Callable[[float], object]


@dataclass(frozen=True)
class _Download:
    model: HubModel
    listing: Listing
    folder: Path
    sleep: Sleep
    stopped: Event = field(default_factory=Event)


def fill(model: HubModel, folder: Path, *, sleep: Sleep = time.sleep) -> Filled:
    """Bring a model to a folder, unless it is there.

    Args:
        model: which.
        folder: where; it is there afterwards, and whole.
        sleep: waits the seconds given.

    Raises:
        ConfigurationError: it is not there, may not be read, does not fit, or the folder cannot be written.
        TransientError: the hub cannot be reached, breaks off, or sends other bytes than it says.
    """
    try:
        if (there := _read_note(folder)) is not None:
            return there
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _staged(folder, sleep) as staged:
            if staged is None:
                return _ready(folder)
            return _download_all(model, staged, folder, sleep)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _read_note(folder: Path) -> Filled | None:
    """What a folder holds; None: it is not there."""
    was_there = folder.exists()  # asked first: another pod may rename its own, with its note, into place at any time
    try:
        note = Filled.model_validate_json((folder / NOTE).read_bytes())
    except FileNotFoundError:
        return _not_ours(folder) if was_there else None
    except ValueError:
        return _not_ours(folder)
    return note.model_copy(update={"reused": True})


def _ready(folder: Path) -> Filled:
    """What another pod has made."""
    note = _read_note(folder)
    if note is None:
        raise TransientError(f"{folder} was deleted meanwhile")
    return note


def _not_ours(folder: Path) -> NoReturn:
    raise ConfigurationError(f"{folder} exists and is not a download of Tiltyard: delete it, and start the model again")


@contextmanager
def _staged(folder: Path, sleep: Sleep) -> Iterator[Path | None]:
    """A folder to download to, which nobody else writes; None: meanwhile somebody else has made the model's own."""
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        if _locked(lock, folder, sleep):
            # The lock's end is the process's: what it leaves is the next one's, to be continued.
            yield None if folder.exists() else folder.with_name(f".{folder.name}.partial")
            return
    # A container that is started again has its pod's name still, and continues what it has left.
    staged = folder.with_name(f".{folder.name}.{socket.gethostname()}")
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _locked(lock: IO[str], folder: Path, sleep: Sleep) -> bool:
    """Wait for the lock; False: the file system has none."""
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return False
        if not told:
            log.info("another pod downloads the model: waiting for it", folder=str(folder))
            told = True
        sleep(WAIT_SECONDS)


def _download_all(model: HubModel, staged: Path, folder: Path, sleep: Sleep) -> Filled:
    began = time.monotonic()
    listing = model.listing(sleep=sleep)
    _begin(staged, listing)
    have = sum(_size(path) for file in listing.files for path in (staged / file.path, _partial(staged, file)))
    free, missing = shutil.disk_usage(staged).free, max(0, listing.size - have)
    if missing + _RESERVE > free:
        raise ConfigurationError(
            f"hf://{model.name} does not fit: {_gib(missing)} are to be downloaded and {_gib(free)} are free on the"
            " volume: raise spec.serving.weights.claim.size, or make room on the claim"
        )
    log.info("downloading", model=model.name, commit=listing.commit, bytes=listing.size, there=have)
    _fetch_all(_Download(model, listing, staged, sleep))
    filled = Filled(commit=listing.commit, bytes=listing.size, seconds=round(time.monotonic() - began, 1))
    (staged / _COMMIT).unlink()
    (staged / NOTE).write_text(filled.model_dump_json())
    try:
        staged.rename(folder)
    except OSError:
        if folder.exists():  # another pod was faster
            return _ready(folder)
        raise
    return filled


def _fetch_all(download: _Download) -> None:
    """All files, some at once; the first failure ends them all."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        fetches = [pool.submit(_fetch, download, file) for file in download.listing.files]
        ended, _ = wait(fetches, return_when=FIRST_EXCEPTION)
        failures = [error for fetch in ended if (error := fetch.exception()) is not None]
        if failures:
            download.stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise failures[0]


def _fetch(download: _Download, file: HubFile) -> None:
    """One file, unless it is there: it has its name once it holds its digest."""
    target, partial_file = download.folder / file.path, _partial(download.folder, file)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    failed = TransientError("nothing was tried")
    for attempt in range(TRIES):
        if attempt:
            log.info("trying again", file=file.path, reason=str(failed))
            download.sleep(2.0**attempt)
        before = _size(partial_file)
        try:
            digest = _append(download, file, partial_file)
        except TransientError as error:
            if download.stopped.is_set():
                raise
            failed = error
            continue
        if digest == file.digest:
            partial_file.rename(target)
            return
        partial_file.unlink(missing_ok=True)
        # What lay there before may be of another download: that is no fault of the hub's.
        failed = TransientError(
            f"{file.path} of hf://{download.model.name} has another digest than the hub states"
            + (" (it was continued)" if before else "")
        )
    raise failed


def _append(download: _Download, file: HubFile, path: Path) -> str:
    """Download what is missing of a file; returns the digest of all of it."""
    with path.open("r+b" if path.exists() else "w+b") as output:
        hasher, place = _hashed(file, output)
        if place < file.size:
            for at, piece in download.model.pieces(download.listing.commit, file, place, PIECE):
                if download.stopped.is_set():
                    raise TransientError("another file has failed")
                if at != place:  # the server starts again
                    output.truncate(0)
                    output.seek(0)
                    hasher, place = file.hasher(), 0
                output.write(piece)
                hasher.update(piece)
                place += len(piece)
                if place > file.size:
                    break
        output.flush()
        os.fsync(output.fileno())
    if place < file.size:
        raise TransientError(f"{file.path} of hf://{download.model.name} broke off after {place} of {file.size} bytes")
    return hasher.hexdigest()


def _hashed(file: HubFile, output: BinaryIO) -> tuple[hashlib._Hash, int]:
    """What is there already of a file, hashed, and how long it is."""
    hasher, place = file.hasher(), 0
    while piece := output.read(PIECE):
        hasher.update(piece)
        place += len(piece)
    return hasher, place


def _begin(staged: Path, listing: Listing) -> None:
    """The folder of a download: what one of another commit has left there is of no use."""
    note = staged / _COMMIT
    if staged.exists() and not (note.is_file() and note.read_text() == listing.commit):
        shutil.rmtree(staged)
    staged.mkdir(exist_ok=True)
    note.write_text(listing.commit)


def _partial(staged: Path, file: HubFile) -> Path:
    return staged / f"{file.path}{_PART}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConfigurationError(f"the volume of {folder} is full: raise spec.serving.weights.claim.size")
    return ConfigurationError(f"{folder} cannot be written: {error.strerror}")
