"""Files as users have them. They are a few bytes in a temporary folder: the reader's interface is a URI."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.text_files import KINDS, STORE, parquet, refusal, written
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import TextsFound, check_texts, read_texts


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
    assert found == TextsFound(2, blank=1, longest=30)


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


@pytest.mark.parametrize(
    "data",
    [
        b"id,text\n1,one\n2,two\n",
        b"\r\n  \r\nid,text\r\n1,one\r\n2,two\r\n",  # lines left free above the header
        b";;\n;text;\n1;one;\n2;two;\n",
        b"id,text,,\n1,one,,\n2,two\n",  # cells without a name to the right
        b",,text\n1,,one\n2,,two\n",  # and to the left
        b"id,text\rv;w;x;y;z,one\r2,two\r",  # ends of lines as of old
        b'"id;\nof a row",text\n1,one\n2,two\n',
        b"SEP=|\nid|text\n1|one\n2|two\n",
    ],
)
def test_how_spreadsheets_leave_a_table(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]


def test_joined_files_with_byte_order_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\n\xef\xbb\xbf{"text": "two"}\n\xef\xbb\xbf')
    assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == ["one", "two"]


TEXTS = pa.table({"text": ["näher\u2028an", "😀"]})


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
        ({"custom_id": "1", "body": {"input": OPENAI["messages"]}}, "body.input[-2].content", "Sort."),  # Responses
        ({"custom_id": "1", "body": {"model": "m", "input": "Sort."}}, "body.input", "Sort."),
        ({"custom_id": "1", "body": {"model": "m", "prompt": "Sort."}}, "body.prompt", "Sort."),  # completions
        ({"custom_id": "1", "params": OPENAI}, "params.messages[-2].content", "Sort."),  # Anthropic's batches
        ({"conversations": {"from": ["human", "gpt"], "value": ["Sort.", "ok"]}}, "conversations.value[0]", "Sort."),
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


def test_paths_and_columns_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a.b": "column", "a": {"b": "path"}}\n{"a": {"b": "path"}}\n{"a": {}}\n{"a": 3}')
    found = read_texts(path.as_uri(), "a.b", STORE)
    assert [text for text, _ in found] == ["column", "path"]
    assert found.missing == 2
    assert refusal(path, b'{"m": []}', column="m[0].c") == "has no 'm[0].c'; its first record has m"


@pytest.mark.parametrize(
    ("wrong", "meant"), [("Category", "category"), ("categoryy", "category"), ("id.x", None), ("nothing", None)]
)
def test_a_wrong_name_in_a_template_gets_the_one_that_is_meant(tmp_path: Path, wrong: str, meant: str | None) -> None:
    uri = written(tmp_path / "a.jsonl", [{"prompt": "Sort.", "category": "code"}])
    with pytest.raises(ConfigurationError) as caught:
        list(read_texts(uri, "prompt", STORE, template=f"{{prompt}} - {{{wrong}}}"))
    advice = "" if meant is None else f"; did you mean {{{meant}}}?"
    assert str(caught.value).endswith(f"has no '{wrong}'; its first record has category, prompt{advice}")


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
    assert check_texts(path.as_uri(), "text", STORE) == TextsFound(2, repeats=1, blank=2, missing=2, longest=2)


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


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (pa.array([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
        (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
        (pa.array([4 * 10**11], pa.timestamp("s")), "14645-06-30 15:06:40.000"),
        (pa.array([10**7], pa.date32()), "29349-01-26"),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"))), '["1970-01-01 00:00:00.000000001"]'),
        (pa.array([[1]], pa.large_list(pa.timestamp("ns"))), '["1970-01-01 00:00:00.000000001"]'),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"), 1)), '["1970-01-01 00:00:00.000000001"]'),
        (
            pa.array([[("at", 1)]], pa.map_(pa.string(), pa.timestamp("ns"))),
            '[["at", "1970-01-01 00:00:00.000000001"]]',
        ),
        (
            pa.array([[{"at": [(1, "b")]}]], pa.list_(pa.struct([("at", pa.map_(pa.time64("ns"), pa.string()))]))),
            '[{"at": [["00:00:00.000000001", "b"]]}]',
        ),
        (
            pa.array([{"at": 1}], pa.struct([("at", pa.timestamp("ns", "UTC"))])),
            '{"at": "1970-01-01 00:00:00.000000001Z"}',
        ),
        (pa.array([1], pa.duration("ns")), "1"),
    ],
)
def test_times_that_python_cannot_hold(tmp_path: Path, times: pa.Array[Any], text: str) -> None:
    pq.write_table(pa.table({"text": ["Sort."], "when": times}), tmp_path / "a.parquet")
    (given,) = read_texts((tmp_path / "a.parquet").as_uri(), "text", STORE, keep=("when",)).given()
    assert given.kept == {"when": text}
    with pytest.raises(ConfigurationError, match='write field: "text"'):
        check_texts((tmp_path / "a.parquet").as_uri(), "prompt", STORE)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (pa.array([10**12], pa.timestamp("s")), "has a time out of range in column 'when'"),
        (pa.array([2**31 - 1], pa.date32()), "has a time out of range in column 'when'"),
        (pa.array([[10**12]], pa.large_list(pa.timestamp("s"))), "has a time out of range in column 'when'"),
        (pa.array([[1]], pa.list_view(pa.timestamp("ns"))), "has a column 'when' that cannot be read"),
        (pa.array([1], pa.timestamp("ns", "Nowhere/X")), "has a column 'when' that cannot be read"),
    ],
)
def test_times_that_cannot_be_read(tmp_path: Path, times: pa.Array[Any], said: str) -> None:
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["Sort."], "when": times})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    assert [one.text for one in read_texts(path.as_uri(), "text", STORE).given()] == ["Sort."]
    with pytest.raises(ConfigurationError, match=re.escape(f"{path} {said}")):
        list(read_texts(path.as_uri(), "text", STORE, keep=("when",)).given())
    with pytest.raises(ConfigurationError, match='write field: "text"'):
        check_texts(path.as_uri(), "prompt", STORE)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_two_columns_of_one_name(tmp_path: Path, kind: str) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    data = io.BytesIO()
    if kind == "arrow":
        with pa.ipc.new_stream(data, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, data)
    said = refusal(tmp_path / f"a.{kind}", data.getvalue())
    assert said == "names two columns 'text': give each a name of its own"


@pytest.mark.parametrize("id_", [b"\x01", "", "  ", 1.5])
def test_what_is_no_id(tmp_path: Path, id_: object) -> None:
    uri = written(tmp_path / "a.parquet", [{"q": "a", "id": id_}])
    with pytest.raises(ConfigurationError, match=r": row 1 has no id in 'id': a text or a whole number$"):
        check_texts(uri, "q", STORE, id="id")


def test_rows_that_a_spreadsheet_leaves_empty_need_no_id(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,prompt\n1,Sort\n2,Poem\n,\n,\n")
    found = check_texts(f"file://{tmp_path / 'a.csv'}", "prompt", STORE, id="id")
    assert (found.texts, found.blank, found.bad) == (2, 2, 0)
    (tmp_path / "a.csv").write_text("id,prompt\n1,Sort\n,Poem\n")
    with pytest.raises(ConfigurationError, match=r": line 3 has no id in 'id': a text or a whole number$"):
        check_texts(f"file://{tmp_path / 'a.csv'}", "prompt", STORE, id="id")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_wrong_name_of_the_text_is_said_before_others(tmp_path: Path, kind: str) -> None:
    uri = written(tmp_path / f"a.{kind}", [{"question": "a", "uid": "1"}])
    with pytest.raises(ConfigurationError, match=r"'prompt'.* question, uid; write field: \"question\"$"):
        check_texts(uri, "prompt", STORE, id="id", keep=("category",))


def test_names_that_look_the_same(tmp_path: Path) -> None:
    uri = written(tmp_path / "a.jsonl", [{"Fra\u0308ge": "a"}])
    with pytest.raises(ConfigurationError, match=r"write field: .Fra\u0308ge"):
        check_texts(uri, "Fr\u00e4ge", STORE)
