"""Model loads: never more than the least that any schedule can do with."""

from __future__ import annotations

import random
from functools import cache
from itertools import combinations

import pytest

from support.manifests import tournament
from support.small_world import World
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import expected_loads
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Policy, TournamentState
from tiltyard.plan.schedule import Room
from tiltyard_jobs.contracts.recipes import ProbeRecipe


@cache
def graph_of(players: int, judges: int, self_grading: bool) -> Graph:
    curation = {"decontaminate": [], "difficulty": {"selfGrading": self_grading}}
    return build_graph(tournament(players, judges=judges, per_competitor=1, curation=curation))


def least_loads(graph: Graph, room: int) -> int:
    """By exhaustion: all sets of models that can be reached with one load more, until one of them ends the tournament.

    To keep fewer models than fit is never better, so only full rooms are tried.
    """
    everything = frozenset(ref.key for ref in graph.artifacts)

    def settle(done: frozenset[str], up: frozenset[str]) -> frozenset[str]:
        while True:
            more = {
                key
                for bundle in graph.bundles
                if bundle.needs <= done and (bundle.model is None or bundle.model in up)
                for key in bundle.keys
            }
            if more <= done:
                return done
            done |= more

    start = (settle(frozenset(), frozenset()), frozenset[str]())
    frontier, seen, loads = {start}, {start}, 0
    while not any(done == everything for done, _ in frontier):
        loads += 1
        following = set()
        for done, up in frontier:
            for model in {model.name for model in graph.models} - up:
                for kept in combinations(sorted(up), min(room - 1, len(up))):
                    after = frozenset({*kept, model})
                    state = (settle(done, after), after)
                    if state not in seen:
                        seen.add(state)
                        following.add(state)
        frontier = following
    return loads


CASES = [
    (players, judges, self_grading, room)
    for players in (2, 3, 4)
    for judges in (0, 1, 2)
    if players + judges > 2 and (players > 2 or judges)
    for self_grading in (False, True)
    for room in range(1, players + judges + 1)
    if players + judges <= 5
]


@pytest.mark.parametrize(("players", "judges", "self_grading", "room"), CASES)
def test_loads_are_the_least_that_exhaustion_finds(players: int, judges: int, self_grading: bool, room: int) -> None:
    graph = graph_of(players, judges, self_grading)
    assert sum(expected_loads(graph, {}, Room(room)).values()) == least_loads(graph, room)


@pytest.mark.parametrize("players", [3, 4, 5, 6, 7, 12])
@pytest.mark.parametrize("self_grading", [False, True])
def test_with_room_for_one_loads_are_as_counted_by_hand(players: int, self_grading: bool) -> None:
    """Each mines, each answers, each judges; the last one up for a stage starts the next (two loads saved), and where
    a model may not grade its own instructions the first grader's own wait for a second one (one load more)."""
    loads = expected_loads(graph_of(players, 0, self_grading), {}, Room(1))
    assert sum(loads.values()) == 3 * players - (2 if self_grading else 1)


@pytest.mark.parametrize(("players", "judges"), [(2, 1), (3, 2), (4, 3), (6, 1), (8, 3)])
@pytest.mark.parametrize("self_grading", [False, True])
def test_a_judge_that_only_judges_is_loaded_once_more_for_its_probe(
    players: int, judges: int, self_grading: bool
) -> None:
    graph = graph_of(players, judges, self_grading)
    one = sum(expected_loads(graph, {}, Room(1)).values())
    assert one == 2 * players + 2 * judges - (1 if self_grading else 0)
    assert sum(expected_loads(graph, {}, Room(None)).values()) == players + judges
    probed = {ref.key: frozenset({0}) for ref in graph.artifacts if ref.stage == ProbeRecipe.STAGE}
    assert sum(expected_loads(graph, probed, Room(1)).values()) == one - judges


@pytest.mark.parametrize(("players", "least"), [(5, [14, 10, 8, 6, 5]), (6, [17, 13, 11, 9, 7, 6])])
def test_more_room_never_costs_loads(players: int, least: list[int]) -> None:
    """The numbers are the search's own: too many sets of models for exhaustion, and none may become worse."""
    graph = graph_of(players, 0, False)
    loads = [sum(expected_loads(graph, {}, Room(room)).values()) for room in range(1, players + 1)]
    assert loads == sorted(loads, reverse=True)
    assert loads == least


@pytest.mark.parametrize("room", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_world_with_times_needs_no_more_loads_than_expected(room: int, seed: int) -> None:
    graph, world = graph_of(4, 0, False), World(random.Random(seed))
    assert world.play(graph, Policy(Room(room))).state is TournamentState.COMPLETE
    assert world.loads.total() == sum(expected_loads(graph, {}, Room(room)).values())
