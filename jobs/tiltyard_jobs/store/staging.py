"""Atomic files: written beside their final name, synced, then renamed or linked to it.

A reader sees the whole file or none. A writer that is killed leaves at most a file with a temporary name, which no
listing shows and no later write meets.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tiltyard_jobs.store.keys import TEMPORARY


class StagedFile:
    """A file that gets its name last: write, then `publish` or `publish_new`; leaving the block without drops it.

    Args:
        target: the final name; its folder is made where it is missing.
        durable: sync the bytes and the name to the disk before the name is given, so that what was published survives a
            power cut. Not needed for scratch files.
    """

    def __init__(self, target: Path, *, durable: bool = True) -> None:
        self._target = target
        self._durable = durable
        self._temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(12)}")

    def __enter__(self) -> Self:
        make_folders(self._target.parent)
        self._handle = self._temporary.open("xb")
        return self

    def write(self, data: bytes) -> None:
        """Append to the file."""
        self._handle.write(data)

    def publish(self) -> None:
        """Give the file its name, replacing what has it."""
        self._finish()
        self._temporary.replace(self._target)
        self._sync_folder()

    def publish_new(self) -> bool:
        """Give the file its name where nothing has it; False where something does. Atomic between writers."""
        self._finish()
        try:
            # link(2) fails where the name exists; rename(2) would replace it.
            self._target.hardlink_to(self._temporary)
        except FileExistsError:
            # A network file system may repeat a link whose reply was lost, and meet its own.
            return self._target.exists() and self._target.samefile(self._temporary)
        self._sync_folder()
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()

    def _finish(self) -> None:
        self._handle.flush()
        if self._durable:
            os.fsync(self._handle.fileno())
        self._handle.close()

    def _sync_folder(self) -> None:
        if self._durable:
            _sync(self._target.parent)


def make_folders(folder: Path) -> None:
    """Make the folder and those above it; each new name is on the disk before the next is made."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folders(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.is_dir():  # another writer was faster
            return
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
