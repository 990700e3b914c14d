from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.contracts.layout import Seal, seal_key
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.results import columns
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.store.folder import FolderStore

REF = ArtifactRef(stage="answer", key="ab" * 16, shards=3)
SIZES = (5, 0, 4)
SCHEMA = columns.table({"id": columns.integer("a number"), "text": columns.text("a text")})


def table(path: Path, first: int, count: int, text: str = "") -> Path:
    with TableWriter(path, SCHEMA) as writer:
        for row in range(first, first + count):
            writer.write({"id": row, "text": text})
    return path


def publish_all(artifacts: Artifacts, folder: Path) -> list[Seal]:
    first, seals = 0, []
    for shard, count in enumerate(SIZES):
        path = table(folder / f"{shard}.parquet", first, count)
        seals.append(artifacts.publish(REF, shard, {"rows": path}, rows=count, voids={"Empty": 1}, prompt_tokens=7))
        first += count
    return seals


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def artifacts(tmp_path: Path, store: FolderStore) -> Artifacts:
    return Artifacts(store, tmp_path / "cache")


def test_what_is_published_is_found_by_others(artifacts: Artifacts, store: FolderStore, tmp_path: Path) -> None:
    seals = publish_all(artifacts, tmp_path)
    other = Artifacts(store, tmp_path / "elsewhere")
    assert other.require(REF) == seals
    assert (seals[0].rows, seals[0].voids, seals[0].prompt_tokens) == (5, {"Empty": 1}, 7)
    sealed = seals[2].files["rows"]
    assert sealed.rows == 4
    assert sealed.path == f"answer/{REF.key}/00002.{sealed.sha256[:16]}.rows.parquet"
    assert [row["id"] for row in other.rows(REF)] == list(range(9))


@given(st.integers(0, 11), st.one_of(st.none(), st.integers(0, 11)))
@settings(deadline=None, max_examples=30)
def test_rows_are_counted_over_the_parts(
    tmp_path_factory: pytest.TempPathFactory, start: int, stop: int | None
) -> None:
    root = tmp_path_factory.getbasetemp() / "ranges"
    root.mkdir(exist_ok=True)
    artifacts = Artifacts(FolderStore(root / "store"), root / "cache")
    if artifacts.seal(REF, 0) is None:
        publish_all(artifacts, root)
    found = list(artifacts.rows(REF, columns=["id"], start=start, stop=stop))
    assert found == [{"id": row} for row in range(9)[start:stop]]


def test_only_the_parts_in_the_range_are_downloaded(artifacts: Artifacts, tmp_path: Path) -> None:
    seals = publish_all(artifacts, tmp_path)
    list(artifacts.rows(REF, start=5))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{seals[2].files['rows'].sha256}.parquet"]


def test_a_missing_part_is_named(artifacts: Artifacts, store: FolderStore, tmp_path: Path) -> None:
    publish_all(artifacts, tmp_path)
    store.delete(seal_key(REF, 1))
    other = Artifacts(store, tmp_path / "elsewhere")
    assert [seal is None for seal in other.seals((REF, shard) for shard in range(3))] == [False, True, False]
    with pytest.raises(PermanentError, match=rf"answer/{REF.key}/00001\.json: this input is not in"):
        other.require(REF)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is damaged"),
        (b"\xff", "is damaged"),
        (b'{"stage": "answer"}', "is damaged"),
        (Seal(stage="answer", key=REF.key, shard=2, files={}).canonical(), "of another part"),
    ],
)
def test_a_corrupt_seal_is_named(artifacts: Artifacts, store: FolderStore, content: bytes, message: str) -> None:
    store.put(seal_key(REF, 0), content)
    with pytest.raises(PermanentError, match=rf"answer/{REF.key}/00000\.json .*{message}"):
        artifacts.seal(REF, 0)


def test_a_file_that_was_cut_short_is_not_read(artifacts: Artifacts, store: FolderStore, tmp_path: Path) -> None:
    sealed = publish_all(artifacts, tmp_path)[0].files["rows"]
    data = store.get(sealed.path)
    assert data is not None
    store.put(sealed.path, data[:-1])
    with pytest.raises(PermanentError, match="damaged"):
        list(artifacts.rows(REF))
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(("left", "sentence"), [(b"PAR1", "is damaged or cut short"), (None, "There is no object")])
def test_what_to_delete_is_said_where_a_file_is_damaged_or_gone(
    artifacts: Artifacts, store: FolderStore, tmp_path: Path, left: bytes | None, sentence: str
) -> None:
    (first, *_) = publish_all(artifacts, tmp_path)
    file = tmp_path / "store" / first.files["rows"].path
    if left is None:
        file.unlink()
    else:
        file.write_bytes(left)
    other = Artifacts(store, tmp_path / "elsewhere")
    with pytest.raises(
        PermanentError, match=f"{sentence}.*; delete {seal_key(REF, 0)} too, so that the next run"
    ) as told:
        list(other.rows(REF))
    assert ".;" not in str(told.value)
    (tmp_path / "store" / seal_key(REF, 0)).unlink()
    assert Artifacts(store, tmp_path / "later").seal(REF, 0) is None


def test_an_unknown_table_is_named(artifacts: Artifacts, tmp_path: Path) -> None:
    publish_all(artifacts, tmp_path)
    with pytest.raises(PermanentError, match="names no table 'grades'"):
        list(artifacts.rows(REF, table="grades"))


def test_of_many_writers_one_seals_and_nothing_else_is_left(store: FolderStore, tmp_path: Path) -> None:
    writers = 6
    barrier = threading.Barrier(writers)

    def write(number: int) -> Seal:
        folder = tmp_path / str(number)
        folder.mkdir()
        path = table(folder / "rows.parquet", 0, 3, text=f"by {number // 2}")  # two and two agree
        barrier.wait()
        return Artifacts(store, folder / "cache").publish(REF, 0, {"rows": path}, rows=3)

    with ThreadPoolExecutor(writers) as pool:
        seals = list(pool.map(write, range(writers)))
    assert len(set(map(Seal.canonical, seals))) == 1
    keys = [info.key for info in store.list("")]
    assert sorted(keys) == sorted([seal_key(REF, 0), seals[0].files["rows"].path])
    part = ArtifactRef(stage="answer", key=REF.key, shards=1)
    assert len(list(Artifacts(store, tmp_path / "check").rows(part))) == 3


def test_files_that_are_no_tables_keep_their_extension(artifacts: Artifacts, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>")
    sealed = artifacts.publish(REF, 0, {"report": page}).files["report"]
    assert sealed.path.endswith(".report.html")
    assert (sealed.rows, sealed.size) == (0, 3)
    assert artifacts.fetch(sealed).read_text() == "<p>"
