"""docs/outputs.md has every table and every column that a run writes, in order and with their types, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from tiltyard_jobs.results import run_tables, stage_tables
from tiltyard_jobs.results.columns import meaning, with_thoughts
from tiltyard_jobs.results.run_tables import DATASET_PATHS, DATASET_TABLES, GIVEN_TABLES, RATING_PATHS

ROOT = Path(__file__).parents[3]
WORKER = ROOT / "jobs" / "tiltyard_jobs"
DOCUMENT = (ROOT / "docs" / "outputs.md").read_text()

SCHEMAS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": schema
    for module in (stage_tables, run_tables)
    for name, schema in vars(module).items()
    if isinstance(schema, pa.Schema)
}

# The heading of each table, up to its colon.
HEADINGS = {
    "`mine/`, `prompts/`, `filter/`": stage_tables.INSTRUCTIONS,
    "`filter/`, `curate/`, file `dropped`": stage_tables.DROPPED,
    "`grade/`": stage_tables.GRADES,
    "`curate/`": stage_tables.CURATED,
    "`answer/`": stage_tables.ANSWERS,
    "`pairs/`": stage_tables.PAIRS,
    "`judge/`": stage_tables.VERDICTS,
    "`references/`": stage_tables.REFERENCES,
    "`questions/`": stage_tables.QUESTIONS,
    "`texts/`": stage_tables.TEXTS,
    "`solve/` of programs": stage_tables.SOLUTIONS,
    "`solve/` of lm-evaluation-harness": stage_tables.HARNESS_REPLIES,
    "`score/`": stage_tables.TASK_SCORES,
    f"`{RATING_PATHS['ratings']}`": run_tables.RATINGS,
    f"`{RATING_PATHS['breakdowns']}`": run_tables.BREAKDOWNS,
    f"`{RATING_PATHS['scores']}`": run_tables.SCORES,
    **{f"`{DATASET_PATHS[name]}`": schema for name, schema in (DATASET_TABLES | GIVEN_TABLES).items()},
}
TYPES = {
    "string": pa.string(),
    "double": pa.float64(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "list of string": pa.list_(pa.string()),
    "list of {role, content}": DATASET_TABLES["instructions"].field("history").type,
    "list of {role, content, reasoning_content}": with_thoughts(DATASET_TABLES["sft"]).field("messages").type,
}


def documented() -> dict[str, list[tuple[str, str]]]:
    """(column, type) of each table of the document, by the table's heading up to its colon."""
    found = {}
    for section in re.split(r"^### ", DOCUMENT, flags=re.MULTILINE)[1:]:
        heading, body = section.split("\n", 1)
        rows = re.findall(r"^\| (`.+?`) \| ([^|]*?) *\|", body.partition("\n## ")[0], flags=re.MULTILINE)
        found[heading.partition(": ")[0]] = [
            (name, kind) for names, kind in rows for name in re.findall(r"`([^`]+)`", names)
        ]
    return found


def test_the_document_has_the_tables_that_are_written() -> None:
    assert documented().keys() == HEADINGS.keys()
    assert [name for name, schema in SCHEMAS.items() if all(schema is not one for one in HEADINGS.values())] == []


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_table_has_the_columns_that_the_document_says(heading: str) -> None:
    assert [(name, TYPES[kind]) for name, kind in documented()[heading]] == [
        (column.name, column.type) for column in with_thoughts(HEADINGS[heading])
    ]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_column_says_what_it_means(name: str) -> None:
    assert [column.name for column in with_thoughts(SCHEMAS[name]) if not meaning(column)] == []


def test_no_table_has_its_schema_elsewhere() -> None:
    makers = {
        path.relative_to(WORKER).as_posix()
        for path in WORKER.rglob("*.py")
        if re.search(r"\bpa\.schema\(", path.read_text())
    }
    assert makers == {"results/columns.py", "shard/tables.py"}
