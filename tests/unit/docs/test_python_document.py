"""docs/python.md names all that `import tiltyard` offers, and nothing else."""

from __future__ import annotations

import inspect
import re

import pytest

import tiltyard
from support.documents import ROOT, code_spans, tables
from tiltyard.sdk.tournaments import _OPTIONS

TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)$\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
ERRORS = {name for name in tiltyard.__all__ if issubclass(getattr(tiltyard, name), Exception)}
CLASSES = sorted({*tiltyard.__all__} - ERRORS)


def first_cells(section: str) -> list[str]:
    return [span for _, rows in tables(section) for row in rows for span in code_spans(row[0])]


def test_each_class_has_a_section_and_each_error_a_row() -> None:
    assert [heading for heading in SECTIONS if "tiltyard." in heading] == [
        f"`tiltyard.{name}`" for name in ("Tournament", "Results", "Cluster")
    ]
    assert CLASSES == ["Cluster", "Results", "Tournament"]
    assert set(first_cells(SECTIONS["What is raised"])) == ERRORS | {"TimeoutError"}
    assert {*tiltyard.__all__} <= {*dir(tiltyard)}


@pytest.mark.parametrize("name", CLASSES)
def test_a_section_names_the_members_of_its_class_and_no_others(name: str) -> None:
    kind, section = getattr(tiltyard, name), SECTIONS[f"`tiltyard.{name}`"]
    named = [*first_cells(section), *(span for span in code_spans(section) if span.startswith(f"{name}."))]
    members = {member for member, _ in inspect.getmembers(kind) if member[0] != "_"}
    attributes = set(re.findall(r"^ {4}(\w+): ", inspect.getdoc(kind) or "", re.MULTILINE))
    found = {re.split(r"\W", span.removeprefix(f"{name}."))[0] for span in named} - {name}
    assert members <= found <= members | attributes
    for span in named:
        member = re.split(r"\W", span.removeprefix(f"{name}."))[0]
        if options := set(re.findall(r"(\w+)=", span)):
            assert options <= inspect.signature(kind if member == name else getattr(kind, member)).parameters.keys()


def test_the_options_are_those_of_the_command() -> None:
    (told,) = re.findall(r"also take\s(.+?): the options of `tiltyard run`", TEXT, re.DOTALL)
    assert {span for span in code_spans(told) if span.isidentifier()} == {"state", *_OPTIONS}


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="module 'tiltyard' has no attribute 'Tournaments'"):
        tiltyard.Tournaments  # noqa: B018
