"""What people are shown."""

from __future__ import annotations

from datetime import UTC, datetime

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import Observed, PreflightPhase
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import build_status

NOW = 1_800_000_000.0
TOURNAMENT = tournament(4)


def first(graph: Graph, count: int) -> dict[str, frozenset[int]]:
    """The first parts in plan order."""
    parts = [(ref.key, shard) for ref in graph.artifacts for shard in range(ref.shards)][:count]
    return {ref.key: frozenset(shard for key, shard in parts if key == ref.key) for ref in graph.artifacts}


def test_the_rest_goes_at_the_pace_of_what_this_run_has_made_while_at_work() -> None:
    graph = build_graph(TOURNAMENT)
    total = sum(ref.shards for ref in graph.artifacts)
    found, made = total // 4, total // 2

    def eta(elapsed: float | None, done: int) -> datetime | None:
        observed = Observed(PreflightPhase.PASSED, done=first(graph, done), reused=first(graph, found), elapsed=elapsed)
        return build_status(TOURNAMENT, graph, observed, plan(graph, Policy(), observed), NOW).eta

    left = 100.0 * (total - made) / (made - found)
    assert eta(100.0, made) == datetime.fromtimestamp(round(NOW + left), UTC)
    assert eta(None, made) is None
    assert eta(100.0, found) is None
    assert eta(100.0, total) is None
