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
GAP, MARKS, FILLED = "\0", ",.;:()\"'", 4
FIELD = re.compile(r"\{[a-z_]*\}")
VARIES = re.compile(r"…|'[^']*'|\"[^\"]*\"|[()]|[,;:] |\S*[^a-z',;:()\s-]\S*")


def quotes() -> list[tuple[str, str]]:
    """The column of messages of each table that has one, with the document's name."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        for header, rows in tables(path.read_text()):
            for place in (place for place, name in enumerate(header) if name in HEADERS):
                found += [(path.name, text) for row in rows for text in code_spans(row[place])]
    return found


def fixed(message: str) -> list[str]:
    """The words of a quoted message that do not vary: stretches of two or more."""
    return [stretch for part in VARIES.split(message) if " " in (stretch := part.strip(" ,;.:"))]


@cache
def source() -> tuple[list[str], ...]:
    """The strings of both programs, as words; `GAP` stands for what an f-string fills in."""
    trees = (ast.parse(path.read_text()) for root in ("operator", "jobs") for path in (ROOT / root).rglob("*.py"))
    return tuple({text: text.split() for tree in trees for text in strings(tree) if " " in text.strip()}.values())


def strings(tree: ast.Module) -> Iterator[str]:
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else GAP for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | pieces:
            yield FIELD.sub(GAP, node.value)  # a template of `str.format`


def is_said(words: list[str], template: list[str]) -> bool:
    """Whether words stand side by side in a template; half of them or more as they are, the others in its gaps."""
    return any(2 * _same(words, template[start:]) >= len(words) for start in range(len(template)))


def _same(words: list[str], template: list[str]) -> int:
    """How many words stand in a template as they are; a large negative number where they do not fit it."""
    if not words:
        return 0
    if not template:
        return -1000
    if GAP not in template[0]:
        return 1 + _same(words[1:], template[1:]) if template[0].strip(MARKS) == words[0] else -1000
    filled = re.escape(template[0].strip(MARKS)).replace(re.escape(GAP), ".*")
    takes = [count for count in range(1, FILLED + 1) if re.fullmatch(filled, " ".join(words[:count]))]
    return max((_same(words[count:], template[1:]) for count in takes), default=-1000)


def test_there_are_messages_to_look_at() -> None:
    assert len(quotes()) > 40
    assert sum(len(fixed(message)) for _, message in quotes()) > 40


@pytest.mark.parametrize(("document", "message"), quotes())
def test_a_message_in_a_document_is_one_of_the_source(document: str, message: str) -> None:
    missing = [part for part in fixed(message) if not any(is_said(part.split(), template) for template in source())]
    assert missing == [], f"{document}: `{message}`"


def test_what_varies_in_a_message_is_left_out() -> None:
    assert fixed("N of M records could not be made (Unavailable …), and spec.x allows K …") == [
        "records could not be made",
    ]
    assert fixed("must be a decimal from \"0\" to '1', in quotes, given 0.7") == ["must be a decimal from", "in quotes"]


def test_words_are_found_across_what_an_f_string_fills_in() -> None:
    template = [GAP, "ran", "out", "of", f"memory{GAP}"]
    assert is_said(["the", "trainer", "ran", "out"], template)
    assert is_said(["out", "of", "memory"], template)
    assert not is_said(["ran", "out", "of", "disk"], template)
    assert not is_said(["ran", "of", "memory"], template)
