"""Files as users have them. They are a few bytes in a temporary folder: the reader's interface is a URI."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import TextsFound, check_texts, read_texts

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
    found = check_texts(uri, "text", STORE, also="who", names=("ada", "bob"))
    assert found == TextsFound(2, blank=1)


def test_what_spreadsheets_and_editors_leave_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\r\n   \n{"text": null}\n{"text": "two"}')
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]
    path = tmp_path / "A.CSV"
    path.write_bytes(b"\xef\xbb\xbftext,n\r\none,1\r\n,2\r\n\r\ntwo,\r\n")
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]
    path = tmp_path / "array.jsonl"  # by its content
    path.write_bytes(b' [{"text": "one"}, {"text": "two"}]')
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]


TEXTS = pa.table({"text": ["näher\u2028an", "😀"]})


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def arrow(new: Callable[..., Any]) -> bytes:
    sink = io.BytesIO()
    with new(sink, TEXTS.schema) as writer:
        writer.write_table(TEXTS)
    return sink.getvalue()


LINES = b'{"text": "n\xc3\xa4her\xe2\x80\xa8an"}\n{"text": "\\ud83d\\ude00"}\n'


@pytest.mark.parametrize(
    ("name", "data", "notes"),
    [
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0), ()),
        ("a.jsonl", gzip.compress(LINES, mtime=0), ()),  # by its first bytes
        ("a.jsonl.bz2", bz2.compress(LINES), ()),
        ("a.jsonl.xz", lzma.compress(LINES), ()),
        ("a.jsonl.zst", pa.compress(LINES, codec="zstd", asbytes=True), ()),
        ("a.jsonl", LINES.decode().encode("utf-16"), ("read as UTF-16",)),
        ("a.jsonl", LINES.decode().encode("utf-16-le"), ("read as UTF-16",)),
        ("a.jsonl", LINES.decode().encode("utf-16-be"), ("read as UTF-16",)),
        (
            "a.csv",
            "id;text\r\n1;näher\u2028an\r\n2;😀\r\n".encode("utf-8-sig"),
            ("read with a semicolon between cells",),
        ),
        ("a.csv", "id\ttext\n1\tnäher\u2028an\n2\t😀\n".encode(), ("read with a tab between cells",)),
        ("a.tsv", "id\ttext\n1\tnäher\u2028an\n2\t😀\n".encode(), ()),
        ("a.csv", "sep=|\nid|text\n1|näher\u2028an\n2|😀\n".encode(), ("read with a vertical bar between cells",)),
        ("a.parquet.gz", gzip.compress(parquet(TEXTS), mtime=0), ()),
        ("a.arrow", arrow(pa.ipc.new_file), ()),
        ("a.arrow.zst", pa.compress(arrow(pa.ipc.new_stream), codec="zstd", asbytes=True), ()),
        ("a.csv", 'text,"a;b;c"\nnäher\u2028an,1\n😀,2\n'.encode(), ()),
    ],
)
def test_how_files_are_packed_and_written(tmp_path: Path, name: str, data: bytes, notes: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    texts = read_texts(path.as_uri(), "text", STORE)
    assert [text for text, _ in texts] == ["näher\u2028an", "😀"]
    assert texts.notes == notes


@pytest.mark.parametrize("text", ["A: сортируй список, потом удали повторы", "1. 一二三四五六七八九十", "Sort"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_in_any_script(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"{text}\n".encode(encoding))
    texts = read_texts(path.as_uri(), "prompt", STORE)
    assert [one for one, _ in texts] == [text]
    assert "read as UTF-16" in texts.notes


def test_texts_that_stand_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("  Sort \u2028 this.  \r\n\r\nSay {hello}.".encode())
    texts = read_texts(path.as_uri(), "prompt", STORE)
    assert [text for text, _ in texts] == ["  Sort \u2028 this.  ", "Say {hello}."]
    assert (texts.blank, texts.notes) == (1, ("read by line",))
    for name, data in (("a.json", b'["A", {"prompt": "B"}]'), ("a.jsonl", b'"A"\n"B"\n')):
        (tmp_path / name).write_bytes(data)
        assert [text for text, _ in read_texts((tmp_path / name).as_uri(), "prompt", STORE)] == ["A", "B"]
    assert refusal(path, b"Sort.") == "has no 'text'; its first record has prompt; write field: \"prompt\""


PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Sort."}]}]}
OPENAI = {"messages": [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "Sort."), ("assistant", "ok"))]}
SHAREGPT = {"conversations": [{"from": "human", "value": "Sort."}, {"from": "gpt", "value": "ok"}]}
ALPACA = {"instruction": "Sort.", "input": "[2, 1]", "output": "[1, 2]"}


@pytest.mark.parametrize(
    ("row", "advice", "text"),
    [
        (OPENAI, "messages[-2].content", "Sort."),
        (PARTS, "messages[-1].content[0].text", "Sort."),
        ({"custom_id": "1", "body": OPENAI}, "body.messages[-2].content", "Sort."),
        (SHAREGPT, "conversations[0].value", "Sort."),
        ({"prompt": [{"role": "user", "content": "Sort."}], "chosen": []}, "prompt[-1].content", "Sort."),
        ({"question_id": 81, "category": "math", "turns": ["Sort.", "Why?"]}, "turns[0]", "Sort."),
        (ALPACA, "{instruction}\n\n{input}", "Sort.\n\n[2, 1]"),
        (ALPACA | {"system": "Be terse."}, "{instruction}\n\n{input}", "Sort.\n\n[2, 1]"),
        ({"instruction": "Sort.", "context": "[2, 1]"}, "{instruction}\n\n{context}", "Sort.\n\n[2, 1]"),  # Dolly's
        ({"instruction": "Sort.", "response": "ok"}, "instruction", "Sort."),  # Magpie's
        ({"idx": 1, "Instruction": "Sort."}, "Instruction", "Sort."),  # WizardLM's
        ({"turns": [{"content": "Sort."}]}, "turns[0].content", "Sort."),  # Arena-Hard's
        ({"conversation_a": OPENAI["messages"], "winner": "b"}, "conversation_a[-2].content", "Sort."),
        ({"question": "Sort.", "answer": "ok"}, "question", "Sort."),  # GSM8K's
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_known_shape_is_told_and_read(tmp_path: Path, row: dict[str, Any], advice: str, text: str, kind: str) -> None:
    uri = written(tmp_path / f"a.{kind}", [row])
    with pytest.raises(ConfigurationError) as caught:
        check_texts(uri, "prompt" if "prompt" in row else "nowhere", STORE)
    by_template = advice.startswith("{")
    written_advice = f"template: {json.dumps(advice)}" if by_template else f'field: "{advice}"'
    assert f"; write {written_advice}" in str(caught.value)
    whole = re.search(r'messagesField: "(\S+)"', str(caught.value))
    assert (whole is not None) == ("content" in advice or "value" in advice) or "turns" in row
    if whole is not None:
        (given,) = read_texts(uri, "nowhere", STORE, messages=whole[1]).given()
        assert given.text == text
    assert ('systemField: "system" for' in str(caught.value)) == ("system" in row)
    column, template = ("prompt", advice) if by_template else (advice, None)
    assert list(read_texts(uri, column, STORE, template=template)) == [(text, None)]


SYSTEM = {"role": "system", "content": "Be terse."}
TURNS = [{"role": "user", "content": "Sort."}, {"role": "assistant", "content": "How?"}]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_conversations(tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, Any]] = [
        {"m": [SYSTEM, *TURNS, {"role": "user", "content": "By size."}, {"role": "assistant", "content": "ok"}]},
        {"m": [{"role": "user", "content": "By size."}]},
        {"m": []},
        {"m": None},
        {"m": [SYSTEM, {"role": "user", "content": " "}]},
    ]
    uri = written(tmp_path / f"a.{kind}", rows)
    texts = read_texts(uri, "prompt", STORE, messages="m")
    assert [(one.text, list(one.history)) for one in texts.given()] == [
        ("By size.", [SYSTEM, *TURNS]),
        ("By size.", []),
    ]
    assert (texts.blank, texts.missing, texts.left_out) == (3, 0, 1)
    # Two that end alike are no repeats.
    found = check_texts(uri, "prompt", STORE, messages="m")
    assert found == TextsFound(2, blank=3, notes=("messages after the user's last one left out: 1",))


def test_conversations_as_others_write_them(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "So"}, {"type": "text", "text": "rt."}]
    theirs = [{"from": "human", "value": "Sort."}, {"from": "gpt", "value": "How?"}, *SHAREGPT["conversations"]]
    rows: list[dict[str, Any]] = [
        {"c": {"d": theirs}},
        {"c": {"d": [{"role": "developer", "content": "Be terse."}, {"role": "user", "content": parts}]}},
    ]
    texts = read_texts(written(tmp_path / "a.jsonl", rows), "prompt", STORE, messages="c.d")
    assert [(one.text, list(one.history)) for one in texts.given()] == [("Sort.", TURNS), ("Sort.", [SYSTEM])]


def test_a_system_message_for_each_row(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"q": "Sort.", "s": "Be terse."},
        {"q": "Sort.", "s": " "},
        {"q": "Sort.", "s": None},
        {"q": "Sort."},
    ]
    uri = written(tmp_path / "a.jsonl", rows)
    assert [list(one.history) for one in read_texts(uri, "q", STORE, system="s").given()] == [[SYSTEM], [], [], []]
    with pytest.raises(ConfigurationError, match=r"has no 'x'; its first record has q, s$"):
        list(read_texts(uri, "q", STORE, system="x"))
    written(tmp_path / "a.jsonl", [{"s": "Be terse.", "m": TURNS}])
    (one,) = read_texts(uri, "q", STORE, system="s", messages="m").given()
    assert (one.text, list(one.history)) == ("Sort.", [SYSTEM])
    written(tmp_path / "a.jsonl", [{"s": "Be terse.", "m": [SYSTEM, *TURNS]}])
    with pytest.raises(ConfigurationError, match=r"line 1 has a system message in 's' and in 'm': keep one of them$"):
        list(read_texts(uri, "q", STORE, system="s", messages="m"))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("Sort.", "is no list of messages"),
        (["Sort.", "Why?"], "is no list of messages with role and content"),
        ([{"role": "assistant", "content": "ok"}], "has no message of the user"),
        ([TURNS[0], SYSTEM], "has a system message after other messages; keep it as the first one"),
        (
            [{"role": "tool", "content": "ok"}],
            "has the role 'tool' in message 1; only text is read: leave such records",
        ),
        ([{"role": "bot", "content": "ok"}], "has the role 'bot' in message 1; known are system, developer, user, "),
        ([{"content": "ok"}], "has the role None in message 1"),
        (
            [TURNS[0], {"role": "assistant", "content": None, "tool_calls": [{}]}],
            "has a tool call without a text in message 2; only text is read: leave such records out",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url"}]}],
            "has a part of type 'image_url' in message 1; only text is read: leave such records out",
        ),
        ([{"role": "user", "content": 7}], "has something else than text in message 1; only text is read: leave such"),
    ],
)
def test_what_is_no_conversation(tmp_path: Path, value: object, sentence: str) -> None:
    uri = written(tmp_path / "a.jsonl", [{"m": [TURNS[0]]}, {"m": value}])
    with pytest.raises(ConfigurationError) as caught:
        list(read_texts(uri, "prompt", STORE, messages="m").given())
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/a.jsonl: 'm' in line 2 {sentence}")


def test_a_shape_that_nobody_knows_gets_no_advice(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.jsonl", b'{"a": {"b": 1}}') == "has no 'text'; its first record has a"


def test_paths_and_columns_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a.b": "column", "a": {"b": "path"}}\n{"a": {"b": "path"}}\n{"a": {}}\n{"a": 3}')
    found = read_texts(path.as_uri(), "a.b", STORE)
    assert [text for text, _ in found] == ["column", "path"]
    assert found.missing == 2
    assert refusal(path, b'{"m": []}', column="m[0].c") == "has no 'm[0].c'; its first record has m"


def test_a_template_leaves_out_what_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows: list[dict[str, Any]] = [
        {"q": "Sort.", "c": "[2]"},
        {"q": "Sort.", "c": ""},
        {"q": "", "c": None},
        {"q": "Only."},
    ]
    uri = written(path, rows)
    texts = read_texts(uri, "prompt", STORE, template="{{task}}: {q}\n\nInput: {c}")
    assert [text for text, _ in texts] == ["{task}: Sort.\n\nInput: [2]", "{task}: Sort.", "{task}: Only."]
    assert (texts.blank, texts.missing) == (1, 0)
    with pytest.raises(ConfigurationError, match=r"has no 'x'; its first record has c, q$"):
        list(read_texts(uri, "prompt", STORE, template="{q} {x}"))


def test_a_missing_key_is_null_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"other": 1}\n{"text": "a"}\n{"text": " "}\n{"text": "a "}\n{}\n{"text": null}')
    assert check_texts(path.as_uri(), "text", STORE) == TextsFound(2, repeats=1, blank=2, missing=2)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.jsonl", b'{"other": 1, "id": 2}', "has no 'text'; its first record has id, other"),
        ("a.jsonl", b'{"text": 7}', "'text' is a number in line 1, but must be text"),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": ["a"]}', "'text' is a list in line 3, but must be text"),
        (
            "a.jsonl",
            b'\n{"text": "a"}\n{"text": ',
            "line 3 is not JSON: Expecting value at character 10 (the file ends",
        ),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b", x}\n', "line 2 is not JSON: Expecting property name"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}', "line 2 is not UTF-8 (invalid start byte): save the file as"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\\ud83d b"}', "line 2 has half of a character (a lone surrogate): the"),
        ("a.jsonl", b'{"text": "a", "score": NaN}', "line 1 is not JSON: NaN is no number that JSON has; write null"),
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
            "is one JSON object over several lines: write one record in each line, or put the records into one array:"
            " [{…}, {…}] (`jq '[to_entries[] | {id: .key} + .value]' FILE > list.json` does where they have names)",
        ),
        (
            "a.jsonl",
            b"version https://git-lfs.github.com/spec/v1\noid x",
            "is a Git LFS pointer and not the file itself",
        ),
        ("a.jsonl", b" \n", "is empty"),
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\x1f\x8b\x08\x00torn", "is a torn gzip file ("),
        ("a.jsonl", b"PAR1 and no more", "is a parquet file by its first bytes: let its name end in .parquet"),
        (
            "a.jsonl",
            b"prompt,id\nSort,1",
            "line 1 is not JSON: Expecting value; let the name of a CSV file end in .csv",
        ),
        ("a.jsonl", b"7", "line 1 is not a JSON object"),
        ("a.json", b'{\n"data": []\n}', "is one JSON object over several lines: write one record in each line, or put"),
        ("a.json", b"[7]", "record 1 is not a JSON object"),
        (
            "a.json",
            b'{"data": [{"text": "a"}]}',
            "has no 'text'; its first record has data; its 'data' is a list of rec",
        ),
        ("a.jsonl", b"<!DOCTYPE html>\n<html>", "is a web page: download the file itself, in its raw form"),
        ("a.csv", b"PK\x03\x04\x14\x00", "is a ZIP archive or a spreadsheet by its first bytes: unpack it, or save it"),
        ("a.csv", b'{"text": "a"}\n', "is JSON Lines by its first line: let its name end in .jsonl"),
        ("a.txt", b'\n{"text": "a"}\n{', "is JSON Lines by its first line: let its name end in .jsonl"),
        ("a.parquet", b'{"text": "a"}\n', "is not a parquet file by its first bytes: let its name end in what it is"),
        ("a.arrow", b"ARROW1 and no more", "is not a complete Arrow file (ArrowInvalid): fetch or write it again"),
        ("a.csv", b"sep=;\ntext;id\nA;1;2\n", "line 3 has 3 cells, but the header has 2 (text, id): put a text with"),
        (
            "a.csv",
            b"id, Text\n1,a\n",
            "has no 'text'; the columns, by its first line, are  Text, id; write field: \" Text\"",
        ),
        ("a.csv", b"id,text\n1,a,\n", "line 2 has 3 cells, but the header has 2 (id, text): take a comma off its end"),
        ("a.jsonl", b'{"text": "a"},\n{"text": "b"}', "line 1 ends in a comma: leave it out"),
        ("a.jsonl", b'{"text": "a"}{"text": "b"}', "line 1 holds more than one record: write each in its own line"),
        ("a.jsonl", b'{"text": "a\nb"}\n', "line 1 has a line break or another control character in a text, at"),
        ("a.jsonl", b'{"text": "a", "text": "b"}\n', "line 1 is not JSON: it names 'text' twice; give each a name of"),
        ("a.json", b'[{"text": "a"}', "line 1 is not JSON: Expecting ',' delimiter (the file ends there: it is torn)"),
        ("a.json", b"[" * 100_000, "record 1 is nested too deeply"),
        (
            "a.csv",
            b"1,Sort a list\n2,Reverse it\n",
            "has no 'text'; the columns, by its first line, are 1, Sort a list; if these are no names, put a line with"
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
            "a.md",
            b"Sort a list.",
            "must end in .jsonl, .ndjson, .json, .csv, .tsv, .txt, .parquet, .arrow, .feather, or in one of them and .",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    assert refusal(tmp_path / name, data).startswith(sentence)


BAD = b'{"text": "a"}\n{"text": 1}\n[]\n{"text": "b", x}\n{"text": "c \\ud83d"}\n\n{"text": ["d"]}\n7\n{"text": "e"}\n'


def test_all_bad_rows_are_counted_and_may_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert refusal(path, BAD) == (
        "'text' is a number in line 2, but must be text"
        " (6 bad rows: line 2, line 3, line 4, line 5, line 7, …; onBadRow: Skip passes over those of instructions and"
        " answers)"
    )
    found = check_texts(path.as_uri(), "text", STORE, on_bad_row="Skip")
    assert found == TextsFound(2, bad=6, bad_places="line 2, line 3, line 4, line 5, line 7, …")
    path.write_bytes(b"7\n")
    with pytest.raises(ConfigurationError, match=r"a\.jsonl: line 1 is not a JSON object$"):
        check_texts(path.as_uri(), "text", STORE, on_bad_row="Skip")
    path.write_bytes(b"text,id\na,1\nb,c,2\nd,3\n")
    (tmp_path / "a.csv").write_bytes(path.read_bytes())
    found = check_texts((tmp_path / "a.csv").as_uri(), "text", STORE, on_bad_row="Skip")
    assert found == TextsFound(2, bad=1, bad_places="line 3")


def test_ids_and_columns_that_are_kept(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"q": "A", "id": "x", "c": {"kind": "math"}, "n": 1.5},
        {"q": " ", "id": "y", "c": None, "n": None},
        {"q": "B", "id": 7},
    ]
    uri = written(tmp_path / "a.jsonl", rows)
    found = list(read_texts(uri, "q", STORE, id="id", keep=("c.kind", "n")).given())
    assert [(one.row, one.id, one.kept) for one in found] == [
        (0, "x", {"c.kind": "math", "n": "1.5"}),
        (2, "7", {"c.kind": None, "n": None}),
    ]
    assert [(one.row, one.id, one.kept) for one in read_texts(uri, "q", STORE).given()] == [
        (0, None, {}),
        (2, None, {}),
    ]
    with pytest.raises(ConfigurationError, match=r"has no 'z'; its first record has c, id, n, q$"):
        list(read_texts(uri, "q", STORE, keep=("z",)))
    written(tmp_path / "a.jsonl", [{"q": "A", "id": 1}, {"q": "B", "id": "1"}])
    twice = r"a\.jsonl: 'id' is '1' in two rows \(line 1 and line 2\); ids must differ$"
    with pytest.raises(ConfigurationError, match=twice):
        check_texts(uri, "q", STORE, id="id")
    written(tmp_path / "a.jsonl", [{"q": "A", "id": 1}, {"q": "B"}, {"q": "C", "id": 1.5}])
    with pytest.raises(ConfigurationError, match=r": line 2 has no id in 'id': a text or a whole number \(2 bad rows"):
        check_texts(uri, "q", STORE, id="id")


def test_parquet_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": ["a"], "raw": [b"a"]}), path)
    data = path.read_bytes()
    assert refusal(path, data) == "has no column 'text'; it has other, raw"
    assert refusal(path, data, column="raw") == "'raw' is bytes in row 1, but must be text"
    assert refusal(path, data, column="other", also="who") == "has no column 'who'; it has other, raw"
    assert refusal(path, data[:-20]).startswith("is not a complete parquet file")
    pq.write_table(pa.table({"text": pa.array([b"\xff"]).view(pa.string())}), path)
    assert (
        refusal(path, path.read_bytes())
        == "is not a complete parquet file (UnicodeDecodeError): fetch or write it again"
    )


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
        with pytest.raises(ConfigurationError, match=r": line 2 is not JSON: .* \(the file ends there: it is torn\)$"):
            check_texts((tmp_path / "a.jsonl").as_uri(), "prompt", STORE)
