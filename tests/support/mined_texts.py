"""Labelled texts that real models mined (tests/unit/curation/mined), and how well lint tells requests among them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tiltyard_jobs.curation.lint import lint
from tiltyard_jobs.curation.mined import clean
from tiltyard_jobs.curation.text import words

FOLDER = Path(__file__).resolve().parents[1] / "unit" / "curation" / "mined"
DEVELOPED, HELD_OUT = FOLDER / "texts.jsonl", FOLDER / "heldout.jsonl"
SAME = 0.8  # of the words of two texts are in both: one mark or one word more or less is no matter


class Figures(NamedTuple):
    """What lint makes of labelled texts.

    Attributes:
        texts: all of them.
        kept: those that pass.
        right: of these, those that are a request as it stands, or were cut where the answer begins.
        rightly_dropped: of the texts that do not pass, those without a request to keep.
        requests: texts that are a request as they stand.
        requests_kept: of these, those that are kept as they are.
        answers: texts that hold a request with its answer behind it.
        answers_kept: of these, those of which the request is kept.
    """

    texts: int
    kept: int
    right: int
    rightly_dropped: int
    requests: int
    requests_kept: int
    answers: int
    answers_kept: int

    @property
    def dropped(self) -> int:
        """The texts that do not pass."""
        return self.texts - self.kept


def labelled(path: Path) -> list[dict[str, Any]]:
    """The texts of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def mined_under(rows: Iterable[dict[str, Any]], message: str) -> list[dict[str, Any]]:
    """The texts that were mined under one system message: `default`, or `system`, the coding one."""
    return [row for row in rows if row["id"].split("-")[1] == message]


def kept_of(row: dict[str, Any]) -> str | None:
    """What is kept of a text, as the stage `filter` does it; None: it is dropped."""
    cleaned = clean(row["text"])
    if row.get("cut") and not cleaned.answer:
        return None
    return cleaned.text if lint(cleaned.text) is None else None


def is_right(row: dict[str, Any]) -> bool:
    """Whether what is kept is what its reader would keep, but for a word or a mark."""
    kept = kept_of(row)
    if kept is None or row["label"] == "none":
        return False
    wanted = [row["text"][:end] for end in row["ends"]] if row["label"] == "answer" else [row["text"]]
    return any(_alike(kept, text) >= SAME for text in wanted)


def measure(rows: Iterable[dict[str, Any]]) -> Figures:
    """The figures of some texts."""
    rows = list(rows)
    kept = [row for row in rows if kept_of(row) is not None]
    right = [row["label"] for row in kept if is_right(row)]
    labels = [row["label"] for row in rows]
    rightly_dropped = labels.count("none") - sum(row["label"] == "none" for row in kept)
    return Figures(
        len(rows), len(kept), len(right), rightly_dropped, labels.count("request"), right.count("request"),
        labels.count("answer"), right.count("answer"),
    )  # fmt: skip


def _alike(first: str, second: str) -> float:
    """Jaccard similarity of two texts' words."""
    one, other = set(words(first)), set(words(second))
    return len(one & other) / (len(one | other) or 1)
