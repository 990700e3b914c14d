"""Messages that the documents explain are those of the source.

A document quotes a message with `…` for what varies, or with an example in its place that is no plain word: a number, a
name in quotes, a field, a word in capitals. What is left must stand in the strings of the source as it is written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from support.documents import ROOT, code_spans, tables

HEADERS = ("message", "sentence", "the sentence")
VARIES = re.compile(r"…|'[^']*'|\"[^\"]*\"|[()]|[,;:] |\S*[^a-z',;:()\s-]\S*")


def quotes() -> list[tuple[str, str]]:
    """The first column of each table of messages, with the document's name."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        for header, rows in tables(path.read_text()):
            if header[0] in HEADERS:
                found += [(path.name, text) for row in rows for text in code_spans(row[0])]
    return found


def fixed(message: str) -> list[str]:
    """The words of a quoted message that do not vary: stretches of two or more."""
    return [stretch for part in VARIES.split(message) if " " in (stretch := part.strip(" ,;.:"))]


@cache
def source() -> str:
    """The strings of both programs, the constant pieces of f-strings on a line of their own."""
    trees = (ast.parse(path.read_text()) for root in ("operator", "jobs") for path in (ROOT / root).rglob("*.py"))
    return "\n".join(" ".join(text.split(" ")) for tree in trees for text in strings(tree))


def strings(tree: ast.Module) -> Iterator[str]:
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def test_there_are_messages_to_look_at() -> None:
    assert len(quotes()) > 40
    assert sum(len(fixed(message)) for _, message in quotes()) > 40


@pytest.mark.parametrize(("document", "message"), quotes())
def test_a_message_in_a_document_is_one_of_the_source(document: str, message: str) -> None:
    missing = [stretch for stretch in fixed(message) if stretch not in source()]
    assert missing == [], f"{document}: `{message}`"


def test_what_varies_in_a_message_is_left_out() -> None:
    assert fixed("N of M records could not be made (Unavailable …), and spec.x allows K …") == [
        "records could not be made",
    ]
    assert fixed("must be a decimal from \"0\" to '1', in quotes, given 0.7") == ["must be a decimal from", "in quotes"]
