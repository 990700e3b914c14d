"""Engines of GitOps tools."""

from __future__ import annotations

import tools
from support import gitops


def pytest_collection_finish() -> None:
    """Build the tools before the first test: within one, the build would run into the test's time-out."""
    for name in (gitops.TOOL, "kubectl"):
        tools.ensure(name)
