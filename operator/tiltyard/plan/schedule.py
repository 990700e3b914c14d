"""Which models to start and which to stop: few loads, nothing idle, never more than the room allows.

A load of a large model takes ten minutes, so loads are what is counted. A model that has work is never stopped; one
with nothing left goes at once; one that has died while its shards ran comes back before any other; what remains to be
chosen is the order of starts, and who gives way. `search.cheapest` looks for the sequence of loads
that is the shortest from here to the end, as if all else took no time; `decide` takes of it what can be done now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tiltyard.plan.graph import Graph, ModelNode
from tiltyard.plan.search import cheapest


@dataclass(frozen=True)
class Room:
    """What may be up at once.

    Attributes:
        max_active: models; None: no bound.
        budget: a sum of resources, as (name, limit); a resource that is not named is not bounded.
    """

    max_active: int | None = None
    budget: tuple[tuple[str, Decimal], ...] = ()

    def fits(self, models: Iterable[ModelNode]) -> bool:
        """Whether these models may be up together; endpoints that run already take no room."""
        served = [model for model in models if model.served]
        if self.max_active is not None and len(served) > self.max_active:
            return False
        return all(
            sum((model.resources.get(name, Decimal(0)) for model in served), Decimal(0)) <= limit
            for name, limit in self.budget
        )


class Decision(NamedTuple):
    """Models to start and models to stop, by name."""

    start: tuple[str, ...]
    stop: tuple[str, ...]


def decide(
    graph: Graph,
    done: frozenset[str],
    up: frozenset[str],
    room: Room,
    working: frozenset[str] = frozenset(),
    resting: frozenset[str] = frozenset(),
) -> Decision:
    """What to start and stop now.

    Args:
        graph: the tournament.
        done: keys of the artifacts that are complete.
        up: names of the served models that are up or start.
        room: what may be up at once.
        working: names of the models whose shards run; one that is not up has died.
        resting: names of the models that are not to start yet; nothing is stopped for them, and others come first.
    """
    undone = [bundle for bundle in graph.bundles if not bundle.keys <= done]
    left = {bundle.model for bundle in undone}
    ready = {bundle.model for bundle in undone if bundle.needs <= done}
    stop = [model.name for model in graph.models if model.name in up and model.name not in left]
    staying, start = set(up) - set(stop), list[str]()
    for model in graph.models:
        died = model.served and model.name in working and model.name not in up | resting
        if died and room.fits(graph.model[name] for name in [*staying, model.name]):
            staying.add(model.name)
            start.append(model.name)
    for load in cheapest(graph, done, frozenset(staying), room.fits):
        if load.model in resting:
            continue
        # A load counts on work that is not done yet: who still owes some of it cannot leave, and what follows waits.
        owing = {bundle.model for bundle in undone if bundle.keys <= load.before}
        leaving = load.leaving - resting
        if load.model not in ready or leaving & owing:
            break
        staying -= leaving
        if not room.fits(graph.model[name] for name in [*staying, load.model]):
            break
        stop += sorted(leaving)
        staying.add(load.model)
        start.append(load.model)
    return Decision(tuple(start), tuple(stop))
