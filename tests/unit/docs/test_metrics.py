"""Every metric that is declared is set somewhere, and no document names another."""

from __future__ import annotations

import ast
import re

from generate_tables import METRICS, exposed
from support.documents import ROOT


def test_every_metric_is_set() -> None:
    used = set()
    for path in (ROOT / "operator/tiltyard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "metrics":
                used.add(node.attr)
            elif path.name == "metrics.py" and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
    assert set(METRICS) - used == set()


def test_no_document_names_another_metric() -> None:
    names = {exposed(metric)[0] for metric in METRICS.values()}
    prefixes = re.compile(r"\btiltyard_(?!jobs\b)[a-z_]+[a-z]\b")
    folders = (ROOT / "docs", ROOT / "charts")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".md", ".yaml", ".json")]
    found = {name for path in files for name in prefixes.findall(path.read_text())}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in found} <= names
