"""Settings of all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# The same examples in every run, so that a change is judged by the change alone. To look for more:
#   HYPOTHESIS_PROFILE=explore make test-unit
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write what the golden tests compare with")
