from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.results import columns
from tiltyard_jobs.results.run_tables import PREFERENCE, SFT
from tiltyard_jobs.shard import tables
from tiltyard_jobs.shard.tables import TableWriter, count_rows, iter_rows

SCHEMA = columns.table(
    {"id": columns.integer("a number", 32), "text": columns.text("a text"), "void": columns.text("a text")}
)


def write(path: Path, rows: list[dict[str, Any]]) -> int:
    with TableWriter(path, SCHEMA) as table:
        for row in rows:
            table.write(row)
        return table.close()


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": i, "text": f"row {i}", "void": "Empty" if i % 9 == 0 else None} for i in range(count)]


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 3000])
def test_rows_come_back_in_order(tmp_path: Path, count: int) -> None:
    path = tmp_path / "rows.parquet"
    assert write(path, rows(count)) == count
    assert list(iter_rows(path)) == rows(count)
    assert count_rows(path) == count
    assert pq.ParquetFile(path).num_row_groups == -(-count // 1024)
    assert pq.read_schema(path).equals(SCHEMA)


def test_what_columns_mean_is_no_part_of_the_bytes(tmp_path: Path) -> None:
    assert all(columns.meaning(field) for field in SCHEMA)
    files = [tmp_path / "described.parquet", tmp_path / "plain.parquet"]
    for path, schema in zip(files, (SCHEMA, pa.schema([field.remove_metadata() for field in SCHEMA])), strict=True):
        with TableWriter(path, schema) as table:
            for row in rows(3):
                table.write(row)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert all(field.metadata is None for field in pq.read_schema(files[0]))


@given(st.integers(0, 60), st.integers(0, 70), st.one_of(st.none(), st.integers(0, 70)))
@settings(deadline=None, max_examples=40)
def test_a_range_is_a_slice(tmp_path_factory: pytest.TempPathFactory, count: int, start: int, stop: int | None) -> None:
    path = tmp_path_factory.getbasetemp() / f"table-{count}.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "GROUP_ROWS", 16)
        write(path, rows(count))
    assert list(iter_rows(path, ["id"], start, stop)) == [{"id": row["id"]} for row in rows(count)[start:stop]]


def test_groups_outside_the_range_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    write(path, rows(5000))
    read: list[int] = []
    read_row_group = pq.ParquetFile.read_row_group

    def spy(self: pq.ParquetFile, group: int, **options: Any) -> pa.Table:
        read.append(group)
        return read_row_group(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    assert [row["id"] for row in iter_rows(path, start=2000, stop=2100)] == list(range(2000, 2100))
    assert read == [1, 2]


def test_a_group_of_long_texts_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROUP_BYTES", 1000)
    path = tmp_path / "rows.parquet"
    long = [{"id": i, "text": "x" * 400, "void": None} for i in range(10)]
    write(path, long)
    assert pq.ParquetFile(path).num_row_groups == 4
    assert list(iter_rows(path, start=4, stop=7)) == long[4:7]


def test_turns_of_conversations_count_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROUP_BYTES", 1000)
    path = tmp_path / "sft.parquet"
    turns = [{"role": "user", "content": "x" * 200}, {"role": "assistant", "content": "y" * 200}]
    with TableWriter(path, pa.schema([("messages", SFT.field("messages").type)])) as table:
        for _ in range(9):
            table.write({"messages": turns})
    assert pq.ParquetFile(path).num_row_groups == 3


@pytest.mark.parametrize("letter", ["x", "\u4e00", "\U0001f701"], ids=["one byte", "three bytes", "four bytes"])
def test_no_row_group_of_long_replies_is_larger_than_its_bound_and_a_row(tmp_path: Path, letter: str) -> None:
    """In bytes: 100,000 characters may be 400,000 of them."""
    path, reply = tmp_path / "preference.parquet", 100_000
    turn = [{"role": "assistant", "content": letter * reply}]
    with TableWriter(path, pa.schema([PREFERENCE.field(name) for name in ("chosen", "rejected")])) as table:
        for number in range(90):
            table.write({"chosen": [{"role": "assistant", "content": f"{number}" + letter * reply}], "rejected": turn})
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    row = 2 * reply * len(letter.encode()) + 1000
    assert max(group.nbytes for group in groups) <= tables.GROUP_BYTES + row
    assert min(group.nbytes for group in groups[:-1]) >= tables.GROUP_BYTES


def test_absent_columns_are_null_and_unknown_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write(path, [{"id": 1}])
    assert list(iter_rows(path)) == [{"id": 1, "text": None, "void": None}]
    with pytest.raises(KeyError, match="colour"):
        write(path, [{"id": 1, "colour": "red"}])


@pytest.mark.parametrize("value", [2**31, "seven", float("nan")])
def test_a_value_that_does_not_fit_is_named_by_column_not_by_content(tmp_path: Path, value: object) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(PermanentError, match=r"rows\.parquet: a value in rows 0 to 0 is no int32 \(id\)\.$"):
        write(path, [{"id": value}])
    assert not path.exists()
