"""The project's Markdown as tests read it: documents, tables, code, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?: {4}.*\n+)+")
SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*([^)\s]+)\s*\)")


class Link(NamedTuple):
    """A link of a document: the file, where it is another than the document's own, and the heading's fragment."""

    path: str
    fragment: str


def documents() -> list[Path]:
    """All Markdown files that people read on the project's page."""
    folders = [ROOT.glob("*.md"), *((ROOT / name).rglob("*.md") for name in (".github", "bench", "charts", "docs"))]
    return sorted(path for folder in folders for path in folder)


def prose(text: str) -> str:
    """The text without its code, in blocks and in lines."""
    return SPAN.sub("", INDENTED.sub("", FENCED.sub("", text)))


def code_blocks(text: str) -> Iterator[str]:
    """The fenced and the indented blocks."""
    for block in FENCED.findall(text):
        yield block.partition("\n")[2].removesuffix("```")
    for block in INDENTED.findall(FENCED.sub("", text)):
        yield re.sub(r"^ {4}", "", block, flags=re.MULTILINE)


def code_spans(text: str) -> list[str]:
    """What stands in backticks, on one line each."""
    return [" ".join(code.split()) for _, code in SPAN.findall(INDENTED.sub("", FENCED.sub("", text)))]


def links(text: str) -> list[Link]:
    """Links to files of the tree and to headings; not those to the web."""
    targets = [target for target in LINK.findall(prose(text)) if not re.match(r"[a-z]+:", target)]
    return [Link(path, fragment) for path, _, fragment in (target.partition("#") for target in targets)]


def anchors(text: str) -> set[str]:
    """The fragments that GitHub gives the headings of a text."""
    found: set[str] = set()
    for title in re.findall(r"^#{1,6}\s+(.+?)\s*$", INDENTED.sub("", FENCED.sub("", text)), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        base = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        anchor, number = base, 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Each table: its header, and its rows by cells."""
    lines = [*text.splitlines(), ""]
    start = None
    for number, line in enumerate(lines):
        if line.startswith("|") and start is None:
            start = number
        elif not line.startswith("|") and start is not None:
            header, _, *rows = (_cells(row) for row in lines[start:number])
            yield header, rows
            start = None


def _cells(row: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
