"""Files as users have them. They are a few bytes in a temporary folder: the reader's interface is a URI."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import check_texts, read_texts

STORE = StoreRef(uri="file:///nowhere")
KINDS = ("jsonl", "ndjson", "json", "csv", "parquet")


def written(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """A file of the kind that its name says; its URI."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(text.getvalue().encode())
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.as_uri()


def refusal(path: Path, data: bytes, column: str = "text", also: str | None = None) -> str:
    """The sentence that a file is refused with, without the file's own name."""
    path.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        list(read_texts(path.as_uri(), column, STORE, also=also))
    return str(caught.value).removeprefix(str(path)).strip(": ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_texts(tmp_path: Path, kind: str) -> None:
    rows = [
        {"text": "Sort a list.", "who": "ada"},
        {"text": " \n\t", "who": "ada"},  # blank: passed over
        {"text": 'Say "naïve, 日本"\nand stop.', "who": "bob"},
    ]
    uri = written(tmp_path / f"näme with space.{kind}", rows)
    assert list(read_texts(uri, "text", STORE)) == [("Sort a list.", None), ('Say "naïve, 日本"\nand stop.', None)]
    assert [name for _, name in read_texts(uri, "text", STORE, also="who")] == ["ada", "bob"]
    assert check_texts(uri, "text", STORE, also="who", names=("ada", "bob")) == (2, 0)


def test_what_spreadsheets_and_editors_leave_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\r\n   \n{"text": null}\n{"text": "two"}')
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]
    path = tmp_path / "A.CSV"
    path.write_bytes(b"\xef\xbb\xbftext,n\r\none,1\r\n,2\r\ntwo\r\n")
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]
    path = tmp_path / "array.jsonl"  # by its content
    path.write_bytes(b' [{"text": "one"}, {"text": "two"}]')
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.jsonl", b'{"other": 1, "id": 2}', "has no 'text' in record 1; it has id, other"),
        ("a.jsonl", b'{"text": "a"}\n{}', "has no 'text' in record 2; it has nothing"),
        ("a.jsonl", b'{"text": 7}', "'text' is not text in record 1"),
        ("a.jsonl", b'{"text": ["a"]}', "'text' is not text in record 1"),
        ("a.jsonl", b'\n{"text": "a"}\n{"text": ', "line 3 is not JSON: unexpected end of data"),
        ("a.jsonl", b'{"text": "\xff"}', "line 1 is not JSON: str is not valid UTF-8"),
        ("a.jsonl", b'{"text": "\\ud800"}', "line 1 is not JSON: no low surrogate"),
        ("a.jsonl", b'"a"', "line 1 is not a JSON object"),
        ("a.json", b'["a"]', "record 1 is not a JSON object"),
        ("a.json", b'[{"text": "a"}', "is not a JSON array of objects: unexpected end of data"),
        ("a.csv", b"other,id\na,b\n", "has no 'text' in record 1; it has id, other"),
        ("a.csv", b"text\n\xff\n", "is not a CSV file: 'utf-8' codec can't decode byte 0xff"),
        ("a.csv", b'text\n"never closed', "is not a CSV file: unexpected end of data"),
        ("a.parquet", b"PAR1 and no more", "is not a complete parquet file (ArrowInvalid)"),
        ("a.txt", b"Sort a list.", "must end in .jsonl, .ndjson, .json, .csv or .parquet"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    assert refusal(tmp_path / name, data).startswith(sentence)


def test_parquet_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": ["a"], "raw": [b"a"]}), path)
    data = path.read_bytes()
    assert refusal(path, data) == "has no column 'text'; it has other, raw"
    assert refusal(path, data, column="raw") == "'raw' is not text in record 1"
    assert refusal(path, data, column="other", also="who") == "has no column 'who'; it has other, raw"
    assert refusal(path, data[:-20]).startswith("is not a complete parquet file")
    pq.write_table(pa.table({"text": pa.array([b"\xff"]).view(pa.string())}), path)
    assert refusal(path, path.read_bytes()) == "is not a complete parquet file (UnicodeDecodeError)"


def test_a_second_column_must_be_there_and_name_somebody(tmp_path: Path) -> None:
    uri = written(tmp_path / "a.jsonl", [{"text": "a", "who": "ada"}, {"text": "b", "who": None}])
    with pytest.raises(ConfigurationError, match=r": 'who' is 'None' beside text 2, but must be one of ada, bob$"):
        check_texts(uri, "text", STORE, also="who", names=("bob", "ada"))
    assert refusal(tmp_path / "b.jsonl", b'{"text": "a"}', also="who") == "has no 'who' in record 1; it has text"


@pytest.mark.parametrize("rows", [b"", b"[]", b'{"text": ""}\n{"text": null}'])
def test_a_file_without_texts(tmp_path: Path, rows: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(rows)
    assert list(read_texts(path.as_uri(), "text", STORE)) == []
    with pytest.raises(ConfigurationError, match=r"a\.jsonl has no text in 'text'$"):
        check_texts(path.as_uri(), "text", STORE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no such.jsonl cannot be read: No such file or directory$"):
        check_texts((tmp_path / "no such.jsonl").as_uri(), "text", STORE)
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory$"):
        check_texts(tmp_path.as_uri(), "text", STORE)


@given(data=st.binary(max_size=200), kind=st.sampled_from(KINDS))
@settings(deadline=None, max_examples=100)
def test_no_bytes_crash_it(tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    path.write_bytes(data)
    try:
        texts = list(read_texts(path.as_uri(), "text", STORE))
    except ConfigurationError:
        return
    assert all(text.strip() for text, _ in texts)
