"""What loads take: whose weights are downloaded, how large they are, and how long that takes."""

from __future__ import annotations

import pytest

from support.cluster_objects import cluster_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.weights import bytes_text, downloaded, expected_loading

PLAYERS = [
    {"name": "a", "model": {"uri": "hf://org/a", "revision": "v1", "tokenSecretRef": {"name": "hub", "key": "token"}}},
    {"name": "b", "model": {"uri": "hf://org/b", "servedFrom": "hf://org/b?endpoint=https://mirror.example"}},
    {"name": "c", "model": {"uri": "hf://org/c", "servedFrom": "pvc://models/c"}},
]
TOURNAMENT = cluster_tournament(players=PLAYERS, judges=1, serving={"weights": {"claim": {"size": "1Gi"}}})
GRAPH = build_graph(TOURNAMENT)


def test_what_comes_from_the_hub_is_asked_there() -> None:
    first, second = downloaded(TOURNAMENT)
    assert (first.field, first.uri, first.revision) == ("spec.competitors[0].model", "hf://org/a", "v1")
    assert (first.token_env, first.mirror) == ("TILTYARD_SECRET_HUB_TOKEN", None)
    assert (second.name, second.mirror, second.token_env) == ("b", "https://mirror.example", None)


def test_loads_take_what_was_measured_and_download_what_the_hub_says() -> None:
    version = GRAPH.model["a"].version
    loading = expected_loading(GRAPH, {"a": 10, "b": 5, "c": 7}, {"a": 3, "b": 1, "c": 0, "j0": 1}, {version: 60.0})
    assert loading.sizes == {"a": 10, "b": 5}  # what is not loaded again is not downloaded
    assert (loading.total, loading.by_load) == (15, 35)
    assert (loading.seconds, loading.measured) == (180.0, 3)
    assert expected_loading(GRAPH, {}, {"a": 3}, {}).seconds is None


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (1_000, "1.0 kB"), (15_230_000_000, "15.2 GB"), (2e12, "2000.0 GB")]
)
def test_sizes_are_told_in_decimal_units(count: float, text: str) -> None:
    assert bytes_text(count) == text
