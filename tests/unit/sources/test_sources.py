"""Several files of texts, and some of their texts; files that are long."""

from __future__ import annotations

import bz2
import gzip
import json
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.recipes import SampleRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textstream import LONGEST, PIECE
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import Pick, check_texts, read_texts

STORE = StoreRef(uri="file:///nowhere")


def written(folder: Path, **files: Sequence[dict[str, Any]]) -> tuple[LocatedFile, ...]:
    found = []
    for name, rows in files.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found.append(LocatedFile(uri=path.as_uri(), name=path.name))
    return tuple(found)


def texts_of(files: tuple[LocatedFile, ...], **pick: Any) -> list[str]:
    return [text for text, _ in read_texts("", "text", STORE, files=files, pick=Pick(**pick))]


def test_each_row_knows_its_file(tmp_path: Path) -> None:
    files = written(
        tmp_path, b=[{"text": "B", "id": 1}, {"text": "", "id": 0}, {"text": "C", "id": 2}], a=[{"text": "A", "id": 3}]
    )
    texts = read_texts("", "text", STORE, files=files, id="id")
    rows = [(one.text, one.file, one.row, one.id) for one in texts.given()]
    assert rows == [("B", "b.jsonl", 0, "1"), ("C", "b.jsonl", 2, "2"), ("A", "a.jsonl", 0, "3")]
    assert (texts.notes, texts.blank) == (("2 files",), 1)
    assert check_texts("", "text", STORE, files=files, id="id").texts == 3


def test_what_is_wrong_in_one_of_several_names_it(tmp_path: Path) -> None:
    files = written(tmp_path, a=[{"text": "A"}, {"text": 1}], b=[{"text": 2}, {"text": "B"}])
    with pytest.raises(ConfigurationError) as caught:
        texts_of(files)
    assert str(caught.value).startswith(
        f"{tmp_path}/a.jsonl: 'text' is a number in line 2, but must be text (2 bad row"
    )
    assert "a.jsonl line 2, b.jsonl line 1" in str(caught.value)
    files = written(tmp_path, a=[{"text": "A"}], b=[{"other": "B"}])
    with pytest.raises(ConfigurationError, match=r"b\.jsonl has no 'text'; its first record has other$"):
        texts_of(files)
    files = written(tmp_path, a=[{"text": "A", "id": "x"}], b=[{"text": "B", "id": "x"}])
    rows = r"\(line 1 of .*a\.jsonl and line 1\)"
    with pytest.raises(ConfigurationError, match=rf"b\.jsonl: 'id' is 'x' in two rows {rows}; ids must differ$"):
        check_texts("", "text", STORE, files=files, id="id")
    with pytest.raises(ConfigurationError, match=r"gone\.jsonl cannot be read: No such file or directory$"):
        texts_of((*files, LocatedFile(uri=(tmp_path / "gone.jsonl").as_uri(), name="gone.jsonl")))


def test_a_limit_reads_no_further(tmp_path: Path) -> None:
    files = written(tmp_path, a=[{"text": "A"}, {"text": " "}, {"text": "B"}], b=[{"text": "C"}, {"text": 1}])
    assert texts_of(files, limit=3) == ["A", "B", "C"]
    assert texts_of(files, limit=1) == ["A"]


def sample(rows: int, seed: int = 0) -> SampleRecipe:
    return SampleRecipe(rows=rows, seed=seed)


@pytest.mark.parametrize("own_ids", [True, False])
def test_a_sample_hangs_on_the_rows_and_the_seed_alone(tmp_path: Path, own_ids: bool) -> None:
    rows = [{"text": f"text {number}", "id": number} for number in range(200)]

    def taken(rows: list[dict[str, Any]], seed: int = 0, count: int = 20) -> list[str]:
        half = len(rows) // 2
        files = written(tmp_path, a=rows[:half], b=rows[half:])
        columns: dict[str, Any] = {"id": "id"} if own_ids else {}
        pick = Pick(sample=sample(count, seed))
        return [one.text for one in read_texts("", "text", STORE, files=files, pick=pick, **columns).given()]

    first = taken(rows)
    assert len(first) == 20
    assert first == sorted(first, key=lambda text: int(text.split()[1]))  # in the file's order
    assert taken(rows, seed=1) != first
    shuffled = random.Random(0).sample(rows, len(rows))
    assert sorted(taken(shuffled)) == sorted(first)
    more = taken([*rows, {"text": "one more", "id": 1000}])
    assert len(set(more) - set(first)) <= 1
    assert len(set(first) - set(taken(rows[:-1]))) <= 1
    if own_ids:  # the words may change
        reworded = [{**row, "text": f"a new {row['text']}"} for row in rows]
        assert taken(reworded) == [f"a new {text}" for text in first]
    assert taken(rows, count=1000) == [row["text"] for row in rows]
    files = written(tmp_path, a=rows)
    found = check_texts("", "text", STORE, files=files, pick=Pick(sample=sample(20)))
    assert (found.texts, found.notes) == (20, ("a sample of 20 of 200",))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def long_rows() -> list[dict[str, Any]]:
    """Records that end anywhere in a piece, among them one of several pieces, and characters that are escaped."""
    sizes = random.Random(0)
    rows: list[dict[str, Any]] = [{"text": f'{n} "\\ü😀' + "x" * sizes.randrange(700), "n": n} for n in range(4000)]
    rows[7]["text"] += "\\y" * PIECE
    return rows


