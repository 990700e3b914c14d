"""Tiltyard: tournaments between language models, from one manifest to a leaderboard, training data and a report.

From a program or a notebook:

    import tiltyard

    tournament = tiltyard.Tournament.from_file("examples/quickstart.yaml")
    results = tournament.run("demo")
    results.leaderboard
    results.table("battles").to_pandas()

See `docs/python.md`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiltyard.api.problems import ManifestError
    from tiltyard.sdk.clusters import Cluster
    from tiltyard.sdk.errors import StoppedError, TournamentFailedError, UserError
    from tiltyard.sdk.results import Results
    from tiltyard.sdk.tournaments import Tournament

__all__ = [
    "Cluster",
    "ManifestError",
    "Results",
    "StoppedError",
    "Tournament",
    "TournamentFailedError",
    "UserError",
]

# Late, so that the operator and each command load what they need alone.
_WHERE = {
    "Cluster": "tiltyard.sdk.clusters",
    "ManifestError": "tiltyard.api.problems",
    "Results": "tiltyard.sdk.results",
    "StoppedError": "tiltyard.sdk.errors",
    "Tournament": "tiltyard.sdk.tournaments",
    "TournamentFailedError": "tiltyard.sdk.errors",
    "UserError": "tiltyard.sdk.errors",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
