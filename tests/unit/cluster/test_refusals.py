"""What is remembered of what was refused."""

from __future__ import annotations

from dataclasses import replace

from support.cluster_objects import Cluster, cluster_tournament
from tiltyard.cluster.refusals import MOMENTARY, Refusals, changes_of
from tiltyard.observe.kinds import SERVICES, TRAIN_JOBS
from tiltyard.observe.snapshot import PATIENCE_SECONDS
from tiltyard.plan.observed import Wait, WaitReason
from tiltyard.plan.planner import Plan, TournamentState


def plan_of(*models: str, preflight: bool = False) -> Plan:
    return Plan(TournamentState.RUNNING, "Mining", "", preflight=preflight, start_models=models)


def test_a_final_refusal_is_told_at_once_and_a_busy_api_server_only_where_it_lasts() -> None:
    refusals = Refusals(generation=1)
    refusals.add("model a", 403, "no quota")
    assert refusals.waits() == {"model a": Wait(WaitReason.REFUSED, "no quota")}
    for status in (429, 500, 409):
        refusals = Refusals(generation=1)
        for _ in range(MOMENTARY):
            refusals.add("model a", status, "busy")
            assert "model a" in refusals
            assert refusals.waits() == {}
        refusals.add("model a", status, "busy")
        assert list(refusals.waits()) == ["model a"]


def test_what_is_refused_after_a_while_is_told_at_once() -> None:
    for seconds, words in ((PATIENCE_SECONDS - 1, []), (PATIENCE_SECONDS, ["model a"])):
        refusals = Refusals(generation=1)
        refusals.add("model a", 500, "a webhook does not answer", after_seconds=seconds)
        assert list(refusals.waits()) == words


def test_what_waits_for_something_else_is_told_at_once() -> None:
    refusals, wait = Refusals(generation=1), Wait(WaitReason.DOWNLOADING, "no weights")
    refusals.wait("model a", wait)
    assert "model a" in refusals
    assert refusals.waits() == {"model a": wait}


def test_what_was_refused_for_want_of_an_api_waits_for_that_one_alone() -> None:
    refusals = Refusals(generation=1)
    refusals.add("model a", 501, "not served", SERVICES)
    refusals.add("train", 422, "no")
    assert (refusals.lacks(SERVICES), refusals.lacks(TRAIN_JOBS)) == (True, False)
    refusals.add("model a", 403, "no quota")  # it is served by now
    assert not refusals.lacks(SERVICES)
    refusals.add("model a", 501, "not served", SERVICES)
    refusals.drop("model a")
    assert not refusals.lacks(SERVICES)


def test_it_ends_with_an_attempt_that_succeeds_or_with_a_plan_that_does_not_want_it() -> None:
    refusals = Refusals(generation=1)
    for name in ("a", "b", "c"):
        refusals.add(f"model {name}", 422, "no")
    refusals.drop("model a")
    refusals.drop("model a")
    assert list(refusals.waits()) == ["model b", "model c"]
    refusals.keep(plan_of("c", "d", preflight=True), ())
    assert list(refusals.waits()) == ["model c"]


def test_a_plan_changes_models_and_jobs_by_the_names_of_a_status() -> None:
    cluster = Cluster(cluster_tournament(3))
    cluster.job("mine/m0")
    plan = replace(plan_of("a", preflight=True), stop_models=("b",), stop_jobs=("mine/m1",))
    jobs = cluster.snapshot().jobs.values()
    assert list(changes_of(plan, jobs)) == [
        "model a", "preflight", "stop of model b", "stop of mine/m1", "change of mine/m0"]  # fmt: skip
