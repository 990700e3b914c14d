"""Commands, options, make targets and files that the documents name exist."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.documents import ROOT, code_blocks, code_spans, documents, tables
from tiltyard.cli.main import parser
from tiltyard_jobs.sim.__main__ import _parser as expert_parser

SOURCES = ("operator", "jobs", "tests", "hack", "charts", "docs", "examples", "bench", "requirements")
HISTORY = ("CHANGELOG.md",)
"""Documents that name what was."""


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert isinstance(choices, dict)
    return choices


def options(command: str) -> list[argparse.Action]:
    return own_options(commands()[command])


def own_options(program: argparse.ArgumentParser) -> list[argparse.Action]:
    """All but --help."""
    return [each for each in program._actions if each.option_strings and not isinstance(each, argparse._HelpAction)]


def test_a_table_of_options_has_those_of_the_program_of_its_section() -> None:
    sections = [each for path in documents() for each in re.split(r"^#+ ", path.read_text(), flags=re.MULTILINE)]
    found = [(text, rows) for text in sections for _, rows in tables(text) if rows[0][0].startswith("`-")]
    assert len(found) == 2
    for text, rows in found:
        written = {name for row in rows for name in re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", row[0])}
        expert = "python -m tiltyard_jobs.sim" in text
        actions = own_options(expert_parser()) if expert else options(next(calls(text))[0])
        assert written == {name for action in actions for name in action.option_strings}


def test_the_chart_gives_the_operator_each_of_its_options_and_no_other() -> None:
    text = (ROOT / "charts/tiltyard/templates/deployment.yaml").read_text()
    given = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text))
    assert given == {action.option_strings[-1] for action in options("operator")}


def calls(text: str) -> Iterator[list[str]]:
    """Each `tiltyard …` of a document as words: whole lines of code blocks, and spans of code."""
    lines = [line.split(" #")[0] for block in code_blocks(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *code_spans(text)]:
        if re.match(r"(\S*/)?tiltyard [a-z]", line):
            yield shlex.split(line)[1:]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_are_those_of_the_parser(path: Path) -> None:
    for command, *words in calls(path.read_text()):
        if command.isupper():  # a word that stands for any command
            continue
        assert command in commands(), f"tiltyard {command}"
        known = {name for action in options(command) for name in action.option_strings}
        named = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        assert named <= known, f"tiltyard {command} has no {named - known}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_in_documents_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    code = [*code_spans(text), *(line for block in code_blocks(text) for line in block.splitlines())]
    named = {name for line in code for name in re.findall(r"(?:^|; |&& )make ([a-z][a-z0-9-]*)", line)}
    assert named <= targets


def existing(name: str) -> bool:
    """A path from the root, or the end of one; alternatives in braces must all be there."""
    braces = re.search(r"\{([^{}]*)\}", name)
    if braces:
        return all(existing(name.replace(braces[0], each, 1)) for each in braces[1].split(","))
    if "/" in name and name.split("/")[0] in SOURCES:
        return (ROOT / name).exists()
    return any(next((ROOT / source).glob(f"**/{name}"), None) is not None for source in SOURCES)


@pytest.mark.parametrize(
    "path", [path for path in documents() if path.name not in HISTORY], ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_of_the_tree_that_documents_name_exist(path: Path) -> None:
    missing = set()
    for code in code_spans(path.read_text()):
        name = code.split("::")[0].rstrip("/")
        source = re.fullmatch(r"[\w.{},-]+(/[\w.{},-]+)+", name) and name.split("/")[0] in SOURCES
        module = re.fullmatch(r"[\w./{},-]+\.(py|tpl|j2)", name)
        if (source or module) and not re.search(r"\b[A-Z]{3,}\b", name) and not existing(name):
            missing.add(code)
    assert missing == set()
