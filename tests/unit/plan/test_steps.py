"""Single steps of the planner: what is stopped, what starts, and what waits."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.manifests import manifest, tournament
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase
from tiltyard.plan.planner import Plan, Policy, TournamentState, plan
from tiltyard.plan.policy import policy_of
from tiltyard.plan.schedule import Room, decide
from tiltyard_jobs.contracts.recipes import RECIPES

GPU = "nvidia.com/gpu"
GRAPH = build_graph(tournament(3))


@cache
def graph_of(*gpus: int) -> Graph:
    """Competitors m0, m1, … that need so many GPUs."""
    document = manifest(len(gpus))
    for player, count in zip(document["spec"]["competitors"], gpus, strict=True):
        player["serving"] = {"resources": {"limits": {GPU: str(count)}}}
    return build_graph(load_tournament(yaml.safe_dump(document)))


def gpus(count: int) -> Room:
    return Room(None, ((GPU, Decimal(count)),))


def models(graph: Graph, **phases: ModelPhase) -> dict[str, ModelSeen]:
    return {name: ModelSeen(phase, graph.model[name].version) for name, phase in phases.items()}


def passed(**known: Any) -> Observed:
    return Observed(PreflightPhase.PASSED, **known)


def everything(graph: Graph) -> dict[str, frozenset[int]]:
    return {ref.key: frozenset(range(ref.shards)) for ref in graph.artifacts}


def stage_done(graph: Graph, *stages: str) -> dict[str, frozenset[int]]:
    return {key: parts for key, parts in everything(graph).items() if _stage(graph, key) in stages}


def _stage(graph: Graph, key: str) -> str:
    return next(ref.stage for ref in graph.artifacts if ref.key == key)


def orders(decided: Plan) -> list[str]:
    return [order.bundle.name for order in decided.start_jobs]


@pytest.mark.parametrize(
    ("observed", "policy", "outcome"),
    [
        ({"done": everything(GRAPH)}, Policy(), TournamentState.COMPLETE),
        ({"failure": "it broke"}, Policy(), TournamentState.FAILED),
        ({}, Policy(suspend=True), TournamentState.SUSPENDED),
    ],
)
@pytest.mark.parametrize("phase", [phase for phase in ModelPhase if phase is not ModelPhase.FAILED])
def test_where_a_tournament_ends_or_rests_no_model_is_left(
    observed: dict[str, Any], policy: Policy, outcome: TournamentState, phase: ModelPhase
) -> None:
    bundle = GRAPH.bundles[0]
    jobs = {bundle.name: JobSeen(JobPhase.ACTIVE, bundle.version), "older": JobSeen(JobPhase.ACTIVE, "x")}
    seen = {"m1": ModelSeen(phase, GRAPH.model["m1"].version), "gone": ModelSeen(phase, "older")}
    decided = plan(GRAPH, policy, passed(models=seen, jobs=jobs, **observed))
    assert decided.state is outcome
    assert decided.stop_models == (() if phase is ModelPhase.STOPPED else ("gone", "m1"))
    assert decided.stop_jobs == tuple(sorted(jobs))
    assert not decided.start_models
    assert not decided.start_jobs
    assert not decided.preflight


def test_where_the_next_model_has_no_room_nothing_overtakes_it() -> None:
    graph, room = graph_of(3, 2, 1), gpus(4)
    assert decide(graph, frozenset(), frozenset(), room).start == ("m0", "m2")
    assert plan(graph, Policy(room), passed()).start_models == ("m0", "m2")
    # m1 is on its way out and takes its room still: m2 would fit beside it, and m0, whose turn it is, would not.
    assert room.fits(graph.model[name] for name in ("m1", "m2"))
    waiting = plan(graph, Policy(room), passed(models=models(graph, m1=ModelPhase.STOPPING)))
    assert waiting.start_models == ()


@given(st.sampled_from([(1, 2, 3), (3, 2, 1), (2, 1, 2, 3)]), st.data())
@settings(deadline=None, max_examples=40)
def test_models_start_in_the_order_decided_and_only_into_free_room(sizes: tuple[int, ...], data: st.DataObject) -> None:
    graph, room = graph_of(*sizes), gpus(data.draw(st.integers(max(sizes), 9)))
    active = (ModelPhase.STOPPED, ModelPhase.STARTING, ModelPhase.READY, ModelPhase.STOPPING)
    seen: dict[str, ModelSeen] = {}
    for model in graph.models:
        phase = data.draw(st.sampled_from(active))
        there = [name for name, one in seen.items() if one.phase is not ModelPhase.STOPPED]
        if phase is ModelPhase.STOPPED or room.fits(graph.model[name] for name in [*there, model.name]):
            seen[model.name] = ModelSeen(phase, model.version)
    decided = plan(graph, Policy(room), passed(models=seen))
    up = frozenset(name for name, one in seen.items() if one.phase in (ModelPhase.STARTING, ModelPhase.READY))
    wanted = decide(graph, frozenset(), up, room).start
    assert decided.start_models == wanted[: len(decided.start_models)]
    taken = {name for name, one in seen.items() if one.phase is not ModelPhase.STOPPED}
    for place, name in enumerate(wanted):
        free = name not in taken and room.fits(graph.model[other] for other in [*taken, *wanted[:place], name])
        if place < len(decided.start_models):
            assert free
        else:
            assert not free
            break


def test_a_stopping_model_is_not_started_before_it_is_gone() -> None:
    first, *_ = decide(GRAPH, frozenset(), frozenset(), Room()).start
    decided = plan(GRAPH, Policy(), passed(models=models(GRAPH, **{first: ModelPhase.STOPPING})))
    assert decided.start_models == ()
    decided = plan(GRAPH, Policy(), passed(models=models(GRAPH, **{first: ModelPhase.STOPPED})))
    assert sorted(decided.start_models) == ["m0", "m1", "m2"]


def test_a_model_of_an_older_manifest_goes_and_its_room_is_taken_only_then() -> None:
    for phase in (ModelPhase.STARTING, ModelPhase.READY, ModelPhase.FAILED):
        seen = {"m0": ModelSeen(phase, "older"), "gone": ModelSeen(phase, "older")}
        decided = plan(GRAPH, Policy(Room(1)), passed(models=seen))
        assert decided.state is TournamentState.RUNNING, "a failure of an older manifest is none"
        assert decided.stop_models == ("gone", "m0")
        assert decided.start_models == ()
        checked = plan(GRAPH, Policy(), Observed(PreflightPhase.ACTIVE, models=seen))
        assert checked.stop_models == ("gone", "m0")
    for phase in (ModelPhase.STOPPED, ModelPhase.STOPPING):
        seen = {"m0": ModelSeen(phase, "older"), "gone": ModelSeen(phase, "older")}
        assert plan(GRAPH, Policy(), passed(models=seen)).stop_models == ()


@pytest.mark.parametrize(("preflight", "starts"), [(PreflightPhase.PENDING, True), (PreflightPhase.ACTIVE, False)])
def test_until_preflight_has_passed_only_what_is_stale_stops(preflight: PreflightPhase, starts: bool) -> None:
    first, second = GRAPH.bundles[:2]
    jobs = {
        first.name: JobSeen(JobPhase.ACTIVE, first.version),
        second.name: JobSeen(JobPhase.ACTIVE, "older"),
        "unknown": JobSeen(JobPhase.ACTIVE, first.version),
    }
    decided = plan(GRAPH, Policy(), Observed(preflight, jobs=jobs, models=models(GRAPH, m0=ModelPhase.READY)))
    assert (decided.state, decided.phase, decided.preflight) == (TournamentState.RUNNING, "Preflight", starts)
    assert decided.stop_jobs == tuple(sorted(("unknown", second.name)))
    assert not decided.stop_models
    assert not decided.start_jobs
    assert not decided.start_models
    # All may be there already: an edited manifest is checked before it is called complete.
    assert plan(GRAPH, Policy(), Observed(preflight, done=everything(GRAPH))).state is TournamentState.RUNNING


def test_a_job_starts_once_its_model_is_ready_and_never_twice() -> None:
    for phase in ModelPhase:
        decided = plan(GRAPH, Policy(), passed(models=models(GRAPH, m0=phase)))
        if phase is ModelPhase.FAILED:
            assert decided.state is TournamentState.FAILED
        else:
            assert orders(decided) == (["mine/m0"] if phase is ModelPhase.READY else [])
    mine = GRAPH.by_name["mine/m0"]
    for job, again in ((JobPhase.ACTIVE, []), (JobPhase.ENDED, ["mine/m0"])):
        jobs = {"mine/m0": JobSeen(job, mine.version)}
        assert orders(plan(GRAPH, Policy(), passed(models=models(GRAPH, m0=ModelPhase.READY), jobs=jobs))) == again


@pytest.mark.parametrize("phase", [None, ModelPhase.STOPPED, ModelPhase.STOPPING])
@pytest.mark.parametrize("name", ["m0", "m1", "m2"])
def test_a_model_that_died_while_its_shards_ran_comes_back_before_any_other(
    name: str, phase: ModelPhase | None
) -> None:
    mine = GRAPH.by_name[f"mine/{name}"]
    observed = passed(
        jobs={mine.name: JobSeen(JobPhase.ACTIVE, mine.version)}, models=models(GRAPH, **{name: phase} if phase else {})
    )
    decided = plan(GRAPH, Policy(Room(1)), observed)
    assert decided.start_models == (() if phase is ModelPhase.STOPPING else (name,))
    assert decided.stop_jobs == ()


@pytest.mark.parametrize("other", [ModelPhase.STARTING, ModelPhase.READY])
def test_where_its_room_is_taken_its_jobs_stop_until_it_is_ready_again(other: ModelPhase) -> None:
    jobs = {f"mine/m{place}": JobSeen(JobPhase.ACTIVE, GRAPH.by_name[f"mine/m{place}"].version) for place in (0, 1)}
    observed = passed(jobs=jobs, models=models(GRAPH, m0=ModelPhase.STOPPED, m1=other))
    decided = plan(GRAPH, Policy(Room(1)), observed)
    assert (decided.stop_jobs, decided.stop_models, decided.start_models) == (("mine/m0",), (), ())
    jobs["mine/m0"] = JobSeen(JobPhase.ENDED, GRAPH.by_name["mine/m0"].version)
    stopped = passed(jobs=jobs, models=models(GRAPH, m0=ModelPhase.STOPPED, m1=other))
    assert plan(GRAPH, Policy(Room(1)), stopped).stop_jobs == ()
    assert orders(plan(GRAPH, Policy(Room(1)), stopped)) == []
    back = passed(jobs=jobs, models=models(GRAPH, m0=ModelPhase.READY, m1=other))
    assert orders(plan(GRAPH, Policy(Room(2)), back)) == ["mine/m0"]


def test_jobs_of_an_endpoint_are_never_stopped_for_want_of_room() -> None:
    document = manifest(3)
    player = document["spec"]["competitors"][1]
    del player["model"]
    player["endpoint"] = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    graph = build_graph(load_tournament(yaml.safe_dump(document)))
    jobs = {"mine/m1": JobSeen(JobPhase.ACTIVE, graph.by_name["mine/m1"].version)}
    decided = plan(graph, Policy(Room(1)), passed(jobs=jobs, models=models(graph, m0=ModelPhase.READY)))
    assert decided.stop_jobs == ()


def test_a_stale_job_is_stopped_and_its_bundle_started_anew() -> None:
    jobs = {"mine/m0": JobSeen(JobPhase.ACTIVE, "older")}
    decided = plan(GRAPH, Policy(), passed(models=models(GRAPH, m0=ModelPhase.READY), jobs=jobs))
    assert decided.stop_jobs == ("mine/m0",)
    assert orders(decided) == ["mine/m0"]


def test_a_job_makes_what_is_missing_and_nothing_else() -> None:
    mine = GRAPH.by_name["mine/m0"]
    (ref,) = mine.makes
    assert ref.shards == 2
    decided = plan(GRAPH, Policy(), passed(models=models(GRAPH, m0=ModelPhase.READY), done={ref.key: frozenset({0})}))
    (order,) = decided.start_jobs
    assert [[(part.recipe, part.shard) for part in index] for index in order.indices] == [[(0, 1)]]


def test_work_that_needs_no_model_starts_by_itself() -> None:
    mined = stage_done(GRAPH, "mine")
    assert orders(plan(GRAPH, Policy(), passed(done=mined))) == ["filter/m0"]
    # Each filter looks at those before it.
    done = mined | {ref.key: frozenset({0}) for ref in GRAPH.by_name["filter/m0"].makes}
    assert orders(plan(GRAPH, Policy(), passed(done=done)))[:1] == ["filter/m1"]


def test_an_endpoint_is_ready_without_a_start() -> None:
    document = manifest(3)
    player = document["spec"]["competitors"][1]
    del player["model"]
    player["endpoint"] = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    graph = build_graph(load_tournament(yaml.safe_dump(document)))
    decided = plan(graph, Policy(Room(1)), passed())
    assert orders(decided) == ["mine/m1"]
    assert decided.start_models in (("m0",), ("m2",))


def test_where_it_stands_is_the_stage_of_the_earliest_unfinished_work() -> None:
    decided = plan(GRAPH, Policy(), passed())
    assert (decided.phase, decided.message) == ("Mining", "0 of 6 mine shards are done")
    some = {ref.key: frozenset({0}) for ref in GRAPH.by_name["mine/m1"].makes}
    decided = plan(GRAPH, Policy(), passed(done=some))
    assert (decided.phase, decided.message) == ("Mining", "1 of 6 mine shards are done")
    for stage, recipe in RECIPES.items():
        before = [name for name in RECIPES if list(RECIPES).index(name) < list(RECIPES).index(stage)]
        if any(ref.stage == stage for ref in GRAPH.artifacts):
            assert plan(GRAPH, Policy(), passed(done=stage_done(GRAPH, *before))).phase == recipe.PHASE


def test_what_failed_of_this_manifest_fails_it_and_says_why() -> None:
    bundle = GRAPH.by_name["mine/m1"]
    job = JobSeen(JobPhase.FAILED, bundle.version, message="shard 1: no space")
    decided = plan(GRAPH, Policy(), passed(jobs={bundle.name: job}))
    assert (decided.state, decided.message) == (TournamentState.FAILED, "mine/m1: shard 1: no space")
    older = plan(GRAPH, Policy(), passed(jobs={bundle.name: JobSeen(JobPhase.FAILED, "older")}))
    assert older.state is TournamentState.RUNNING
    failed = ModelSeen(ModelPhase.FAILED, GRAPH.model["m2"].version, message="out of memory")
    decided = plan(GRAPH, Policy(), passed(models={"m2": failed}))
    assert (decided.state, decided.message) == (TournamentState.FAILED, "model m2: out of memory")
    decided = plan(GRAPH, Policy(), Observed(PreflightPhase.FAILED, "no bucket"))
    assert (decided.state, decided.message) == (TournamentState.FAILED, "no bucket")


@pytest.mark.parametrize(
    ("limit", "elapsed", "state"),
    [
        (60.0, 59.9, TournamentState.RUNNING),
        (60.0, 60.0, TournamentState.FAILED),
        (60.0, None, TournamentState.RUNNING),
        (None, 1e9, TournamentState.RUNNING),
    ],
)
def test_a_deadline_is_for_what_is_not_complete(
    limit: float | None, elapsed: float | None, state: TournamentState
) -> None:
    policy = Policy(active_deadline=limit)
    assert plan(GRAPH, policy, passed(elapsed=elapsed)).state is state
    late = passed(elapsed=elapsed, done=everything(GRAPH))
    assert plan(GRAPH, policy, late).state is TournamentState.COMPLETE


def test_a_model_with_nothing_left_is_stopped_and_one_with_work_is_not() -> None:
    done = everything(GRAPH)
    for ref in GRAPH.by_name["answer/m1/m0"].makes:
        del done[ref.key]
    up = models(GRAPH, m0=ModelPhase.READY, m1=ModelPhase.READY, m2=ModelPhase.STARTING)
    decided = plan(GRAPH, Policy(), passed(done=done, models=up))
    assert decided.stop_models == ("m0", "m2")
    assert orders(decided) == ["answer/m1/m0"]


def test_policy_is_what_the_manifest_says() -> None:
    assert policy_of(tournament(3)) == Policy()
    serving = {"maxActive": 2, "budget": {GPU: "8", "cpu": "1500m"}}
    asked = policy_of(tournament(3, serving=serving, suspend=True, activeDeadlineSeconds=90))
    assert asked == Policy(Room(2, (("cpu", Decimal("1.5")), (GPU, Decimal(8)))), True, 90)


def test_room_counts_what_is_served_and_what_is_bounded() -> None:
    document = manifest(4)
    for place, player in enumerate(document["spec"]["competitors"]):
        if place == 3:
            del player["model"]
            player["endpoint"] = {"url": "http://127.0.0.1:1/v1", "model": "m"}
        else:
            player["serving"] = {"resources": {"limits": {GPU: "2", "cpu": "64"}}}
    one, two, three, endpoint = build_graph(load_tournament(yaml.safe_dump(document))).models
    assert Room().fits([one, two, three, endpoint])
    assert Room(2).fits([one, two, endpoint])
    assert not Room(2).fits([one, two, three])
    assert gpus(4).fits([one, two, endpoint])
    assert not gpus(3).fits([one, two])
    assert gpus(0).fits([endpoint])
    assert not Room(2, ((GPU, Decimal(3)),)).fits([one, two])
    assert not Room(1, ((GPU, Decimal(9)),)).fits([one, two])
    assert not Room(None, ((GPU, Decimal(9)), ("cpu", Decimal(100)))).fits([one, two])


def test_phases_are_words_of_the_api() -> None:
    phases = " ".join(dict.fromkeys(recipe.PHASE for recipe in RECIPES.values()))
    assert phases == "Probing Mining Curating Answering Judging Rating Writing Training Evaluating"


def test_a_model_that_fits_nowhere_keeps_no_other_from_loading() -> None:
    assert sorted(decide(graph_of(1, 9, 1), frozenset(), frozenset(), gpus(2)).start) == ["m0", "m2"]
