"""What holds for every store, asked of each."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.s3server import REPOSITORY
from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.store import ObjectInfo, Store
from tiltyard_jobs.store.folder import FolderStore

ODD_KEYS = [
    "a b",
    "a+b",
    "100%",
    "%2e%2e/%2F",
    "q?x=1&y=2#z",
    "quotes'\"`",
    "<xml>&amp;",
    "ünïcödé/日本語/🏇",
    "-dash/--flag",
    ".hidden/..almost",
    "~/$HOME/*",
    "[a]{b}(c)!,;:@=|^",
    "x" * 250,
    "/".join(["deep"] * 40),
    " leading and trailing ",
]


def test_put_and_get(store: Store) -> None:
    assert store.get("a/b") is None
    store.put("a/b", b"one")
    assert store.get("a/b") == b"one"
    store.put("a/b", b"two")
    assert store.get("a/b") == b"two"
    store.put("empty", b"")
    assert store.get("empty") == b""
    binary = bytes(range(256)) * 999
    store.put("binary", binary)
    assert store.get("binary") == binary


def test_a_folder_of_keys_is_no_object(store: Store) -> None:
    store.put("a/b", b"one")
    assert store.get("a") is None
    assert store.get("a/b/c") is None
    store.delete("a")
    assert store.get("a/b") == b"one"


def test_put_new_writes_only_where_nothing_is(store: Store) -> None:
    assert store.put_new("a/b", b"one") is True
    assert store.put_new("a/b", b"two") is False
    assert store.put_new("a/b", b"one") is False, "the same bytes of another put"
    assert store.get("a/b") == b"one"
    store.delete("a/b")
    assert store.put_new("a/b", b"two") is True
    assert store.get("a/b") == b"two"
    store.put("c", b"one")
    assert store.put_new("c", b"two") is False


def test_open_reads_any_place_of_an_object(store: Store) -> None:
    data = bytes(range(256)) * 5000
    store.put("a/b", data)
    with store.open("a/b", len(data)) as file:
        file.seek(-7, os.SEEK_END)
        assert file.read() == data[-7:]
        assert file.seek(1000) == file.tell() == 1000
        assert file.read(500) == data[1000:1500]
        assert file.read(3) == data[1500:1503]
        file.seek(len(data))
        assert file.read(10) == b""
    with pytest.raises(PermanentError, match="There is no object 'a/c'"), store.open("a/c", 10) as file:
        file.read(1)


def test_delete(store: Store) -> None:
    store.put("a/b", b"one")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("never/there")
    assert store.get("a/b") is None
    assert list(store.list("")) == []


def test_odd_keys(store: Store) -> None:
    for number, key in enumerate(ODD_KEYS):
        store.put(key, str(number).encode())
    assert [store.get(key) for key in ODD_KEYS] == [str(number).encode() for number in range(len(ODD_KEYS))]
    assert [info.key for info in store.list("")] == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        assert [info.key for info in store.list(key)] == [key]
        assert store.put_new(key, b"again") is False
        store.delete(key)
    assert list(store.list("")) == []


@pytest.mark.parametrize("key", ["../escape", "/absolute", "a//b", "", "a/.tmp-b"])
def test_keys_that_are_not_allowed(store: Store, key: str, tmp_path: Path) -> None:
    for call in (
        lambda: store.get(key),
        lambda: store.put(key, b""),
        lambda: store.put_new(key, b""),
        lambda: store.delete(key),
        lambda: store.get_file(key, tmp_path / "copy", sha256=""),
        lambda: store.put_file(key, Path(__file__)),
    ):
        with pytest.raises(ValueError, match="not allowed"):
            call()


def test_list_is_sorted_and_takes_any_prefix(store: Store) -> None:
    # Where 'a' is a folder, a walk by names would say 'a/b' before 'a-b'; by keys it comes after.
    keys = ["a-b", "a.b", "a/b", "a/b-c", "a0", "ab/c", "b/a-b", "b/a/x", "b/a/y", "z", "ü/a"]
    for key in reversed(keys):
        store.put(key, key.encode())
    sizes = {key: len(key.encode()) for key in keys}
    assert list(store.list("")) == [ObjectInfo(key, sizes[key]) for key in keys]
    for prefix in ["a", "a/", "a/b", "b/a", "b/a/", "b/a/x", "ü", "nothing", "nothing/at/all", "z/", "a/b/"]:
        assert [info.key for info in store.list(prefix)] == [key for key in keys if key.startswith(prefix)]


def test_list_of_more_than_a_page(store: Store) -> None:
    keys = [f"shards/{number % 7}/{number}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"."), keys))
    assert [info.key for info in store.list("shards/")] == sorted(keys)
    assert len(list(store.list("shards/3/"))) == len([key for key in keys if key.startswith("shards/3/")])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A file of several parts, its last one not whole, and its digest."""
    path = tmp_path_factory.mktemp("large") / "file"
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for number in range(41):
            piece = hashlib.sha256(str(number).encode()).digest() * (1 << 15) + b"x"
            digest.update(piece)
            out.write(piece)
    yield path, digest.hexdigest()
    path.unlink()


