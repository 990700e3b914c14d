"""A file of labels that grows by one line for each vote of a person: JSON Lines that `tiltyard calibrate` takes.

A label is on disk before the vote counts. What a crash tore off is cut away when the file is opened again; no other
line is ever changed, except that the last one can be taken back.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

from tiltyard_jobs.errors import ConfigurationError, TransientError

SUFFIX = ".jsonl"
WINNERS = ("model_a", "model_b", "tie")
_BEGINNING = b'{"instruction_id": '


class Label(NamedTuple):
    """A vote.

    Attributes:
        winner: `model_a`, `model_b` or `tie`.
        part: which part of the proposals the battle was in (`proposals`); empty in lines that others wrote.
        shown_first: the player whose answer was on the left.
        time: when it was given, in ISO 8601.
    """

    instruction_id: str
    model_a: str
    model_b: str
    winner: str
    part: str = ""
    shown_first: str = ""
    time: str = ""


def now() -> str:
    """The time for a label."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class LabelFile:
    """The file, open and locked: no second reader writes to it.

    Args:
        path: made where it does not exist.
        say: is told what was mended.

    Raises:
        ConfigurationError: it cannot be used.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path = path
        if path.suffix != SUFFIX:
            raise ConfigurationError(f"--label {path}: labels are JSON Lines, give a name that ends in {SUFFIX}")
        new = not path.exists()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigurationError(f"--label {path} cannot be written: {error.strerror}; give another file") from None
        try:
            if new:
                _sync_folder(path.absolute().parent)
            self._lock()
            self._places: list[int] = []
            self.labels: list[Label] = []
            self._read(say)
        except BaseException:
            os.close(self._file)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"--label {self.path}: another reader writes to this file; stop it, or give another file"
            ) from None

    def __enter__(self) -> Self:
        """Nothing more."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._file)

    def add(self, label: Label) -> None:
        """Append a label; it is on disk when this returns.

        Raises:
            TransientError: it could not be written, and is not there.
        """
        end = os.lseek(self._file, 0, os.SEEK_END)
        line = json.dumps(label._asdict(), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            left = line
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            raise TransientError(f"{self.path} cannot be written, the vote is not stored: {error.strerror}") from None
        self._places.append(end)
        self.labels.append(label)

    def undo(self) -> None:
        """Take the last label back."""
        os.ftruncate(self._file, self._places.pop())
        os.fsync(self._file)
        self.labels.pop()

    def _read(self, say: Callable[[str], None]) -> None:
        data, place = self.path.read_bytes(), 0
        lines = data.split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            if line.strip():
                label = _label(line)
                if label is None:
                    raise ConfigurationError(
                        f"--label {self.path}: line {number} is not a label; each must be a JSON object with"
                        " instruction_id, model_a, model_b and winner (model_a, model_b or tie)"
                    )
                self._places.append(place)
                self.labels.append(label)
            place += len(line) + 1
        tail = lines[-1]
        if not tail:
            return
        label = _label(tail)
        if label is not None:  # whole but for its end of line
            os.write(self._file, b"\n")
            self._places.append(place)
            self.labels.append(label)
        elif _torn(tail):
            os.ftruncate(self._file, place)
            say(f"{self.path}: the last line was cut short by a crash and is removed; {len(self.labels)} labels stay")
        else:
            raise ConfigurationError(f"--label {self.path}: its last line is not a label; give a file of labels")
        os.fsync(self._file)


def _torn(tail: bytes) -> bool:
    """Whether it is the beginning of a line of ours, or what some file systems leave in place of one."""
    return not tail.strip(b"\0") or tail.startswith(_BEGINNING[: len(tail)])


def _label(line: bytes) -> Label | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.get("winner") not in WINNERS:
        return None
    given = [row.get(name) for name in Label._fields]
    if not all(isinstance(value, str) for value in given[:3]):
        return None
    return Label(*(value if isinstance(value, str) else "" for value in given))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
