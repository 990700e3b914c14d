"""docs/outputs.md has every table that a run writes, once and below its path, with every column."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from generate_tables import SCHEMAS, columns
from support.documents import ROOT, tables
from tiltyard_jobs.curation.lint import MAX_CHARACTERS, LintIssue
from tiltyard_jobs.results import stage_tables
from tiltyard_jobs.results.columns import meaning, with_thoughts
from tiltyard_jobs.results.run_tables import DATASET_PATHS, DATASET_TABLES, GIVEN_TABLES, RATING_PATHS, RATING_TABLES

WORKER = ROOT / "jobs" / "tiltyard_jobs"
DOCUMENT = (ROOT / "docs" / "outputs.md").read_text()

# Where each table lies, as its heading says it up to the colon.
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
    **{f"`{RATING_PATHS[name]}`": schema for name, schema in RATING_TABLES.items()},
    **{f"`{DATASET_PATHS[name]}`": schema for name, schema in (DATASET_TABLES | GIVEN_TABLES).items()},
}


def test_each_table_that_is_written_is_below_its_heading() -> None:
    sections = (section.split("\n", 1) for section in re.split(r"^### ", DOCUMENT, flags=re.MULTILINE)[1:])
    marked = {
        heading.partition(": ")[0]: re.findall(r"^<!-- generated: (\S+) -->$", body, re.MULTILINE)
        for heading, body in sections
    }
    assert {heading: [SCHEMAS[name] for name in names] for heading, names in marked.items()} == {
        heading: [schema] for heading, schema in HEADINGS.items()
    }
    assert sorted(name for names in marked.values() for name in names) == sorted(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_has_all_columns_in_order(name: str) -> None:
    ((header, rows),) = tables(columns(SCHEMAS[name]))
    assert header == ["column", "type", "meaning"]
    assert [column for row in rows for column in re.findall("`([^`]+)`", row[0])] == with_thoughts(SCHEMAS[name]).names
    assert all(all(row) for row in rows)


def test_the_linters_reasons_are_all_there() -> None:
    section = DOCUMENT.partition("\n#### Lint\n")[2].partition("\n### ")[0]
    ((header, rows),) = tables(section)
    assert header == ["`reason`", "the text"]
    assert [reason.strip("`") for reason, _ in rows] == [issue.value for issue in LintIssue]
    assert f"more than {MAX_CHARACTERS:,} characters" in section


def test_types_are_written_in_words() -> None:
    found = {row[1] for schema in SCHEMAS.values() for _, rows in tables(columns(schema)) for row in rows}
    assert found == {
        *("string", "double", "int8", "int32", "int64", "bool", "list of string"),
        *("list of {role, content}", "list of {role, content, reasoning_content}"),
    }


def test_neighbours_that_are_the_same_share_a_row() -> None:
    described = {b"meaning": b"how it was sampled"}
    schema = pa.schema([pa.field(name, pa.float64(), metadata=described) for name in ("temperature", "top_p")])
    assert columns(schema).splitlines()[2:] == ["| `temperature`, `top_p` | double | how it was sampled |"]


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
