"""docs/python.md names all that `import tiltyard` offers."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import tiltyard

TEXT = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", tiltyard.__all__)
def test_each_name_and_its_methods_are_described(name: str) -> None:
    assert name in dir(tiltyard)
    kind = getattr(tiltyard, name)
    assert name in TEXT
    if not issubclass(kind, Exception):
        missing = [member for member, _ in inspect.getmembers(kind) if member[0] != "_" and member not in TEXT]
        assert missing == []


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="module 'tiltyard' has no attribute 'Tournaments'"):
        tiltyard.Tournaments  # noqa: B018
