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


@pytest.fixture(autouse=True, scope="session")
def _downloads_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests and their processes download is kept in a folder of theirs."""
    os.environ["TILTYARD_CACHE"] = str(tmp_path_factory.mktemp("downloads"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write what the golden tests compare with")
