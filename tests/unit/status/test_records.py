"""Records in a status: of complete shards, of running ones, and the most that others can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.manifests import tournament
from tiltyard.api import ModelStatus, StageStatus, TournamentStatus
from tiltyard.plan.build import build_graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase, ShardSeen
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import build_status, worth_writing
from tiltyard.status.rates import Rates, stage_seconds_left
from tiltyard.status.records import COMPLETION, PROMPT, counts_of, tokens_count
from tiltyard_jobs.contracts.progress import WorkerProgress
from tiltyard_jobs.contracts.reported import MOST
from tiltyard_jobs.contracts.tasks import LedgerRow

NOW = 1_800_000_000.0
TOURNAMENT = tournament(3, per_competitor=100, jobs={"shardSize": 100})
GRAPH = build_graph(TOURNAMENT)
MINING = [bundle for bundle in GRAPH.bundles if bundle.phase == "Mining"]
FIRST = MINING[0]


def status_of(observed: Observed, rates: Rates | None = None) -> TournamentStatus:
    return build_status(TOURNAMENT, GRAPH, observed, plan(GRAPH, Policy(), observed), NOW, rates=rates)


def passed(**known: Any) -> Observed:
    return Observed(PreflightPhase.PASSED, **known)


def at_work(**told: Any) -> dict[str, JobSeen]:
    parts = tuple((ref.key, 0) for ref in FIRST.makes)
    shard = ShardSeen(parts, WorkerProgress(**{"total": 100, "records": True, **told}))
    return {FIRST.name: JobSeen(JobPhase.ACTIVE, FIRST.version, active=1, shards=(shard,))}


def stage(status: TournamentStatus, name: str = "Mining") -> StageStatus:
    return next(one for one in status.stages if one.name == name)


def records(status: TournamentStatus, name: str = "Mining") -> tuple[int, int]:
    found = stage(status, name).records
    assert found is not None
    return found.done, found.total


@given(shard_size=st.integers(1, 40), rows=st.integers(1, 30), orders=st.sampled_from(["Both", "Alternate"]))
@settings(max_examples=60)
def test_the_parts_of_an_artifact_have_its_records(shard_size: int, rows: int, orders: str) -> None:
    document = tournament(3, per_competitor=rows, jobs={"shardSize": shard_size}, battles={"orders": orders})
    for bundle in build_graph(document).bundles:
        for recipe, most in zip(bundle.recipes, bundle.records, strict=True):
            if most.last:
                assert 0 < most.last <= most.full
                assert (recipe.shards - 1) * most.full + most.last == recipe.requests(0).calls


def test_before_anything_has_begun_the_most_is_told() -> None:
    status = status_of(passed())
    assert records(status) == (0, 300)
    assert status.records is not None
    assert status.records.startswith("0/")
    assert [one.name for one in status.stages if one.records is None] == ["Rating", "Writing"]


def test_until_preflight_has_passed_what_is_made_counts_once() -> None:
    # The ledgers of an earlier run are read before it is known which parts are there.
    before = Observed(PreflightPhase.ACTIVE, records={"mine": 200})
    assert records(status_of(before)) == (200, 300)
    more = Observed(PreflightPhase.ACTIVE, records={"mine": 400})
    assert records(status_of(more)) == (400, 400)


def test_a_shard_at_work_counts_with_its_own_total() -> None:
    status = status_of(passed(jobs=at_work(done=30, total=90, voids={"Empty": 2, "Truncated": 3})))
    assert records(status) == (30, 290)
    assert stage(status).void == 5
    assert [(one.reason, one.records) for one in stage(status).voids] == [("Truncated", 3), ("Empty", 2)]


@pytest.mark.parametrize(("told", "asking"), [({"asking": 8}, 8), ({"asking": 8, "records": False}, None), ({}, None)])
def test_a_stage_says_how_many_records_models_work_on(told: dict[str, Any], asking: int | None) -> None:
    status = status_of(passed(jobs=at_work(done=30, **told)))
    assert [stage(status).asking, stage(status, "Curating").asking] == [asking, None]


def test_a_complete_shard_counts_what_it_has_reported() -> None:
    done = {FIRST.makes[0].key: frozenset(range(FIRST.makes[0].shards))}
    status = status_of(passed(done=done, records={"mine": 80}, reasons={"mine/Empty": 4}, voids={"mine": 4}))
    assert records(status) == (80, 280)
    assert [(one.reason, one.records) for one in stage(status).voids] == [("Empty", 4)]
    # What was there before the run has been counted by nobody.
    assert records(status_of(passed(done=done, reused=done))) == (0, 200)


def test_a_probe_makes_no_records() -> None:
    graph = build_graph(judged := tournament(3, judges=1))
    probe = next(bundle for bundle in graph.bundles if bundle.phase == "Probing")
    models = {str(probe.model): ModelSeen(ModelPhase.READY)}
    jobs = {probe.name: JobSeen(JobPhase.ACTIVE, probe.version, active=1)}
    observed = passed(jobs=jobs, models=models)
    status = build_status(judged, graph, observed, plan(graph, Policy(), observed), NOW)
    assert stage(status, "Probing").records is None
    assert [one.queued for one in status.models] == [0]
    done = passed(done={ref.key: frozenset({0}) for ref in probe.makes})
    after = build_status(judged, graph, done, plan(graph, Policy(), done), NOW)
    assert status.records == after.records


def test_steps_are_no_records() -> None:
    status = status_of(passed(jobs=at_work(done=50, records=False)))
    assert records(status) == (0, 300)
    assert stage(status).void == 0


def test_rates_are_of_records_and_tokens_of_ended_and_running_shards() -> None:
    rates, row = Rates(), LedgerRow(stage="mine", model="m", prompt_tokens=1000, completion_tokens=500)
    early = passed(jobs=at_work(done=10, recalled=10))
    late = passed(jobs=at_work(done=15, prompt_tokens=20, completion_tokens=100), fresh={"mine": 35}, ledger=(row,))
    rates.note(0.0, counts_of(GRAPH, early))
    rates.note(10.0, counts_of(GRAPH, late))
    status = status_of(late, rates)
    assert stage(status).records_per_second == "5.0"  # 50 new ones: 10 were recalled from an earlier attempt
    assert status.usage is not None
    assert (status.usage.prompt_tokens, status.usage.completion_tokens) == (1020, 600)
    assert (status.usage.prompt_tokens_per_second, status.usage.completion_tokens_per_second) == ("102", "60.0")


def test_no_eta_where_nothing_moves() -> None:
    done = {FIRST.makes[0].key: frozenset(range(FIRST.makes[0].shards))}
    observed = passed(done=done, elapsed=100.0)
    rates = Rates()
    rates.note(0.0, counts_of(GRAPH, observed))
    assert status_of(observed, rates).eta is not None
    rates.note(45.0, counts_of(GRAPH, observed))
    assert status_of(observed, rates).eta is None


def test_no_eta_beyond_the_year_9999() -> None:
    done = {FIRST.makes[0].key: frozenset(range(FIRST.makes[0].shards))}
    last = MINING[1]

    def observed(made: int, total: int) -> Observed:
        told = WorkerProgress(total=total, records=True, done=made)
        shard = ShardSeen(tuple((ref.key, 0) for ref in last.makes), told)
        jobs = {last.name: JobSeen(JobPhase.ACTIVE, last.version, active=1, shards=(shard,))}
        return passed(done=done, jobs=jobs, elapsed=100.0)

    for total, known in ((100, True), (MOST, False)):
        rates = Rates()
        rates.note(0.0, counts_of(GRAPH, observed(0, total)))
        rates.note(10.0, counts_of(GRAPH, observed(1, total)))
        status = status_of(observed(1, total), rates)
        assert stage(status).records_per_second is not None
        assert (status.eta is not None) == known


@pytest.mark.parametrize("name", ["prompt", "completion", "share"])
def test_a_models_tokens_are_no_count_of_the_run(name: str) -> None:
    graph = build_graph(tournament([name, "m1", "m2"]))
    row = LedgerRow(stage="mine", model="m1", prompt_tokens=1000, completion_tokens=500)
    before, after = (counts_of(graph, passed(ledger=ledger)) for ledger in ((), (row,)))
    grown = {count: after[count] - before[count] for count in after if after[count] != before[count]}
    assert grown == {PROMPT: 1000, COMPLETION: 500, tokens_count("m1"): 1500}


def test_an_ended_run_has_no_pace() -> None:
    everything = {ref.key: frozenset(range(ref.shards)) for ref in GRAPH.artifacts}
    observed = passed(done=everything, fresh={"mine": 300})
    rates = Rates()
    rates.note(0.0, counts_of(GRAPH, passed()))
    rates.note(10.0, counts_of(GRAPH, observed))
    assert stage(status_of(observed, rates)).records_per_second is None


def model(observed: Observed) -> ModelStatus:
    return status_of(observed).models[0]


def test_a_model_is_loading_busy_or_idle() -> None:
    name = str(FIRST.model)

    def seen(phase: ModelPhase, **known: Any) -> ModelStatus:
        return model(passed(models={name: ModelSeen(phase, loads=1)}, **known))

    assert seen(ModelPhase.STARTING).activity == "Loading"
    assert seen(ModelPhase.READY).activity == "Idle"
    assert seen(ModelPhase.STOPPING).activity is None
    busy = seen(ModelPhase.READY, jobs=at_work(done=30, asking=8))
    assert (busy.activity, busy.asking, busy.queued) == ("Busy", 8, 62)
    assert seen(ModelPhase.READY, jobs=at_work(done=30)).activity == "Idle"
    silent = {FIRST.name: JobSeen(JobPhase.ACTIVE, FIRST.version, active=1)}  # its worker has told nothing yet
    assert (seen(ModelPhase.READY, jobs=silent).activity, seen(ModelPhase.READY, jobs=silent).asking) == ("Busy", None)
    # Between two shards of its Job nothing asks it.
    between = {FIRST.name: JobSeen(JobPhase.ACTIVE, FIRST.version)}
    assert (seen(ModelPhase.READY, jobs=between).activity, seen(ModelPhase.READY, jobs=between).asking) == ("Idle", 0)
    # What waits for other work waits for no model.
    assert seen(ModelPhase.STARTING).queued == 100


def test_a_model_is_busy_for_the_seconds_after_a_reply_in_which_its_next_shard_begins() -> None:
    name = str(FIRST.model)
    up = {"models": {name: ModelSeen(ModelPhase.READY, loads=1)}}
    between = {FIRST.name: JobSeen(JobPhase.ACTIVE, FIRST.version)}
    row = LedgerRow(stage="mine", model=name, completion_tokens=500)
    asked = passed(jobs=at_work(done=10, asking=8, completion_tokens=400), **up)
    ended = passed(jobs=between, ledger=(row,), **up)
    rates = Rates()

    def activity(now: float, observed: Observed) -> str | None:
        rates.note(now, counts_of(GRAPH, observed))
        return next(one for one in status_of(observed, rates).models if one.name == name).activity

    assert activity(0.0, passed(**up)) == "Idle"
    assert activity(0.5, asked) == "Busy"
    assert activity(2.0, ended) == "Busy"
    assert activity(11.0, ended) == "Busy"
    assert activity(12.0, ended) == "Idle"


def test_the_whole_is_never_done_before_a_stage_at_work_is() -> None:
    """A run whose other shards went fast, and whose last one is slow and becomes slower, as it was recorded."""
    last = MINING[1]
    made = {
        ref.key: frozenset(range(ref.shards)) for ref in GRAPH.artifacts if ref.key not in {r.key for r in last.makes}
    }
    rates, before, compared = Rates(), None, 0
    for moment, done in ((10.0, 0), (40.0, 30), (70.0, 40), (100.0, 44), (130.0, 47), (160.0, 49), (190.0, 52)):
        told = WorkerProgress(total=100, records=True, done=done)
        shard = ShardSeen(tuple((ref.key, 0) for ref in last.makes), told)
        jobs = {last.name: JobSeen(JobPhase.ACTIVE, last.version, active=1, shards=(shard,))}
        observed = passed(done=made, jobs=jobs, fresh={"mine": 200}, elapsed=moment)
        rates.note(moment, counts_of(GRAPH, observed))
        now, decided = NOW + moment, plan(GRAPH, Policy(), observed)
        status = build_status(TOURNAMENT, GRAPH, observed, decided, now, rates=rates, before=before)
        before = status if before is None else worth_writing(before, status, now) or before
        assert before.eta is not None
        for one in before.stages:
            if (left := stage_seconds_left(one)) is not None:
                compared += 1
                assert before.eta.timestamp() >= now + left, one.name
    assert compared == 6


def test_preflight_says_what_it_checks_while_it_does() -> None:
    active = Observed(PreflightPhase.ACTIVE, preflight_step="Files")
    assert status_of(active).step == "Files"
    assert status_of(replace(active, preflight=PreflightPhase.PASSED)).step is None


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_done_is_never_more_than_the_total(data: st.DataObject) -> None:
    done, jobs, made = {}, {}, 0
    for bundle in MINING:
        (ref,) = bundle.makes
        parts = data.draw(st.sets(st.integers(0, ref.shards - 1)))
        done[ref.key] = frozenset(parts)
        made += data.draw(st.integers(0, 100)) if parts else 0
        left = sorted(set(range(ref.shards)) - parts)
        shards = []
        for number in left[: data.draw(st.integers(0, len(left)))]:
            total = data.draw(st.integers(1, 100))
            told = WorkerProgress(done=data.draw(st.integers(0, total)), total=total, records=True)
            shards.append(ShardSeen(((ref.key, number),), told))
        jobs[bundle.name] = JobSeen(JobPhase.ACTIVE, bundle.version, active=len(shards), shards=tuple(shards))
    found, total = records(status_of(passed(done=done, jobs=jobs, records={"mine": made})))
    assert found <= total
    assert found == pytest.approx(made + sum(one.told.done for job in jobs.values() for one in job.shards))