@pytest.mark.parametrize("name", ["a.json", "b.json", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.csv"])
def test_long_files_come_out_whole(tmp_path: Path, name: str) -> None:
    rows = long_rows()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    kind = name.rpartition(".")[2]
    if kind == "json":
        lines = json.dumps(rows, indent=1 if name[0] == "a" else None, ensure_ascii=name[0] == "b")
    elif kind == "csv":
        lines = "text,n\r\n" + "".join(f"{quoted(row['text'])},{row['n']}\r\n" for row in rows)
    packers: dict[str, Any] = {"gz": gzip.compress, "bz2": bz2.compress}
    packers["zst"] = partial(pa.compress, codec="zstd", asbytes=True)
    packed = packers.get(kind, bytes)(lines.encode())
    (tmp_path / name).write_bytes(packed)
    given = list(read_texts((tmp_path / name).as_uri(), "text", STORE).given())
    assert [one.text for one in given] == [row["text"] for row in rows]
    if name.endswith((".gz", ".bz2", ".zst")):
        (tmp_path / name).write_bytes(packed[: len(packed) // 2])
        with pytest.raises(
            ConfigurationError, match=r" is a truncated (gzip|bzip2|Zstandard) file \(.*\): fetch or compress it again$"
        ):
            list(read_texts((tmp_path / name).as_uri(), "text", STORE).given())


def test_arrays_that_are_torn_or_wrong_far_inside(tmp_path: Path) -> None:
    text = json.dumps([{"text": "x" * 500} for _ in range(2000)], indent=1)
    path = tmp_path / "a.json"
    for damaged, sentence in (
        (text[: len(text) // 2], r"line \d+ is not JSON: .* \(the file is truncated there\)$"),
        (text[:-2], r"line 6001 is not JSON: Expecting ',' delimiter \(the file is truncated there\)$"),
        (text.replace("},", "}", 1500).replace("}", "},", 1499), r"line 4502 is not JSON: Expecting ',' delimiter$"),
        (text + "[", r"line 6002 is not JSON: Extra data$"),
        (text[:-1] + ', {"text": NaN}]', r": record 2001 is not JSON: NaN is not a number in JSON; write null$"),
        (text[:-1] + ", 7]", r": record 2001 is not a JSON object$"),
        ("[" + " " * (PIECE - 3) + "12345, 6]", r": record 1 is not a JSON object \(2 bad rows"),
    ):
        path.write_text(damaged)
        with pytest.raises(ConfigurationError, match=sentence):
            list(read_texts(path.as_uri(), "text", STORE).given())


@pytest.mark.parametrize(
    ("name", "start", "end", "sentence"),
    [
        (
            "a.jsonl",
            '{"text": "A"}\n{"text": "',
            '"}\n{"text": "B"}',
            ": line 2 is longer than 16 Mi characters: shorten",
        ),
        ("a.txt", "A\n", "\nB", ": line 2 is longer than 16 Mi characters: sho"),
        ("a.csv", 'text,id\nA,1\n"', '",2\nB,3', ": line 3 is longer than 16 Mi characters: shorten it, or write each"),
        (
            "a.json",
            '[{"text": "A"}, {"text": "',
            '"}, {"text": "B"}]',
            ": record 2 is longer than 16 Mi characters: shor",
        ),
    ],
)
def test_a_line_of_fifty_megabytes(tmp_path: Path, name: str, start: str, end: str, sentence: str) -> None:
    path = tmp_path / name
    path.write_text(start + "x" * (50 << 20) + end)
    column = "prompt" if name == "a.txt" else "text"
    with pytest.raises(ConfigurationError) as caught:
        check_texts(path.as_uri(), column, STORE)
    assert str(caught.value).startswith(f"{path}{sentence}")
    if name in ("a.jsonl", "a.txt"):
        assert check_texts(path.as_uri(), column, STORE, on_bad_row="Skip").bad == 1


def test_an_open_quote_ends_somewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,id\nA,1\n"B,2\n' + "x\n" * (LONGEST // 2 + 1))
    with pytest.raises(ConfigurationError, match=r": line 3 has a cell of more than 16 Mi characters: a quote may b"):
        check_texts(path.as_uri(), "text", STORE)


@pytest.mark.parametrize("packed", [False, True])
def test_arrow_files_of_one_large_batch(tmp_path: Path, packed: bool) -> None:
    table = pa.table({"text": [f"text {number}" for number in range(5000)], "other": list(range(5000))})
    for name, new in (("file", pa.ipc.new_file), ("stream", pa.ipc.new_stream)):
        path = tmp_path / f"{name}.arrow"
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
        if packed:
            path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        assert [text for text, _ in read_texts(path.as_uri(), "text", STORE)] == table["text"].to_pylist()
        with pytest.raises(
            ConfigurationError, match=r"has no column 'prompt'; it has other, text; write field: \"text\"$"
        ):
            check_texts(path.as_uri(), "prompt", STORE)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=5000)
    assert len(list(read_texts((tmp_path / "a.parquet").as_uri(), "text", STORE))) == 5000
