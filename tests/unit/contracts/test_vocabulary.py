"""Words that a manifest chooses from are spelled once."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for folder in ("operator", "jobs") for path in (ROOT / folder).rglob("*.py"))


def literals(path: Path) -> Iterator[frozenset[str]]:
    """The words of each `Literal` of two or more in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            words = [item.value for item in ast.walk(node.slice) if isinstance(item, ast.Constant)]
            if len(words) > 1 and all(isinstance(word, str) for word in words):
                yield frozenset(map(str, words))


def test_each_set_of_words_has_one_definition() -> None:
    homes = defaultdict(list)
    for path in SOURCES:
        for words in literals(path):
            homes[words].append(str(path.relative_to(ROOT)))
    assert len(homes) > 10
    assert {words: where for words, where in homes.items() if len(where) > 1} == {}
