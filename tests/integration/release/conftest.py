"""What the runner of a release has, and a registry."""

from __future__ import annotations

import tools


def pytest_collection_finish() -> None:
    """Build the tools before the first test: within one, the build would run into the test's time-out."""
    for name in ("helm", "oci-registry"):
        tools.ensure(name)
