from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.errors import TransientError
from tiltyard_jobs.shard import checkpoints as checkpoints_module
from tiltyard_jobs.shard.checkpoints import Checkpoints
from tiltyard_jobs.shard.journal import Journal, PartLog
from tiltyard_jobs.shard.recordlog import RecordLog
from tiltyard_jobs.store.base import ObjectInfo
from tiltyard_jobs.store.folder import FolderStore

PREFIXES = ("checkpoints/answer/aa/00000/", "checkpoints/answer/bb/00000/")


class MemoryStore(FolderStore):
    """The chunks' store without a disk, for the property test; counts and fails puts on demand."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.objects: dict[str, bytes] = {}
        self.failing = False

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def put_new(self, key: str, data: bytes) -> bool:
        if self.failing:
            raise TransientError("503")
        return self.objects.setdefault(key, data) is data

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter([ObjectInfo(k, len(self.objects[k])) for k in sorted(self.objects) if k.startswith(prefix)])

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


@contextmanager
def journal_in(folder: Path, store: FolderStore | None) -> Iterator[Journal]:
    folder.mkdir(exist_ok=True)
    parts = [
        PartLog(RecordLog(folder / str(part)), Checkpoints(store, prefix) if store is not None else None)
        for part, prefix in enumerate(PREFIXES)
    ]
    with Journal(parts) as journal:
        journal.restore()
        yield journal


def contents(journal: Journal) -> dict[tuple[int, int], bytes]:
    return {key: journal.get(*key) for key in journal}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_what_was_exported_survives_the_machine(tmp_path: Path, store: FolderStore) -> None:
    with journal_in(tmp_path / "node1", store) as journal:
        journal.append(0, 0, b"a")
        journal.append(1, 7, b"b")
        journal.export()
        journal.append(0, 1, b"lost")
    with journal_in(tmp_path / "node2", store) as journal:
        assert contents(journal) == {(0, 0): b"a", (1, 7): b"b"}
        assert (journal.done(0), journal.done(1)) == (1, 1)
        assert (0, 1) not in journal
        journal.append(0, 1, b"again")
        journal.export()
    with journal_in(tmp_path / "node3", store) as journal:
        assert contents(journal) == {(0, 0): b"a", (1, 7): b"b", (0, 1): b"again"}


def test_only_what_changed_is_exported(tmp_path: Path, store: FolderStore) -> None:
    with journal_in(tmp_path / "node1", store) as journal:
        journal.append(0, 0, b"a" * 100)
        journal.export()
        journal.export()
        journal.append(0, 1, b"b")
        journal.export()
    sizes = [info.size for info in store.list("checkpoints/")]
    assert sizes == [112, 13]
    with journal_in(tmp_path / "node1", store) as journal:
        journal.export()
    assert len(list(store.list("checkpoints/"))) == 2


def test_the_local_file_comes_before_the_checkpoints(tmp_path: Path, store: FolderStore) -> None:
    with journal_in(tmp_path / "node1", store) as journal:
        journal.append(0, 0, b"old")
        journal.append(0, 1, b"old")
        journal.export()
        journal.forget(0, 0)
        journal.append(0, 2, b"unexported")
    with journal_in(tmp_path / "node1", store) as journal:
        assert contents(journal) == {(0, 1): b"old", (0, 2): b"unexported"}
        journal.export()
    with journal_in(tmp_path / "node2", store) as journal:
        assert contents(journal) == {(0, 1): b"old", (0, 2): b"unexported"}


def test_without_checkpoints_nothing_is_exported(tmp_path: Path) -> None:
    with journal_in(tmp_path / "node1", None) as journal:
        assert not journal.exports
        journal.append(0, 0, b"a")
        journal.export()
        journal.discard(0)
    with journal_in(tmp_path / "node1", None) as journal:
        assert contents(journal) == {(0, 0): b"a"}


def test_sealed_parts_lose_their_checkpoints_alone(tmp_path: Path, store: FolderStore) -> None:
    with journal_in(tmp_path / "node1", store) as journal:
        journal.append(0, 0, b"a")
        journal.append(1, 0, b"b")
        journal.export()
        journal.discard(0)
    assert [info.key for info in store.list("checkpoints/")] == [f"{PREFIXES[1]}00000000.journal"]


def test_a_damaged_chunk_costs_what_it_held(tmp_path: Path, store: FolderStore) -> None:
    with journal_in(tmp_path / "node1", store) as journal:
        for row in range(3):
            journal.append(0, row, b"payload")
            journal.export()
    store.put(f"{PREFIXES[0]}00000001.journal", b"rubbish")
    store.put(f"{PREFIXES[0]}notes.txt", b"not ours")
    with journal_in(tmp_path / "node2", store) as journal:
        assert [row for _, row in journal] == [0, 2]


def test_a_failed_export_is_made_up_for(tmp_path: Path) -> None:
    store = MemoryStore()
    with journal_in(tmp_path / "node1", store) as journal:
        journal.append(0, 0, b"a")
        store.failing = True
        with pytest.raises(TransientError):
            journal.export()
        journal.append(0, 1, b"b")
        store.failing = False
        journal.export()
    with journal_in(tmp_path / "node2", store) as journal:
        assert contents(journal) == {(0, 0): b"a", (0, 1): b"b"}


def test_two_nodes_at_one_part_do_not_overwrite_each_other(tmp_path: Path, store: FolderStore) -> None:
    with journal_in(tmp_path / "node1", store) as first, journal_in(tmp_path / "node2", store) as second:
        first.append(0, 0, b"first")
        second.append(0, 1, b"second")
        first.export()
        second.export()
    with journal_in(tmp_path / "node3", store) as journal:
        assert contents(journal) == {(0, 0): b"first", (0, 1): b"second"}


def test_large_exports_are_cut_into_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints_module, "CHUNK_BYTES", 100)
    store = MemoryStore()
    with journal_in(tmp_path / "node1", store) as journal:
        for row in range(20):
            journal.append(0, row, b"x" * 30)
        journal.export()
    assert max(map(len, store.objects.values())) <= 142
    with journal_in(tmp_path / "node2", store) as journal:
        assert journal.done(0) == 20


rows = st.tuples(st.integers(0, 1), st.integers(0, 5))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), rows),
        st.tuples(st.just("forget"), rows),
        st.tuples(st.sampled_from(["export", "restart", "move"]), st.just((0, 0))),
    ),
    max_size=25,
)


@given(steps)
@settings(deadline=None, max_examples=60)
def test_nothing_exported_is_lost_and_nothing_forgotten_comes_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, tuple[int, int]]]
) -> None:
    root = tmp_path_factory.mktemp("nodes")
    store, node = MemoryStore(), 0
    local: dict[tuple[int, int], bytes] = {}
    exported: dict[tuple[int, int], bytes] = {}
    count = 0
    pending = [*steps, ("export", (0, 0)), ("move", (0, 0))]
    while pending:
        with journal_in(root / str(node), store) as journal:
            assert contents(journal) == local
            while pending:
                step, key = pending.pop(0)
                if step == "append":
                    count += 1
                    local[key] = b"%d" % count
                    journal.append(*key, local[key])
                elif step == "forget":
                    journal.forget(*key)
                    local.pop(key, None)
                elif step == "export":
                    journal.export()
                    exported = dict(local)
                else:
                    break
                assert contents(journal) == local
        if step == "move":
            node += 1
            local = dict(exported)
