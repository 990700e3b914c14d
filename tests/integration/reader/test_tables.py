"""Tables that a reader takes rows from."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.reader.tables import Piece, Table, TableFile
from tiltyard_jobs.store.folder import FolderStore

GROUPS, ROWS = 5, 4


def test_of_a_row_only_its_row_group_is_read(tmp_path: Path) -> None:
    """All others are damaged: whoever reads them fails."""
    path = tmp_path / "answers.parquet"
    texts = [f"Answer {number}." for number in range(GROUPS * ROWS)]
    pq.write_table(pa.table({"answer": texts}), path, row_group_size=ROWS, use_dictionary=False)
    data, metadata = bytearray(path.read_bytes()), pq.read_metadata(path)
    for group in {*range(GROUPS)} - {2}:
        column = metadata.row_group(group).column(0)
        end = column.data_page_offset + column.total_compressed_size
        data[column.data_page_offset : end] = bytes(column.total_compressed_size)
    path.write_bytes(data)
    table = Table([Piece(TableFile(FolderStore(tmp_path), path.name, len(data)))])
    inside = range(2 * ROWS, 3 * ROWS)
    assert [table.row(number, ["answer"])["answer"] for number in inside] == texts[2 * ROWS : 3 * ROWS]
    for outside in (0, GROUPS * ROWS - 1):
        with pytest.raises(PermanentError, match=r"answers.parquet in .* is damaged"):
            table.row(outside, ["answer"])
