"""Public prompt sets, in the forms in which they are published, come out with their ids, to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from support.manifests import manifest
from support.public_sets import PUBLIC, public_sources, published

TEXTS = [
    "Use ABC notation to write a melody in the style of a folk tune.",
    "Hi",
    "Make this readable:\r\n\r\n\tdef f(x):\r\n\t    return x  \r\n\r\n\r\n",
    " Solve  $x^2 = 2$ for „x“ \u2028 and say why. ",
    "Write a zig program.\n```\n--- Day 25: Let It Snow ---\n\\frac{a}{b}\n```\n\n",
    "你好，写一首诗。",
    "How many eggs?\u00a0\ufeff",
    '{"role": "system", "content": "You are a poet."}',
]


def table(out: Path, within: str, name: str) -> list[dict[str, Any]]:
    (file,) = out.glob(f"runs/*/{within}/{name}.parquet")
    return pq.read_table(file).to_pylist()


@pytest.mark.parametrize("name", PUBLIC)
def test_all_rows_but_repeats_come_out_as_they_went_in(name: str, make_run: MakeRun) -> None:
    source = public_sources()[name]
    rows = published(name, [*TEXTS, TEXTS[0]])
    document = manifest(2, judges=1, instructions={"from": {"uri": "p.jsonl"} | source}, curation={}, jobs={})
    run = make_run("run", document)
    (run.folder / "p.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    assert "Instructions: 9 given, 8 used: 1 exact repeat\n" in run.complete().out

    out = Path(str(run.out))
    given = {row["source_row"]: row["instruction"] for row in table(out, "tables", "instructions")}
    assert given == dict(enumerate(TEXTS))
    ids = {number: f"q{number}" if PUBLIC[name][0] else None for number in given}
    for within, written in (("tables", "instructions"), ("tables", "answers"), ("tables", "battles"), ("data", "sft")):
        found = table(out, within, written)
        assert {row["source_row"]: row.get("source_id") for row in found} == ids, written
        for row in found:
            for column in source.get("keep", ()):
                assert row[column] == str(rows[row["source_row"]][column])
    for row in table(out, "data", "sft"):
        assert row["messages"][0]["content"] == TEXTS[row["source_row"]]
