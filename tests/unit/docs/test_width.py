"""Documents are wrapped, so that a change of one sentence is a change of a line or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.documents import FENCED, ROOT, documents

WIDTH = 120


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_wrapped(path: Path) -> None:
    lines = FENCED.sub("", path.read_text()).splitlines()
    long = [line for line in lines if len(line) > WIDTH and not line.startswith(("|", "    ", "<!--"))]
    # A link cannot be broken.
    assert [
        line for line in long if len(line.lstrip(" -*").split(maxsplit=1)[0]) <= WIDTH and "](http" not in line
    ] == []
