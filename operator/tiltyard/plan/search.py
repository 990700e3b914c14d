"""The shortest sequence of model loads from a state to the end of a tournament, in a world where only loads take time.

Two searches, the better result counts:

- Belady's rule: load what has work in the earliest stage, let go of what is needed again the latest. With room for one
  model it needs 3N − 2 loads where a model may grade its own instructions, 3N − 1 where not.
- A breadth-first search over loads whose frontier is cut to the most promising states: exact as long as nothing is cut.
  With more room it finds what the rule misses: a model kept up while others stream past it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from tiltyard.plan.graph import Graph, ModelNode
from tiltyard_jobs.contracts.recipes import RECIPES

Fits = Callable[[Iterable[ModelNode]], bool]

STAGE_RANK = {stage: rank for rank, stage in enumerate(RECIPES)}
MAX_BUNDLES = 250  # beyond this (ten competitors) only the rule is used: a step of the search costs too much
EFFORT = 2_500  # states × bundles that one step of the search looks at


class Load(NamedTuple):
    """One load.

    Attributes:
        model: what is loaded.
        leaving: those that leave to make room for it.
        before: keys of the artifacts that are taken as complete when it happens.
    """

    model: str
    leaving: frozenset[str]
    before: frozenset[str]


class _Work(NamedTuple):
    """A bundle as bits: what it makes, what it needs, whose it is (-1: it needs no model), and its stage's rank."""

    makes: int
    needs: int
    model: int
    rank: int


class _World:
    """A graph as bits, for the search. Models are bits in manifest order; those that run anyway are always up."""

    def __init__(self, graph: Graph, fits: Fits) -> None:
        self.bit = {ref.key: 1 << place for place, ref in enumerate(graph.artifacts)}
        self.models = graph.models
        self.place = {model.name: place for place, model in enumerate(graph.models)}
        self.always = sum(1 << place for place, model in enumerate(graph.models) if not model.served)
        self.total = sum(self.bit.values())
        self.work = [
            _Work(
                self.bits(bundle.keys),
                self.bits(bundle.needs),
                -1 if bundle.model is None else self.place[bundle.model],
                STAGE_RANK[bundle.stage],
            )
            for bundle in graph.bundles
        ]
        self.share = [0] * len(graph.models)
        for work in self.work:
            if work.model >= 0:
                self.share[work.model] |= work.makes
        self._fits = lru_cache(maxsize=4096)(lambda up: fits(self.models[place] for place in self.places(up)))

    def bits(self, keys: Iterable[str]) -> int:
        return sum(self.bit[key] for key in keys)

    def places(self, up: int) -> list[int]:
        return [place for place in range(len(self.models)) if up >> place & 1]

    def fits(self, up: int) -> bool:
        return self._fits(up)

    def settle(self, done: int, up: int) -> int:
        """What is done once the models that are up have done all that they can."""
        up |= self.always
        todo = [work for work in self.work if work.makes & ~done and (work.model < 0 or up >> work.model & 1)]
        while True:
            rest = []
            for work in todo:
                if work.needs & ~done:
                    rest.append(work)
                else:
                    done |= work.makes
            if len(rest) == len(todo) or not rest:
                return done
            todo = rest

    def ready(self, done: int) -> dict[int, int]:
        """Rank of the earliest stage in which a model has work that could run now, by model."""
        result: dict[int, int] = {}
        for work in self.work:
            if work.model >= 0 and work.makes & ~done and not work.needs & ~done:
                result[work.model] = min(work.rank, result.get(work.model, work.rank))
        return result

    def live(self, done: int, up: int) -> list[int]:
        """Models that are up and have work left."""
        return [place for place in self.places(up) if self.share[place] & ~done]

    def next_waits(self, done: int) -> dict[int, int]:
        """Place in plan order of each model's first bundle that waits for others."""
        result: dict[int, int] = {}
        for place, work in enumerate(self.work):
            if work.makes & ~done and work.needs & ~done:
                result.setdefault(work.model, place)
        return result


class _State(NamedTuple):
    done: int
    up: int


