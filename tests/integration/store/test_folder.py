"""What only a folder can do wrong."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiltyard_jobs.errors import ConfigurationError, JobError, TransientError
from tiltyard_jobs.store.folder import FolderStore

WRITER = """
import sys
from pathlib import Path
from tiltyard_jobs.store.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    store.put("a/b", b"x" * 20_000_000)
    store.put_new("a/c", b"y" * 20_000_000)
    store.delete("a/c")
"""


def test_killed_writers_leave_nothing_that_shows(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for number in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.01 + 0.013 * number)
            writer.send_signal(signal.SIGKILL)
        assert store.get("a/b") in (None, b"x" * 20_000_000)
        assert store.get("a/c") in (None, b"y" * 20_000_000)
        assert {info.key for info in store.list("")} <= {"a/b", "a/c"}
    # Whatever they left, the next writer is not hindered, and its listing not changed.
    (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / "a/.tmp-0123").write_bytes(b"half")
    store.check()
    store.delete("a/c")
    store.put("a/b", b"whole")
    assert store.put_new("a/c", b"whole") is True
    assert [info.key for info in store.list("")] == ["a/b", "a/c"]


def test_files_of_others_are_not_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"")
    (tmp_path / "new\nline").touch()
    (tmp_path / os.fsdecode(b"latin-\xfc")).touch()
    assert [info.key for info in store.list("")] == ["a"]


def test_files_have_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        FolderStore(tmp_path).put("a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"one")
    with pytest.raises(FileNotFoundError):
        store.put_file("a", tmp_path / "nothing")
    with pytest.raises(TypeError):
        store.put("a", "text")  # type: ignore[arg-type]
    assert store.get("a") == b"one"
    assert os.listdir(tmp_path) == ["a"]


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.touch()
    with pytest.raises(ConfigurationError) as caught:
        FolderStore(root).check()
    assert f"in {root}: a part of the path is a file; name another folder." in str(caught.value)
    assert str(caught.value).startswith("Cannot write 'preflight/")


def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    user = os.geteuid()
    if user == 0:  # may write everywhere
        os.seteuid(65534)
    try:
        with pytest.raises(ConfigurationError, match="permission is denied; allow this user to write there, or name"):
            FolderStore(tmp_path).check()
    finally:
        os.seteuid(user)


def test_a_write_that_fails_half_way(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that fills."""
    store = FolderStore(tmp_path)
    store.put("a", b"one")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(TransientError, match=r"Cannot write 'a' in /.*: File too large\."):
            store.put("a", b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert store.get("a") == b"one"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("number", "kind", "why"),
    [
        (errno.EROFS, ConfigurationError, "the file system is read-only; name another folder."),
        (errno.EPERM, ConfigurationError, "the file system does not permit it (hard links are needed); name another"),
        (errno.ENOSPC, TransientError, "the disk is full; free some space and run again."),
        (errno.EIO, TransientError, "Input/output error."),
    ],
)
def test_what_cannot_be_provoked_without_a_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[JobError], why: str
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    store = FolderStore(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as caught:
        store.put("a", b"one")
    assert f"Cannot write 'a' in {store.place}: {why}" in str(caught.value)
    assert os.listdir(tmp_path) == []