def test_large_files(store: Store, large: tuple[Path, str], tmp_path: Path) -> None:
    source, sha256 = large
    size = source.stat().st_size
    copy = tmp_path / "folder/copy"
    tracemalloc.start()
    try:
        store.put_file("large", source)
        store.get_file("large", copy, sha256=sha256)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert copy.read_bytes() == source.read_bytes()
    assert list(store.list("")) == [ObjectInfo("large", size)]
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    assert peak < size / 3, f"{peak} bytes in memory for a file of {size}"


def test_small_files(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for content in (b"", b"small"):
        source.write_bytes(content)
        store.put_file("small", source)
        assert store.get("small") == content
        store.get_file("small", tmp_path / "copy", sha256=hashlib.sha256(content).hexdigest())
        assert (tmp_path / "copy").read_bytes() == content


def test_get_file_wants_the_digest(store: Store, tmp_path: Path) -> None:
    store.put("a/b", b"one")
    copy = tmp_path / "copies/copy"
    with pytest.raises(PermanentError, match=r"'a/b' in .* is damaged or cut short: its SHA-256 is 7692c3.*, not 00"):
        store.get_file("a/b", copy, sha256="00")
    with pytest.raises(PermanentError, match=r"There is no object 'a/c' in "):
        store.get_file("a/c", copy, sha256="00")
    assert list(copy.parent.iterdir()) == []


def test_check_leaves_nothing(store: Store) -> None:
    store.check()
    store.put("kept", b"one")
    store.check()
    assert [info.key for info in store.list("")] == ["kept"]


def test_of_many_writers_one_wins(store: Store, request: pytest.FixtureRequest) -> None:
    """Three processes of four threads each put the same keys at the same time."""
    keys, arguments = 25, [store.uri]
    if not isinstance(store, FolderStore):
        arguments.append(request.getfixturevalue("credentials").endpoint)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "jobs")}
    with ExitStack() as stack:
        contenders = []
        for name in "abc":
            command = [sys.executable, str(Path(__file__).with_name("contender.py")), name, "4", str(keys), *arguments]
            contender = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(contender.kill)
            contenders.append(stack.enter_context(contender))
        for contender in contenders:
            assert contender.stdout is not None
            assert contender.stdout.readline() == "ready\n"
        won = "".join(contender.communicate(timeout=60)[0] for contender in _started(contenders)).splitlines()
        assert [contender.returncode for contender in contenders] == [0, 0, 0]
    assert sorted(line.split()[0] for line in won) == sorted(f"race/{number}" for number in range(keys))
    for line in won:
        key, writer = line.split()
        assert store.get(key) == writer.encode()


def _started(contenders: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """Let all go before the first is waited for."""
    for contender in contenders:
        assert contender.stdin is not None
        contender.stdin.write("go\n")
        contender.stdin.flush()
    return contenders


def test_a_reader_sees_a_whole_object(store: Store) -> None:
    """While it is replaced over and over."""
    versions = [bytes([number]) * 300_000 for number in range(8)]
    store.put("a", versions[0])
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(_put_each, store, versions * 3) for _ in range(2)]
        seen = pool.submit(lambda: {store.get("a") for _ in range(60)}).result()
        for writer in writers:
            writer.result()
    assert seen <= set(versions)


def _put_each(store: Store, versions: list[bytes]) -> None:
    for version in versions:
        store.put("a", version)