def cheapest(graph: Graph, done: frozenset[str], up: frozenset[str], fits: Fits) -> tuple[Load, ...]:
    """The shortest sequence of loads found.

    Args:
        graph: the tournament.
        done: keys of the artifacts that are complete.
        up: names of the served models that are up or start.
        fits: whether models may be up together; a model that does not fit alone never loads.

    Returns:
        Loads in order; the work that the models up can do is taken as done between them. Where no sequence ends the
        tournament (a model that fits nowhere), the part of it that can be done.
    """
    world = _world(graph, fits)
    start_up = sum(1 << world.place[name] for name in up)
    start = _State(world.settle(world.bits(key for key in done if key in world.bit), start_up), start_up)
    return _cheapest(world, start)


@lru_cache(maxsize=256)
def _world(graph: Graph, fits: Fits) -> _World:
    return _World(graph, fits)


@lru_cache(maxsize=4096)
def _cheapest(world: _World, start: _State) -> tuple[Load, ...]:
    rule = list(_belady(world, start))
    found = _search(world, start, len(rule)) if len(world.work) <= MAX_BUNDLES else None
    return tuple(_replay(world, start, rule if found is None else found))


def _replay(world: _World, state: _State, steps: Iterable[tuple[int, int]]) -> Iterator[Load]:
    """Steps as loads, with what is complete before each."""
    done, up = state
    for model, leaving in steps:
        names = frozenset(world.models[place].name for place in world.places(leaving))
        yield Load(world.models[model].name, names, frozenset(key for key, bit in world.bit.items() if done & bit))
        up = up & ~leaving | 1 << model
        done = world.settle(done, up)


def _belady(world: _World, state: _State) -> Iterator[tuple[int, int]]:
    """Loads by the rule, as (model, bits of the models that leave)."""
    done, up = state
    end = len(world.work)
    while done != world.total:
        waits = world.next_waits(done)
        ready = world.ready(done)
        live = world.live(done, up)
        wanted = sorted(
            (place for place in ready if not (up | world.always) >> place & 1 and world.fits(1 << place)),
            key=lambda place: (ready[place], -waits.get(place, end), -place),
        )
        if not wanted:
            return
        model, kept = wanted[0], sum(1 << place for place in live)
        for place in sorted(live, key=lambda place: (-waits.get(place, end), -place)):
            if world.fits(kept | 1 << model):
                break
            kept &= ~(1 << place)
        yield model, sum(1 << place for place in live) & ~kept
        up = kept | 1 << model
        done = world.settle(done, up)


def _search(world: _World, start: _State, bound: int) -> list[tuple[int, int]] | None:
    """Loads by breadth-first search with a cut frontier; None where it finds fewer than `bound` loads nowhere."""
    width = max(8, EFFORT // len(world.work))
    frontier: dict[_State, tuple[tuple[int, int], ...]] = {start: ()}
    for _ in range(bound):
        following: dict[_State, tuple[tuple[int, int], ...]] = {}
        for state, steps in frontier.items():
            if state.done == world.total:
                return list(steps)
            for step, successor in _successors(world, state):
                if successor not in following:
                    following[successor] = (*steps, step)
        ranked = sorted(following, key=lambda state: (_least(world, state), -state.done.bit_count(), state))
        frontier = {state: following[state] for state in ranked[:width]}
    return None


def _least(world: _World, state: _State) -> int:
    """A bound from below on the loads still needed: each model with work left that is not up."""
    up = state.up | world.always
    return sum(1 for place, share in enumerate(world.share) if share & ~state.done and not up >> place & 1)


def _successors(world: _World, state: _State) -> Iterator[tuple[tuple[int, int], _State]]:
    """Each load that is of use, with each smallest set of models that can leave for it."""
    live = world.live(state.done, state.up)
    all_live = sum(1 << place for place in live)
    for model in sorted(world.ready(state.done)):
        if (state.up | world.always) >> model & 1:
            continue
        for size in range(len(live), -1, -1):
            keeps = [sum(1 << place for place in kept) for kept in combinations(live, size)]
            fitting = [kept for kept in keeps if world.fits(kept | 1 << model)]
            for kept in fitting:
                up = kept | 1 << model
                yield (model, all_live & ~kept), _State(world.settle(state.done, up), up)
            if fitting:
                break
