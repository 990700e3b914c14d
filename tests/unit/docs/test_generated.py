"""What is generated from the code is up to date: references, and tables of other pages."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import generate_cli_docs
import generate_manifest_docs
import generate_tables
from support.documents import ROOT
from tiltyard.api.places import NOT_YET, NOT_YET_ON_CLUSTER
from tiltyard.cli.main import parser


def test_the_manifests_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/manifest.md").read_text() == generate_manifest_docs.page(), generate_manifest_docs.COMMAND


def test_it_has_everything_that_is_refused_for_now() -> None:
    text = generate_manifest_docs.page()
    assert all(f"`{limit.path}`" in text and limit.sentence in text for limit in (*NOT_YET, *NOT_YET_ON_CLUSTER))


def test_the_command_lines_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/cli.md").read_text() == generate_cli_docs.page(), generate_cli_docs.COMMAND


def test_it_has_every_command_and_every_option() -> None:
    text = generate_cli_docs.page()
    for name, command in commands().items():
        part = text.split(f"### `tiltyard {name}`\n")[1].split("\n### ")[0]
        assert all(f"`{written}" in part for action in own_options(command) for written in action.option_strings)


@pytest.mark.parametrize("page", generate_tables.PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_up_to_date(page: Path) -> None:
    assert page.read_text() == generate_tables.page(page), generate_tables.COMMAND


def test_each_table_stands_on_one_page() -> None:
    pages = (page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    marked = [name for text in pages for name in generate_tables.MARKED.findall(text)]
    assert sorted(marked) == sorted(generate_tables.TABLES)
    assert [page for page in generate_tables.PAGES if not generate_tables.MARKED.search(page.read_text())] == []


def test_a_marked_table_is_replaced_and_all_else_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- generated: stage_tables.TEXTS -->\n| old |\n|---|\n| old |\n\n| by hand |\n|---|\n")
    assert generate_tables.page(page) == (
        "before\n\n<!-- generated: stage_tables.TEXTS -->\n| column | type | meaning |\n|---|---|---|\n"
        "| `text` | string | what a record of the task says: a question, a choice, a solution |\n\n| by hand |\n|---|\n"
    )


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert isinstance(choices, dict)
    return choices


def own_options(program: argparse.ArgumentParser) -> list[argparse.Action]:
    """All but --help."""
    return [each for each in program._actions if each.option_strings and not isinstance(each, argparse._HelpAction)]
