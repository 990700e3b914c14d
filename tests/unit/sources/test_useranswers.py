"""Answers that exist already: to which instructions they belong, and what is wrong with a file of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiltyard_jobs.contracts.identity import AnswerFiles, ModelIdentity
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.tasks import Limits, StoreRef
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.useranswers import Asked, check_answers, read_answers

STORE = StoreRef(uri="file:///nowhere")


def model(*paths: Path, field: str = "output", by: str | None = "id", **more: Any) -> ModelIdentity:
    files = tuple(LocatedFile(uri=path.as_uri()) for path in paths)
    text = None if by else "instruction"
    answers = AnswerFiles(files=files, field=field, id_field=by, instruction_field=text)
    return ModelIdentity(uri="", answers=answers, **more)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(count: int) -> Iterator[Asked]:
    return (Asked(f"q{number}", f"Sort {number}.") for number in range(count))


def name(identity: ModelIdentity, one: Asked) -> int:
    assert identity.answers is not None
    return one.name(identity.answers)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("by", ["id", None])
def test_answers_are_found_whatever_their_order(tmp_path: Path, kind: str, by: str | None) -> None:
    words = "  Sort \u2028 Näher\r\n\r\n{now}?\n"
    rows = [{"id": f"q{n}", "instruction": f"Sort {n}.\r\n", "output": f"{words}{n}"} for n in range(9)]
    identity = model(written(tmp_path / f"a.{kind}", rows[::-1]), by=by)
    names = [name(identity, one) for one in asked(7)]
    found = read_answers(identity, set(names), STORE)
    assert [found.take(one).answer for one in names] == [f"{words}{n}" for n in range(7)]  # to the byte
    assert found.unasked == 2


def test_what_cannot_be_judged_is_void_with_its_reason(tmp_path: Path) -> None:
    texts = ["<think>Hm.</think>\nBy size.", "<think>Hm.", "<think>Hm.</think>", " \n", None, "[[Hm]] By name."]
    rows = [{"id": f"q{n}", "output": text} for n, text in enumerate(texts)]
    identity = model(written(tmp_path / "a.jsonl", rows), thought_marks=("[[", "]]"))
    names = [name(identity, one) for one in asked(7)]
    found = read_answers(identity, set(names), STORE)
    got: list[object] = []
    for one in names:
        try:
            parts = found.take(one)
            got.append((parts.answer, parts.thought))
        except RecordVoidError as error:
            got.append(error.reason)
    unfinished, empty = VoidReason.THOUGHT_UNFINISHED, VoidReason.EMPTY
    voids = [unfinished, VoidReason.NO_ANSWER, empty, empty]
    assert got == [("By size.", "Hm."), *voids, ("By name.", "Hm"), VoidReason.NOT_IN_FILE]


def test_an_id_that_is_there_twice_is_refused_with_its_lines(tmp_path: Path) -> None:
    rows = [{"id": n % 3, "output": "ok"} for n in range(4)]
    with pytest.raises(ConfigurationError, match=r"'id' is '0' in two rows \(line 1 and line 4\); ids must differ"):
        read_answers(model(written(tmp_path / "a.jsonl", rows)), set(), STORE)
    first, second = written(tmp_path / "b.jsonl", rows[:3]), written(tmp_path / "c.jsonl", rows[3:])
    with pytest.raises(ConfigurationError) as caught:
        read_answers(model(first, second), set(), STORE)
    assert f"{second}: 'id' is '0' in two rows (line 1 of {first} and line 1)" in str(caught.value)


def test_of_two_answers_to_the_same_words_the_first_counts(tmp_path: Path) -> None:
    rows = [{"instruction": "Sort 0." + " " * n, "output": f"{n}"} for n in range(3)]
    identity = model(written(tmp_path / "a.jsonl", rows), by=None)
    (one,) = asked(1)
    found = read_answers(identity, {name(identity, one)}, STORE)
    assert (found.take(name(identity, one)).answer, found.repeats, found.unasked) == ("0", 2, 0)


@pytest.mark.parametrize(
    ("count", "fraction", "sentence"),
    [
        (8, "0.01", "old: 8 answers from a.jsonl, 2 to no instruction"),
        (10, "0", "old: 10 answers from a.jsonl"),
        (13, "0.01", "old: 10 answers from a.jsonl, none to 3 of 13 instructions (NotInFile 3: 'q10', 'q11', 'q12')"),
    ],
)
def test_what_is_there_is_told(tmp_path: Path, count: int, fraction: str, sentence: str) -> None:
    identity = model(written(tmp_path / "a.jsonl", [{"id": f"q{n}", "output": "ok"} for n in range(10)]))
    limits = Limits(max_void_fraction=Decimal(fraction))
    assert check_answers("old", identity, lambda: asked(count), STORE, limits) == sentence


@pytest.mark.parametrize(
    ("rows", "count", "fraction", "sentence"),
    [
        (
            [{"id": f"q{n}", "output": "ok" if n else ""} for n in range(10)],
            17,
            "0.01",
            "a.jsonl lacks answers to 8 of 17 instructions (NotInFile 7, Empty 1: 'q0', 'q10', 'q11', 'q12', 'q13', …),"
            " and spec.jobs.maxVoidFraction (0.01) allows 3: add them, leave these instructions out, or raise the"
            " fraction",
        ),
        (
            [{"id": f"q{n}", "output": "ok"} for n in range(9)],
            10,
            "0",
            "a.jsonl lacks answers to 1 of 10 instructions (NotInFile 1: 'q9'), and spec.jobs.maxVoidFraction (0)"
            " allows 0: add them, leave these instructions out, or raise the fraction",
        ),
        (
            [{"id": "x", "output": "ok"}],
            2,
            "0.01",
            "a.jsonl has no answer to any of 2 instructions ('q0', 'q1'): idField 'id' must hold what the instructions"
            " have",
        ),
        ([{"uid": "x", "output": "ok"}], 2, "0.01", "has no 'id'; its first record has output, uid"),
        ([{"id": "q0", "output": 7}], 1, "0.01", ": 'output' is a number in line 1, but must be text"),
        ([{"id": "q0", "Output ": "ok"}], 1, "0.01", '; write field: "Output "'),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: list[dict[str, Any]], count: int, fraction: str, sentence: str) -> None:
    identity = model(written(tmp_path / "a.jsonl", rows))
    with pytest.raises(ConfigurationError) as caught:
        check_answers("old", identity, lambda: asked(count), STORE, Limits(max_void_fraction=Decimal(fraction)))
    assert sentence in str(caught.value)
