"""Public prompt sets in the forms in which their authors publish them: the same columns, words of our own."""

from __future__ import annotations

from typing import Any

import yaml

from support.documents import ROOT, tables

PUBLIC: dict[str, tuple[str, dict[str, Any]]] = {
    # By their names in docs/prompts.md: the column of ids, and a record, with `…` in the place of the text.
    "Arena-Hard v0.1": ("question_id", {"category": "arena-hard-v0.1", "cluster": "C", "turns": [{"content": "…"}]}),
    "Arena-Hard v0.1, since v2.0": ("uid", {"category": "arena-hard-v0.1", "cluster": "C", "prompt": "…"}),
    "Arena-Hard v2.0": ("uid", {"category": "hard_prompt", "subcategory": "coding", "prompt": "…"}),
    "MT-Bench": ("question_id", {"category": "math", "turns": ["…", "Why?"], "reference": ["1", "2"]}),
    "Vicuna": ("question_id", {"text": "…", "category": "generic"}),
    "Vicuna, of FastChat": ("question_id", {"category": "generic", "turns": ["…"]}),
    "WizardLM's test": ("idx", {"Skill": "Math", "Difficulty": 7, "Instruction": "…"}),
    "GSM8K": ("", {"question": "…", "answer": "#### 1"}),
}


def published(name: str, texts: list[str]) -> list[dict[str, Any]]:
    """The rows of a set that holds these texts."""
    column, form = PUBLIC[name]
    return [({column: f"q{number}"} if column else {}) | _filled(form, text) for number, text in enumerate(texts)]


def public_sources() -> dict[str, dict[str, Any]]:
    """What docs/prompts.md says to write for each set."""
    document = (ROOT / "docs/prompts.md").read_text()
    (rows,) = (rows for header, rows in tables(document) if header == ["set", "write"])
    return {name: yaml.safe_load(written.strip("`")) for name, written in rows}


def _filled(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inside, text) for name, inside in value.items()}
    if isinstance(value, list):
        return [_filled(inside, text) for inside in value]
    return text if value == "…" else value
