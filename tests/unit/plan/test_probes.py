"""What the bundles of a model try it with first, and who waits for a judge that does nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.manifests import manifest, tournament
from support.small_world import World
from tiltyard.api import Tournament, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import estimate, expected_loads
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Policy, TournamentState
from tiltyard.plan.probes import PROBED
from tiltyard.plan.schedule import Room
from tiltyard_jobs.contracts.recipes import ProbeRecipe
from tiltyard_jobs.contracts.summary import pack_bits

ANSWERS = {"uri": "file:///data/answers.jsonl", "sha256": "0" * 64, "instructionField": "q"}
GIVEN = {"from": {"uri": "s3://bucket/p.jsonl", "field": "p", "perCompetitor": 8}}


@pytest.mark.parametrize("given", [tournament(3), tournament(2, judges=2)])
def test_a_model_s_first_bundle_tries_all_stages_and_each_later_one_its_own(given: Tournament) -> None:
    graph = build_graph(given)
    for model in graph.model:
        first, *others = (bundle for bundle in graph.bundles if bundle.model == model)
        stages = [stage for stage in PROBED if stage in {bundle.stage for bundle in (first, *others)}]
        assert stages, model
        assert [recipe.stage for recipe in first.probes] == stages
        for bundle in others:
            assert bundle.probes == (bundle.recipes[:1] if bundle.stage in PROBED else ())


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Competitors that are served, asked at endpoints, or have answered already; judges that are served or not."""
    document = manifest(draw(st.integers(2, 4)), judges=draw(st.integers(0, 3)))
    spec = document["spec"]
    if len(spec["competitors"]) == 2 and not spec["judges"]:
        spec["judges"] = [{"name": "j0", "model": {"uri": "sim://j0"}}]
    if draw(st.booleans()):
        spec["instructions"] = GIVEN
    if draw(st.booleans()):
        spec["curation"] |= {"difficulty": {"keep": []}}
    for one in [*spec["competitors"], *spec["judges"]]:
        if draw(st.booleans()):
            del one["model"]
            one["endpoint"] = {"url": "http://127.0.0.1:1/v1", "model": one["name"]}
    if "from" in spec["instructions"] and spec["judges"] and draw(st.booleans()):
        player = draw(st.sampled_from(spec["competitors"]))
        player.pop("endpoint", None)
        player.pop("model", None)
        player["answers"] = ANSWERS
        spec["curation"] |= {"difficulty": {"keep": []}}
    return build_graph(load_tournament(yaml.safe_dump(document)))


def bits_of(graph: Graph, lacking: set[str]) -> str:
    return pack_bits([ref.key not in lacking for ref in graph.artifacts for _ in range(ref.shards)])


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_served_models_that_only_judge_are_tried_before_anybody_grades_or_answers(graph: Graph) -> None:
    probes = [bundle for bundle in graph.bundles if isinstance(bundle.recipes[0], ProbeRecipe)]
    stages = {
        name: {one.stage for one in graph.bundles if one.model == name} - {ProbeRecipe.STAGE} for name in graph.model
    }
    paid = [one for one in graph.bundles if one.model is not None and one.stage in ("grade", "answer")]
    only_judge = [name for name, model in graph.model.items() if model.served and stages[name] == {"judge"}]
    assert [probe.name for probe in probes] == [f"probe/{name}" for name in only_judge if paid]
    for probe in probes:
        assert [recipe.stage for recipe in probe.probes] == ["judge"]
        assert probe.shards == 1
    asking = [one for one in graph.bundles if one.model is not None]
    assert asking[: len(probes)] == probes, "in plan order they come before all who ask"
    keys = {key for probe in probes for key in probe.keys}
    for one in graph.bundles:
        assert one.needs & keys == (keys if one in paid else frozenset())
        assert not {ref.key for recipe in one.recipes for ref in recipe.inputs} & keys, "no key depends on a probe"


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_a_probe_that_nobody_waits_for_counts_as_there(graph: Graph) -> None:
    probes = {ref.key for ref in graph.artifacts if ref.stage == ProbeRecipe.STAGE}
    complete = {ref.key: frozenset(range(ref.shards)) for ref in graph.artifacts}
    assert graph.found(bits_of(graph, probes)) == complete
    assert not any(expected_loads(graph, graph.found(bits_of(graph, probes)), Room(1)).values())
    assert not any(graph.found("").values())
    for one in graph.bundles:
        found = graph.found(bits_of(graph, probes | one.keys))
        lacking = (one.keys - probes) | (probes if one.needs & probes else set())
        assert {key for key, parts in found.items() if not parts} == lacking
        assert all(found[key] == complete[key] for key in complete.keys() - lacking)


def test_how_a_judge_is_asked_is_in_the_key_of_its_probe_and_who_plays_is_not() -> None:
    def key(competitors: int = 2, **spec: Any) -> str:
        return build_graph(tournament(competitors, judges=1, **spec)).by_name["probe/j0"].makes[0].key

    same = key()
    assert same == key(3, seed=7, per_competitor=30, jobs={"shardSize": 9})
    others = [
        {"method": "Choice"}, {"maxTokens": 77}, {"criteria": "general-v1"}, {"criteriaText": "Prefer short answers."},
        {"rubric": [{"text": "It is right.", "weight": 1}]},
    ]  # fmt: skip
    assert len({same, *(key(battles={"verdict": verdict}) for verdict in others)}) == 1 + len(others)


def test_a_probe_costs_four_verdicts() -> None:
    graph = build_graph(tournament(2, judges=1))
    assert estimate(graph, {})["probe/j0"].calls == 4


@pytest.mark.parametrize("room", [1, 2, None])
def test_a_judge_that_is_no_judge_ends_the_run_before_anything_is_graded_or_answered(room: int | None) -> None:
    graph = build_graph(tournament(3, judges=2))
    world = World(random.Random(1), fails=lambda name, index: name == "probe/j1")
    last = world.play(graph, Policy(Room(room)))
    assert last.state is TournamentState.FAILED
    assert last.message == "probe/j1: a shard failed"
    assert {name.partition("/")[0] for name in world.bundles_run} <= {"probe", "mine", "filter"}


@pytest.mark.parametrize("room", [1, 3, None])
def test_where_the_answers_are_there_already_no_judge_is_loaded_for_its_probe_alone(room: int | None) -> None:
    graph = build_graph(tournament(3, judges=2))
    lacking = {ref.key for ref in graph.artifacts if ref.stage not in ("mine", "filter", "grade", "curate", "answer")}
    world = World(random.Random(1), done=dict(graph.found(bits_of(graph, lacking))))
    assert world.play(graph, Policy(Room(room))).state is TournamentState.COMPLETE
    assert world.loads == {"j0": 1, "j1": 1}
    assert not any(name.startswith("probe/") for name in world.bundles_run)
