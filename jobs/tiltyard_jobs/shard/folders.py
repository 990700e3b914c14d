"""The local folder of a part in the making: where a restart finds its journal, and what one process alone holds."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.errors import TransientError

CLAIM_SECONDS = 10.0  # a predecessor that is being stopped is gone by then
_POLL_SECONDS = 0.1


class PartFolder:
    """A claimed folder. The claim ends with `release` or `remove`, and with the process, however it dies.

    Make one with `claim`.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def journal(self) -> Path:
        """The part's record log."""
        return self.path / "records"

    @classmethod
    def claim(
        cls,
        root: Path,
        ref: ArtifactRef,
        shard: int,
        *,
        wait_seconds: float = CLAIM_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Claim `<root>/<stage>-<key>-<shard>`, which is made where it is missing.

        Raises:
            TransientError: another process holds it and did not let go in time.
        """
        path = folder_of(root, ref, shard)
        deadline = clock() + wait_seconds
        while True:
            lock = _try_lock(path)
            if lock is not None:
                return cls(path, lock)
            if clock() >= deadline:
                raise TransientError(
                    f"Another process is working on part {shard} of {ref.stage}/{ref.key} (it holds {path}/lock)."
                )
            sleep(_POLL_SECONDS)

    def keep_if_about(self, reads: str) -> None:
        """Empty the folder unless its work is about these inputs, given by `digest_of_reads`."""
        note = self.path / "reads"
        if reads == (note.read_text() if note.exists() else ""):
            return
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name not in ("lock", "reads"):
                entry.unlink()
        note.write_text(reads)  # last: a process that dies before begins with an empty folder once more

    def release(self) -> None:
        """End the claim; the folder stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Delete the folder with all that is in it, and end the claim."""
        # It loses its name first: whoever claims the part from now on begins with a folder of its own.
        doomed = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        self.path.rename(doomed)
        shutil.rmtree(doomed)
        self.release()


def folder_of(root: Path, ref: ArtifactRef, shard: int) -> Path:
    """Where the part's folder is, claimed or not."""
    return root / f"{ref.stage}-{ref.key}-{shard:05d}"


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the folder's lock; None where another holds it, or the folder went meanwhile."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # removed by the holder between the two calls
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A lock on a file that has lost its name guards nothing.
        if os.path.samestat(os.fstat(lock), os.stat(path / "lock")):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None
