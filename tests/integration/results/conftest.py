from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world is hundreds of small objects, and none of these tests pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
