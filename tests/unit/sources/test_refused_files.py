"""What is wrong with a user's file is said in one sentence, and no bytes crash the reader."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.text_files import KINDS, STORE, parquet, refusal, written
from tiltyard_jobs.contracts.textstream import LONGEST
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import TextsFound, check_texts, read_texts


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.jsonl", b'{"other": 1, "id": 2}', "has no 'text'; its first record has id, other"),
        ("a.jsonl", b'{"text": 7}', "'text' is a number in line 1, but must be text"),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": ["a"]}', "'text' is a list in line 3, but must be text"),
        (
            "a.jsonl",
            b'\n{"text": "a"}\n{"text": ',
            "line 3 is not JSON: Expecting value at character 10 (the file is",
        ),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b", x}\n', "line 2 is not JSON: Expecting property name"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}', "line 2 is not UTF-8 (invalid start byte): save the file as"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\\ud83d b"}', "line 2 has half of a character (a lone surrogate): the"),
        ("a.jsonl", b'{"text": "a", "score": NaN}', "line 1 is not JSON: NaN is not a number in JSON; write null"),
        ("a.jsonl", b'{"text": "a"}\n\x00\x00', "line 2 holds a NUL byte: the file is damaged, or not text; write"),
        ("a.txt", b"a\0b", "line 1 holds a NUL byte: the file is damaged, or not text; write it again as UTF-8"),
        ("a.txt", b"a\0b\n", "line 1 holds a NUL byte: the file is damaged, or not text; write it again as UTF-8"),
        ("a.txt", b"S\0ort a list.\n", "line 1 holds a NUL byte: the file is damaged, or not text; write it again as"),
        ("a.txt", b"Sort.\n" * 50_000 + b"Rev\0erse.\n", "line 50001 holds a NUL byte: the file is damaged, or not"),
        ("a.csv", b"text\nSort.\nRev\0erse.\n", "line 3 holds a NUL byte: the file is damaged, or not text; write it"),
        (
            "a.jsonl",
            b'{"text": "a"}\n{"text": "b", "n": -' + b"7" * 5000 + b"}\n",
            "line 2 has a number of 5,000 digits: put it in quotes, as text, or leave it out",
        ),
        (
            "a.json",
            b'[{"text": "a"}, {"text": "b", "n": ' + b"7" * 5000 + b"}]",
            "record 2 has a number of 5,000 digits: put it in quotes, as text, or leave it out",
        ),
        (
            "a.json",
            b'{"1": {"text": "a"}, "2": {"text": "b"}}',
            "has no 'text'; its first record has 1, 2; it is one object of 2 records: write them as an array, for"
            " example by `jq '[to_entries[] | {id: .key} + .value]' FILE > list.json`",
        ),
        (
            "a.json",
            b'{\n"1": {"text": "a"}\n}',
            "has a JSON object over several lines: write one record in each line (`jq -c . FILE > list.jsonl` does), or"
            " put the records into one array (`jq '[to_entries[] | {id: .key} + .value]' FILE > list.json` does where"
            " they have names)",
        ),
        (
            "a.jsonl",
            b"version https://git-lfs.github.com/spec/v1\noid x",
            "is a Git LFS pointer and not the file itself",
        ),
        ("a.jsonl", b" \n", "is empty"),
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\x1f\x8b\x08\x00torn", "is a truncated gzip file ("),
        ("a.jsonl", b"PAR1 and no more", "is a parquet file by its first bytes: rename it to end in .parquet"),
        (
            "a.jsonl",
            b"prompt,id\nSort,1",
            "line 1 is not JSON: Expecting value; a CSV file must end in .csv",
        ),
        ("a.jsonl", b"7", "line 1 is not a JSON object"),
        ("a.json", b'{\n"data": []\n}', "has a JSON object over several lines: write one record in each line (`jq"),
        ("a.json", b"[7]", "record 1 is not a JSON object"),
        (
            "a.json",
            b'{"data": [{"text": "a"}]}',
            "has no 'text'; its first record has data; its 'data' is a list of rec",
        ),
        ("a.jsonl", b"<!DOCTYPE html>\n<html>", "is a web page: download the file itself, in its raw form"),
        ("a.csv", b"PK\x03\x04\x14\x00", "is a ZIP archive or a spreadsheet by its first bytes: unpack it, or save it"),
        ("a.csv", b'{"text": "a"}\n', "is JSON Lines by its first line: rename it to end in .jsonl"),
        ("a.txt", b'\n{"text": "a"}\n{', "is JSON Lines by its first line: rename it to end in .jsonl"),
        ("a.parquet", b'{"text": "a"}\n', "is not a parquet file by its first bytes: correct the end of its name"),
        ("a.arrow", b"ARROW1 and no more", "is not a complete Arrow file (ArrowInvalid): fetch or write it again"),
        ("a.csv", b"sep=;\ntext;id\nA;1;2\n", "line 3 has 3 cells, but the header has 2 (text, id): put a text with"),
        (
            "a.csv",
            b"id, Text\n1,a\n",
            "has no 'text'; the columns, by its first line, are  Text, id; write field: \" Text\"",
        ),
        (
            "a.csv",
            b"id,text,,\n1,Sort a list, then print it,\n",
            "line 2 has 4 cells, but the header has 2 (id, text): put a text with a comma in it into double quotes",
        ),
        ("a.csv", b"id,text,\n1\n", "line 2 has 1 cell, but the header has 2 (id, text): write an empty cell for"),
        ("a.csv", b"id,text,text,\n1,a,b,\n", "line 1 names two columns 'text': give each a name of its own"),
        ("a.jsonl", b'# made by hand\n{"text": "a"}\n', "line 1 is a comment, which JSON does not have: leave it out"),
        ("a.jsonl", b'{"text": "a"}\n// no\n', "line 2 is a comment, which JSON does not have: leave it out"),
        ("a.json", b'[\n{"text": "a"},\n// no\n{"text": "b"}]', "line 3 is a comment, which JSON does not have: leave"),
        ("a.jsonl", b'{"text": "a",}\n', "line 1 has a comma before } at character 14: leave it out"),
        ("a.json", b'[{"text": "a"},\n]', "line 2 has a comma before ]: leave it out"),
        ("a.csv", b"id,text\n1,a,\n", "line 2 has 3 cells, but the header has 2 (id, text): take a comma off its end"),
        ("a.jsonl", b'{"text": "a"},\n{"text": "b"}', "line 1 ends in a comma: leave it out"),
        ("a.jsonl", b'{"text": "a"}{"text": "b"}', "line 1 holds more than one record: write each in its own line"),
        ("a.jsonl", b'{"text": "a\nb"}\n', "line 1 has a line break or another control character in a text, at"),
        ("a.jsonl", b'{"text": "a", "text": "b"}\n', "line 1 is not JSON: it names 'text' twice; give each a name of"),
        ("a.json", b'[{"text": "a"}', "line 1 is not JSON: Expecting ',' delimiter (the file is truncated there)"),
        ("a.json", b"[" * 100_000, "record 1 is nested too deeply"),
        (
            "a.csv",
            b"1,Sort a list\n2,Reverse it\n",
            "has no 'text'; the columns, by its first line, are 1, Sort a list; if these are not names, put a line with"
            " the names of the columns before it",
        ),
        (
            "a.json",
            b'{"prompts": ["Sort.", "Reverse."]}',
            "has no 'text'; its first record has prompts; its 'prompts' is a list of texts: write that list into a file"
            " of its own, for example by `jq .prompts FILE > list.json`",
        ),
        ("a.jsonl", b'{"text": "a"}\n{"text": "Sort', "line 2 is not JSON: Unterminated string starting at character"),
        ("a.jsonl", b'{"text": "a"}\n a list."}\n', "line 2 is not JSON: a record begins with {, and this may be"),
        ("a.csv", b"\xff\xfe\x00\xd8\n\x00", "line 1 is not UTF-16 (illegal UTF-16 surrogate): save the file as UTF-8"),
        ("a.txt", b"a\n" * 50_000 + b"\xff", "line 50001 is not UTF-8 (invalid start byte): save the file as UTF-8"),
        ("a.csv", b"text\n\xff\n", "line 2 is not UTF-8 (invalid start byte)"),
        ("a.csv", b'text\n"never closed', "line 2 is not CSV: unexpected end of data"),
        (
            "a.csv",
            b'text,id\n"Sort,\nthen print",1\nSort a list, then print,2\n',
            "line 4 has 3 cells, but the header has 2 (text, id): put a text with a comma in it into double quotes",
        ),
        ("a.csv", b"id,text\n1,Sort\n2\n", "line 3 has 1 cell, but the header has 2 (id, text)"),
        ("a.csv", b"text,id,text\nA,1,B\n", "line 1 names two columns 'text': give each a name of its own"),
        ("a.parquet", b"PAR1 and no more", "is not a complete parquet file (ArrowInvalid)"),
        (
            "a.csv",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
            "is a spreadsheet or a document of Office by its",
        ),
        ("a.csv", b"SQLite format 3\0" + bytes(99), "is an SQLite database by its first bytes: write its table as CSV"),
        ("a.csv", b'[{"text": "a"}]', "is JSON by its first line: rename it to end in .json"),
        ("a.tsv", b'[\n  {\n "text": "a"}]', "is JSON by its first line: rename it to end in .json"),
        ("a.txt", b'[\n  {"text": "a"}]', "is JSON by its first line: rename it to end in .json"),
        (
            "a.tsv",
            b"id,text\n1,a\n",
            "has no 'text'; the columns, by its first line, are id,text; there is no tab",
        ),
        ("a.jsonl", b'{"text": "a\\u0000b"}', "line 1 holds a NUL character: the text is damaged; write it again"),
        (
            "a.md",
            b"Sort a list.",
            "must end in .jsonl, .ndjson, .json, .csv, .tsv, .txt, .parquet, .arrow, .feather, or in one of them and .",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    assert refusal(tmp_path / name, data).startswith(sentence)


def test_texts_of_tables_are_held_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    nul, long = pa.table({"text": ["a\0b"]}), pa.table({"text": ["a", "b" * (LONGEST + 1)]})
    assert refusal(path, parquet(nul)) == "row 1 holds a NUL character: the text is damaged; write it again"
    assert refusal(path, parquet(long)) == "row 2 has a text of more than 16 Mi characters: shorten it"


def test_what_is_packed_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert refusal(path, gzip.compress(gzip.compress(b'{"text": "a"}'))) == "is compressed twice: decompress it once"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.jsonl"))
    for archive in (packed.getvalue(), bz2.compress(packed.getvalue())):
        assert refusal(path, archive) == "is a tar archive: unpack it"


BAD = b'{"text": "a"}\n{"text": 1}\n[]\n{"text": "b", x}\n{"text": "c \\ud83d"}\n\n{"text": ["d"]}\n7\n{"text": "e"}\n'


def test_all_bad_rows_are_counted_and_may_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert refusal(path, BAD) == (
        "'text' is a number in line 2, but must be text"
        " (6 bad rows: line 2, line 3, line 4, line 5, line 7, …; onBadRow: Skip skips those of instructions and"
        " answers)"
    )
    found = check_texts(path.as_uri(), "text", STORE, on_bad_row="Skip")
    assert found == TextsFound(2, bad=6, bad_places="line 2, line 3, line 4, line 5, line 7, …", longest=1)
    path.write_bytes(b"7\n")
    with pytest.raises(ConfigurationError, match=r"a\.jsonl: line 1 is not a JSON object$"):
        check_texts(path.as_uri(), "text", STORE, on_bad_row="Skip")
    path.write_bytes(b"text,id\na,1\nb,c,2\nd,3\n")
    (tmp_path / "a.csv").write_bytes(path.read_bytes())
    found = check_texts((tmp_path / "a.csv").as_uri(), "text", STORE, on_bad_row="Skip")
    assert found == TextsFound(2, bad=1, bad_places="line 3", longest=1)


def test_a_second_column_must_be_there_and_name_somebody(tmp_path: Path) -> None:
    uri = written(tmp_path / "a.jsonl", [{"text": "a", "who": "ada"}, {"text": "b", "who": None}])
    with pytest.raises(ConfigurationError, match=r": 'who' is 'None' beside text 2, but must be one of ada, bob$"):
        check_texts(uri, "text", STORE, also="who", names=("bob", "ada"))
    assert refusal(tmp_path / "b.jsonl", b'{"text": "a"}', also="who") == "line 1 has no 'who'; it has text"


@pytest.mark.parametrize("rows", [b"[]", b'{"text": ""}\n{"text": null}'])
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


@given(data=st.binary(max_size=200), kind=st.sampled_from((*KINDS, "tsv", "txt", "arrow", "feather")))
@example(data=b"\xff\xfe\x00\xd8\n\x00", kind="csv")
@example(data=b"\xef\xbb\xbf[\xff", kind="json")
@settings(deadline=None, max_examples=100)
def test_no_bytes_crash_it(tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    path.write_bytes(data)
    try:
        texts = list(read_texts(path.as_uri(), "text", STORE))
    except ConfigurationError:
        return
    assert all(text.strip() for text, _ in texts)


def test_wherever_a_line_is_cut_it_is_torn(tmp_path: Path) -> None:
    line = json.dumps({"prompt": 'Ä "x" \\', "n": -1, "t": True, "z": None, "l": [1, {"a": "b"}]})
    for end in range(2, len(line)):
        (tmp_path / "a.jsonl").write_text('{"prompt": "ok"}\n' + line[:end])
        with pytest.raises(ConfigurationError, match=r": line 2 is not JSON: .* \(the file is truncated there\)$"):
            check_texts((tmp_path / "a.jsonl").as_uri(), "prompt", STORE)
