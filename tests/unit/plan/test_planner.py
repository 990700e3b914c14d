"""Whole tournaments, played to the end in a small world."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.manifests import manifest, tournament
from support.small_world import World
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import estimate, expected_loads
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Policy, TournamentState, plan
from tiltyard.plan.schedule import Room
from tiltyard_jobs.contracts.recipes import JudgeRecipe


def is_complete(graph: Graph, world: World) -> bool:
    return all(bundle.complete(world.done) for bundle in graph.bundles)


@pytest.mark.parametrize("room", [1, 2, 3, None])
@pytest.mark.parametrize("judges", [0, 2])
def test_a_tournament_is_played_to_the_end(room: int | None, judges: int) -> None:
    graph, world = build_graph(tournament(4, judges=judges)), World(random.Random(1))
    last = world.play(graph, Policy(Room(room)))
    assert last.state is TournamentState.COMPLETE
    assert is_complete(graph, world)
    assert set(world.made.values()) == {1}
    assert world.most_up == (room or 4 + judges)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """Manifests of all shapes that can be played."""
    judges = draw(st.integers(0, 3))
    size = draw(st.integers(2 if judges else 3, 5))
    document = manifest(
        size,
        judges=judges,
        per_competitor=draw(st.integers(1, 20)),
        battles={
            "pairing": draw(st.sampled_from(["AttackerDefender", "AllPairs"])),
            "orders": draw(st.sampled_from(["Both", "Alternate"])),
        },
        curation={
            "decontaminate": [],
            "dedup": {"method": draw(st.sampled_from(["MinHash", "None"]))},
            "difficulty": {
                "keep": draw(st.sampled_from([[], ["Excellent", "Good"]])),
                "judges": draw(st.integers(1, size - 1)),
                "selfGrading": draw(st.booleans()),
            },
            "diversity": {"perCompetitor": draw(st.integers(1, 20))},
        },
        jobs={"shardSize": draw(st.integers(1, 9))},
    )
    for participant in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        if draw(st.booleans()) and draw(st.booleans()):
            participant["endpoint"] = {"url": "http://somewhere/v1", "model": participant["name"]}
            del participant["model"]
        else:
            participant["serving"] = {"resources": {"limits": {"nvidia.com/gpu": str(draw(st.integers(1, 4)))}}}
    return document


@given(manifests(), st.integers(1, 5), st.integers(4, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=25)
def test_any_manifest_in_any_room_is_played_to_the_end(
    document: dict[str, Any], active: int, gpus: int, seed: int
) -> None:
    graph = build_graph(load_tournament(yaml.safe_dump(document)))
    room = Room(active, (("nvidia.com/gpu", Decimal(gpus)),))
    world = World(random.Random(seed))
    assert world.play(graph, Policy(room)).state is TournamentState.COMPLETE
    assert is_complete(graph, world)
    assert set(world.made.values()) == {1}


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 2))
@settings(deadline=None, max_examples=25)
def test_models_for_which_there_are_too_few_nodes_come_by_turns(seed: int, nodes: int, judges: int) -> None:
    graph, world = build_graph(tournament(3, judges=judges)), World(random.Random(seed), nodes=nodes)
    assert world.play(graph, Policy()).state is TournamentState.COMPLETE
    assert is_complete(graph, world)
    assert set(world.made.values()) == {1}


def test_where_all_fit_nothing_gives_way() -> None:
    graph, world = build_graph(tournament(4)), World(random.Random(1), nodes=4)
    assert world.play(graph, Policy()).state is TournamentState.COMPLETE
    assert set(world.loads.values()) == {1}


def test_only_what_may_be_in_the_way_gives_way() -> None:
    def gpus(name: str, kind: str) -> dict[str, Any]:
        return {"name": name, "model": {"uri": f"hf://org/{name}"}, "serving": {"resources": {"limits": {kind: "1"}}}}

    document = manifest(3)
    document["spec"]["competitors"] = [gpus("a", "amd.com/gpu"), gpus("b", "nvidia.com/gpu"), gpus("c", "amd.com/gpu")]
    graph = build_graph(load_tournament(yaml.safe_dump(document)))
    done = {ref.key: frozenset(range(ref.shards)) for name in ("mine/a", "mine/b") for ref in graph.by_name[name].makes}
    version = {model.name: model.version for model in graph.models}
    up = {name: ModelSeen(ModelPhase.READY, version[name], 1) for name in ("a", "b")}
    waits = ModelSeen(ModelPhase.STARTING, version["c"], 1, wait=Wait(WaitReason.UNSCHEDULABLE, "no node"))
    observed = Observed(PreflightPhase.PASSED, done=done, models=up | {"c": waits})
    assert plan(graph, Policy(), observed).stop_models == ("a",)
    # Nobody knows what a Job's pod that fits no node wants: all give way that have nothing to do.
    needy = JobSeen(JobPhase.ACTIVE, graph.by_name["mine/c"].version, wait=Wait(WaitReason.UNSCHEDULABLE, "no node"))
    seen = replace(observed, models=up, jobs={"mine/c": needy})
    assert plan(graph, Policy(), seen).stop_models == ("a", "b")
    held = replace(waits, wait=Wait(WaitReason.QUEUED, "no quota"))
    assert plan(graph, Policy(), replace(observed, models=up | {"c": held})).stop_models == ("a",)
    # What merely starts, or waits for something else, moves nobody.
    for wait in (None, Wait(WaitReason.NOT_STARTING, "no image")):
        seen = replace(observed, models=up | {"c": replace(waits, wait=wait)})
        assert plan(graph, Policy(), seen).stop_models == ()
    # Nor does it move what has work.
    assert plan(graph, Policy(), replace(observed, done={})).stop_models == ()


@given(st.integers(0, 2**32), st.integers(1, 3))
@settings(deadline=None, max_examples=20)
def test_what_is_there_already_is_not_made_again(seed: int, room: int) -> None:
    graph, rng = build_graph(tournament(3)), random.Random(seed)
    there = {ref.key: frozenset(part for part in range(ref.shards) if rng.random() < 0.5) for ref in graph.artifacts}
    world = World(rng, done=dict(there))
    assert world.play(graph, Policy(Room(room))).state is TournamentState.COMPLETE
    assert not {(key, part) for key, parts in there.items() for part in parts} & world.made.keys()


@pytest.mark.parametrize("resting", ["m0", "m1", "m2"])
def test_while_a_model_rests_others_do_what_they_can(resting: str) -> None:
    graph = build_graph(tournament(3))
    rests = ModelSeen(ModelPhase.STOPPED, graph.model[resting].version, resting=True)
    observed = Observed(PreflightPhase.PASSED, models={resting: rests})
    (started,) = plan(graph, Policy(Room(1)), observed).start_models
    assert started != resting
    # Its Job is there still; what is up and idle is not stopped for it.
    job = JobSeen(JobPhase.ACTIVE, graph.by_name[f"mine/{resting}"].version)
    up = {name: ModelSeen(ModelPhase.READY, graph.model[name].version) for name in graph.model if name != resting}
    seen = replace(observed, models={resting: rests, started: up[started]}, jobs={f"mine/{resting}": job})
    decided = plan(graph, Policy(Room(1)), seen)
    assert (decided.start_models, decided.stop_models) == ((), ())
    assert decided.stop_jobs == (f"mine/{resting}",)
    assert [order.bundle.name for order in decided.start_jobs] == [f"mine/{started}"]


def test_a_complete_tournament_starts_nothing() -> None:
    graph, world = build_graph(tournament(3)), World(random.Random(1))
    world.play(graph, Policy())
    again = World(random.Random(2), done=world.done)
    assert again.play(graph, Policy()).state is TournamentState.COMPLETE
    assert not again.loads
    assert not again.bundles_run


def test_suspended_it_stops_everything_and_resumed_it_goes_on() -> None:
    graph, world = build_graph(tournament(4)), World(random.Random(3))
    world.play(graph, Policy(Room(2)), until=lambda world: len(world.made) > 20)
    made = dict(world.made)
    assert world.play(graph, Policy(Room(2), suspend=True)).state is TournamentState.SUSPENDED
    assert dict(world.made) == made
    assert world.play(graph, Policy(Room(2))).state is TournamentState.COMPLETE
    assert set(world.made.values()) == {1}


def test_a_shard_that_fails_for_good_fails_the_tournament_and_frees_the_models() -> None:
    graph = build_graph(tournament(3))
    world = World(random.Random(4), fails=lambda name, index: name == "answer/m1/m2")
    last = world.play(graph, Policy(Room(2)))
    assert last.state is TournamentState.FAILED
    assert last.message == "answer/m1/m2: a shard failed"
    mended = World(random.Random(5), done=world.done)
    assert mended.play(graph, Policy(Room(2))).state is TournamentState.COMPLETE
    assert not {name for name in mended.bundles_run if name.startswith("mine")}


def test_a_model_that_dies_is_started_again() -> None:
    graph = build_graph(tournament(3))
    world = World(random.Random(6), model_dies=lambda name, load: name == "m1" and load <= 3)
    assert world.play(graph, Policy(Room(1))).state is TournamentState.COMPLETE
    assert set(world.made.values()) == {1}


@pytest.mark.parametrize(("room", "slots"), [(1, 2), (2, 1), (2, 3)])
def test_whenever_a_model_dies_it_comes_back_and_costs_one_load(room: int, slots: int) -> None:
    """A death at each step in turn, of each model that is up then."""
    graph = build_graph(tournament(3))
    quiet = World(random.Random(11), slots=slots)
    assert quiet.play(graph, Policy(Room(room))).state is TournamentState.COMPLETE
    died = 0
    for step in range(quiet.steps):
        world = World(random.Random(11), slots=slots, dies=lambda _, now, step=step: now == step)  # type: ignore[misc]
        assert world.play(graph, Policy(Room(room))).state is TournamentState.COMPLETE
        assert set(world.made.values()) == {1}
        assert world.loads.total() <= quiet.loads.total() + world.deaths
        died += world.deaths
    assert died > quiet.steps / 3


@given(st.integers(0, 2**32), st.integers(1, 2), st.integers(1, 4), st.floats(0, 0.3))
@settings(deadline=None, max_examples=25)
def test_models_that_die_at_any_time_never_keep_a_tournament_from_its_end(
    seed: int, room: int, slots: int, often: float
) -> None:
    graph, deaths = build_graph(tournament(3, judges=1)), random.Random(seed)
    world = World(random.Random(seed), slots=slots, dies=lambda name, step: deaths.random() < often)
    assert world.play(graph, Policy(Room(room))).state is TournamentState.COMPLETE
    assert set(world.made.values()) == {1}


@pytest.mark.parametrize("slots", [2, 3])
@pytest.mark.parametrize("name", ["m0", "m1"])
def test_shards_whose_model_has_no_room_give_their_slots_back_and_lose_nothing(slots: int, name: str) -> None:
    """The room shrinks while two models work, and one of them dies."""
    graph = build_graph(tournament(4))
    world = World(random.Random(12), slots=slots)
    world.play(graph, Policy(Room(2)), until=lambda world: world.at_work() == {"m0", "m1"})
    world.dies = lambda model, _: model == name and not world.deaths
    assert world.play(graph, Policy(Room(1))).state is TournamentState.COMPLETE
    assert world.deaths == 1
    assert world.jobs_stopped > 0
    assert set(world.made.values()) == {1}


def test_a_deadline_fails_it_and_keeps_what_is_made() -> None:
    graph, world = build_graph(tournament(3)), World(random.Random(7))
    last = world.play(graph, Policy(Room(1), active_deadline=120))
    assert last.state is TournamentState.FAILED
    assert last.message.startswith("spec.activeDeadlineSeconds: ")
    assert world.done


def test_an_edit_in_the_middle_stops_what_it_replaces_and_keeps_the_rest() -> None:
    before = build_graph(tournament(3))
    world = World(random.Random(8))
    world.play(before, Policy(Room(2)), until=lambda world: any(n.startswith("answer") for n in world.bundles_run))
    after = build_graph(tournament(3, battles={"answer": {"temperature": "0.1"}}))
    assert world.play(after, Policy(Room(2))).state is TournamentState.COMPLETE
    assert is_complete(after, world)
    assert set(world.made.values()) == {1}


def names_to_make(graph: Graph, done: dict[str, frozenset[int]]) -> set[str]:
    return {bundle.name for bundle in graph.bundles if not bundle.complete(done)}


def test_a_sixth_competitor_costs_its_own_row_and_column() -> None:
    five, six = build_graph(tournament(5)), build_graph(tournament(6))
    world = World(random.Random(9))
    world.play(five, Policy(Room(2)))
    done = set(world.made)
    left = names_to_make(six, world.done)
    for bundle in six.bundles:
        if bundle.name not in left or bundle.stage in ("rate", "dataset", "report"):
            continue
        for index in bundle.missing(world.done):
            for part in index:
                recipe = bundle.recipes[part.recipe]
                assert "m5" in bundle.name or "sim://m5" in recipe.model_dump_json(), bundle.name
    assert world.play(six, Policy(Room(2))).state is TournamentState.COMPLETE
    assert set(world.made.values()) == {1}
    assert len(world.made) > len(done)


def test_another_alpha_rates_anew_and_nothing_else() -> None:
    world = World(random.Random(10))
    world.play(build_graph(tournament(4)), Policy())
    other = build_graph(tournament(4, rating={"alpha": "0.5"}))
    assert names_to_make(other, world.done) == {"rate", "dataset", "report"}


def test_names_and_what_cannot_change_a_result_are_in_no_key() -> None:
    plain = build_graph(tournament(3))
    tuned = build_graph(
        tournament(3, serving={"maxActive": 1}, jobs={"shardSize": 4, "parallelism": 9, "backoffLimitPerShard": 0})
    )
    assert plain.run == tuned.run
    renamed = manifest(3)
    renamed["spec"]["competitors"][0]["name"] = "another"
    graph = build_graph(load_tournament(yaml.safe_dump(renamed)))
    assert {ref.key for ref in plain.artifacts if ref.stage not in ("rate", "dataset", "report")} == {
        ref.key for ref in graph.artifacts if ref.stage not in ("rate", "dataset", "report")
    }


def test_nobody_judges_a_match_that_it_plays_in() -> None:
    for pairing in ("AttackerDefender", "AllPairs"):
        for recipe in build_graph(tournament(5, battles={"pairing": pairing})).recipes(JudgeRecipe):
            assert recipe.judge not in (recipe.player_a, recipe.player_b)


def test_verdicts_for_one_instruction_are_as_many_as_the_paper_asks() -> None:
    for players, verdicts in ((5, 24), (8, 84)):
        graph = build_graph(tournament(players, per_competitor=1))
        calls = sum(cost.calls for name, cost in estimate(graph, {}).items() if name.startswith("judge"))
        assert calls == players * verdicts


def test_a_model_that_fits_nowhere_is_told() -> None:
    document = manifest(3)
    document["spec"]["competitors"][1]["serving"] = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    graph = build_graph(load_tournament(yaml.safe_dump(document)))
    with pytest.raises(ValueError, match="m1"):
        expected_loads(graph, {}, Room(None, (("nvidia.com/gpu", Decimal(4)),)))
