"""Weights that are downloaded: whose, how large, and what loading them takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tiltyard.api import Tournament, secret_variable
from tiltyard.plan.graph import Graph
from tiltyard.plan.participants import TARGETS, participations
from tiltyard_jobs.contracts.recipes import TRAINED_MODEL
from tiltyard_jobs.contracts.weights import NamedWeights


class Loading(NamedTuple):
    """What the loads of a plan take, as far as is known.

    Attributes:
        sizes: bytes by model; models whose size nobody knows are left out.
        total: bytes that are downloaded, each model's once.
        by_load: bytes, where each load downloads them.
        seconds: of all loads whose model was loaded before; None: none was.
        measured: loads that this is of.
    """

    sizes: Mapping[str, int]
    total: int
    by_load: int
    seconds: float | None
    measured: int


def downloaded(tournament: Tournament) -> Iterator[NamedWeights]:
    """The served models that come from the hub."""
    for name, one in participations(tournament).items():
        model = one.participant.model
        if model is not None and model.is_on_hub and name != TRAINED_MODEL:
            token = model.token_secret_ref
            yield NamedWeights(
                name=name,
                field=f"{one.field}.{'baseModel' if name in TARGETS else 'model'}",
                uri=model.source,
                revision=model.revision,
                mirror=model.endpoint,
                token_env=secret_variable(token) if token is not None else None,
            )


def expected_loading(
    graph: Graph, sizes: Mapping[str, int], loads: Mapping[str, int], measured: Mapping[str, float]
) -> Loading:
    """What the loads of a plan take.

    Args:
        graph: of the tournament.
        sizes: bytes by model.
        loads: by model.
        measured: seconds of a load, by `ModelNode.version`.
    """
    known = {name: size for name, size in sizes.items() if loads.get(name)}
    times = {model.name: measured[model.version] for model in graph.models if model.version in measured}
    timed = {name: count for name, count in loads.items() if count and name in times}
    return Loading(
        known,
        sum(known.values()),
        sum(size * loads[name] for name, size in known.items()),
        sum(times[name] * count for name, count in timed.items()) if timed else None,
        sum(timed.values()),
    )


def bytes_text(count: float) -> str:
    """A size as disks and networks are sold: `15.2 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit returns")
