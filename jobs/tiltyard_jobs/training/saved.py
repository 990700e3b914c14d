"""A training's progress in the store, so that it outlives the machine that trains."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.store.base import Store

LATEST = "latest.json"
STATE = "trainer_state.json"  # the last file of a checkpoint that the trainer writes


class SavedTraining:
    """One archive below a part's checkpoint prefix, and a document that names it: written last.

    An archive holds the stages that are done, and the newest whole checkpoint of the running one. It spares work and
    decides nothing: one that is damaged is passed over, and training starts again.

    Args:
        store: where artifacts live.
        prefix: of the part's checkpoints on its inputs as they are.
        scratch: a folder for archives on their way.
        every: of all checkpoints of the part, which `discard` removes; absent: `prefix`.
    """

    def __init__(self, store: Store, prefix: str, scratch: Path, every: str | None = None) -> None:
        self._store = store
        self._prefix = prefix
        self._every = prefix if every is None else every
        self._scratch = scratch
        self._saved: tuple[str, ...] = ()
        self._saving = Lock()

    def restore(self, out: Path) -> None:
        """Bring back what is saved to an empty folder; nothing where nothing is."""
        data = self._store.get(f"{self._prefix}{LATEST}")
        if data is None or any(out.iterdir()):
            return
        archive = self._scratch / "restored.tar"
        try:
            named = json.loads(data)
            self._store.get_file(f"{self._prefix}{named['file']}", archive, sha256=named["sha256"])
            with tarfile.open(archive) as tar:
                _extract(tar, out)
        except (PermanentError, ValueError, KeyError, tarfile.TarError):
            return
        finally:
            archive.unlink(missing_ok=True)

    def save(self, out: Path) -> None:
        """Save what is new since the last time; nothing where nothing is. Callers wait for each other."""
        with self._saving:
            self._save(out)

    def _save(self, out: Path) -> None:
        content = tuple(str(path.relative_to(out)) for path in contents(out))
        if not content or content == self._saved:
            return
        archive = self._scratch / "saved.tar"
        try:
            with tarfile.open(archive, "w") as tar:
                for name in content:
                    tar.add(out / name, arcname=name)
            with archive.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            name = f"{sha256[:16]}.tar"
            self._store.put_file(f"{self._prefix}{name}", archive)
        except FileNotFoundError:  # the trainer has removed it for a newer one: next time
            return
        finally:
            archive.unlink(missing_ok=True)
        self._store.put(f"{self._prefix}{LATEST}", json.dumps({"file": name, "sha256": sha256}).encode())
        self._saved = content
        for info in list(self._store.list(self._prefix)):
            if info.key not in (f"{self._prefix}{name}", f"{self._prefix}{LATEST}"):
                self._store.delete(info.key)

    def discard(self) -> None:
        """Delete what is saved: the part is sealed."""
        for info in list(self._store.list(self._every)):
            self._store.delete(info.key)


def _extract(tar: tarfile.TarFile, out: Path) -> None:
    """Unpack files and folders, and nothing else; `tarfile` has no extraction filters before Python 3.11.4.

    Raises:
        ValueError: a name leads out of the folder, or a member is neither.
    """
    for member in tar:
        path = out / member.name
        if not path.resolve().is_relative_to(out.resolve()) or not (member.isdir() or member.isreg()):
            raise ValueError(f"{member.name} has no place in an archive of ours")
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        data = tar.extractfile(member)
        assert data is not None
        with path.open("wb") as file:
            shutil.copyfileobj(data, file)


def contents(out: Path) -> Iterator[Path]:
    """What is worth keeping of a training's folder."""
    for stage in sorted(path for path in out.iterdir() if path.is_dir()):
        if (stage / "done.json").exists():
            yield stage / "model"
            yield stage / "done.json"
            continue
        whole = [path for path in stage.glob("checkpoint-*") if (path / STATE).exists()]
        yield from sorted(whole, key=lambda path: int(path.name.rpartition("-")[2]))[-1:]
