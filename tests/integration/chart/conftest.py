"""The chart as the helm binary renders it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools
from integration.chart.helm import CHART, Helm, Render, Rendered


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the tools before the first test: within one, the build would run into the test's time-out."""
    if any("helm" in getattr(item, "fixturenames", ()) for item in session.items):
        tools.ensure("helm")
    if any(item.path.name == "test_alerts.py" for item in session.items):
        tools.ensure("prometheus-rules")


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """The helm binary, without a cluster."""
    return Helm(tmp_path)


@pytest.fixture
def render(helm: Helm) -> Render:
    """`helm template` with the values given."""

    def template(*, release: str = "arena", chart: Path = CHART, flags: Sequence[str] = (), **values: Any) -> Rendered:
        text = helm("template", release, chart, "--namespace", "tiltyard-system", *flags, values=values)
        rendered = Rendered()
        for document in yaml.safe_load_all(text):
            metadata = document["metadata"]
            key = (document["kind"], metadata.get("namespace", ""), metadata["name"])
            assert key not in rendered, f"{key} is made twice"
            rendered[key] = document
        return rendered

    return template
