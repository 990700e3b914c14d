"""Tournaments for tests, from a few words."""

from __future__ import annotations

from typing import Any

import yaml

from tiltyard.api import Tournament, load_tournament


def manifest(
    competitors: int | list[str] = 3,
    *,
    judges: int = 0,
    per_competitor: int = 8,
    **spec: Any,
) -> dict[str, Any]:
    """A manifest of simulated experts, as plain data; `spec` replaces or adds fields of the spec."""
    names = [f"m{number}" for number in range(competitors)] if isinstance(competitors, int) else competitors
    document: dict[str, Any] = {
        "apiVersion": "tiltyard.dev/v1alpha1",
        "kind": "Tournament",
        "metadata": {"name": "test"},
        "spec": {
            "competitors": [{"name": name, "model": {"uri": f"sim://{name}"}} for name in names],
            "judges": [{"name": f"j{number}", "model": {"uri": f"sim://j{number}"}} for number in range(judges)],
            "instructions": {"mine": {"perCompetitor": per_competitor}},
            "curation": {"decontaminate": []},
            "jobs": {"shardSize": 4},
        },
    }
    document["spec"] |= spec
    return document


def tournament(*args: Any, **kwargs: Any) -> Tournament:
    """As `manifest`, loaded."""
    return load_tournament(yaml.safe_dump(manifest(*args, **kwargs)))
