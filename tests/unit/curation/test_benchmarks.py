import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiltyard_jobs.curation.benchmarks import KNOWN, load_known, read_texts
from tiltyard_jobs.errors import ConfigurationError


def parquet(columns: dict[str, list[object]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_humaneval_comes_from_its_package() -> None:
    texts = load_known("humaneval")
    assert len(texts) == 2 * 164
    assert "has_close_elements" in texts[0]
    assert "abs(elem - elem2)" in texts[164]


def test_known_names() -> None:
    assert KNOWN == ("humaneval", "mbpp")
    with pytest.raises(
        ConfigurationError, match=r"spec\.curation\.decontaminate: 'nope' .*humaneval, mbpp.*\{uri, field\}"
    ):
        load_known("nope")


def test_without_the_package_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ConfigurationError, match=r"spec\.curation\.decontaminate: .*install datasets, or give \{uri, field\}"
    ):
        load_known("mbpp")


def test_json_lines_and_parquet(tmp_path: Path) -> None:
    rows = ["first", "second é"]
    lines = "\n\n".join(json.dumps({"text": row, "id": 1}) for row in rows).encode()
    path = tmp_path / "file"
    path.write_bytes(lines)
    for content in (lines, path, parquet({"text": list(rows), "id": [1, 2]})):
        assert read_texts(content, field="text", uri="s3://b/x") == rows
    assert read_texts(b"", field="text", uri="x") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"text": ', r"line 2 of s3://b/x is no JSON"),
        (b'{"text": "\xff"}', r"line 1 of s3://b/x is no JSON"),
        (b'{"other": "a"}', r"no text in the field 'text' of record 1"),
        (b'["a"]', r"no text in the field 'text' of record 1"),
        (b'{"text": 7}', r"no text in the field 'text' of record 1"),
        (parquet({"other": ["a"]}), r"no column 'text'; it has other"),
        (parquet({"text": ["a", None]}), r"no text in the field 'text' of record 2"),
        (parquet({"text": ["a"]})[:-20], r"no whole parquet file"),
    ],
)
def test_bad_files_are_named(content: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.curation\.decontaminate: .*" + message):
        read_texts(content, field="text", uri="s3://b/x")
