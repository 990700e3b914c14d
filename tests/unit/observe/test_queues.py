"""Models that hold nodes in vain, and what Kueue says of what it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import CREATED, SETTINGS, T0, Cluster, cluster_tournament, finish
from tiltyard.observe.observation import AGAIN_SECONDS, observe, requeue_after
from tiltyard.observe.queues import JOB_UID, answers_of, next_look
from tiltyard.observe.snapshot import QueueAnswer, Snapshot, held_by_queues
from tiltyard.plan.observed import JobPhase, ModelPhase, ModelSeen, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Policy, plan
from tiltyard.render.names import MAX_TIME, PRIORITY, QUEUE, RESTS_UNTIL

LIMIT = SETTINGS.give_back_seconds
LATE = T0 + LIMIT
SCHEDULED = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED}]


def queued(*args: Any, labels: dict[str, str] | None = None) -> Cluster:
    tournament = cluster_tournament(*(args or (3,)), per_competitor=8)
    metadata = tournament.metadata.model_copy(update={"labels": {QUEUE: "team", **(labels or {})}})
    return Cluster(tournament.model_copy(update={"metadata": metadata}))


@pytest.fixture
def cluster() -> Cluster:
    """A model that is ready since T0, and the Job that asks it, suspended since then."""
    made = queued()
    made.preflight()
    made.service("m1", ready=True)
    made.model_pod("m1", phase="Running", conditions=SCHEDULED)
    made.job("mine/m1")["metadata"]["uid"] = "j-1"
    return made


def model(cluster: Cluster, now: float, **changes: Any) -> ModelSeen:
    return observe(replace(cluster.snapshot(), **changes), SETTINGS, now).models["m1"]


def gate(pod: dict[str, Any]) -> dict[str, Any]:
    pod["metadata"]["uid"] = "p-1"
    pod["spec"] = {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gated"}]
    pod["status"] = {"phase": "Pending", "conditions": conditions}
    return pod


def test_a_model_beside_queued_jobs_is_given_back_after_the_stated_time(cluster: Cluster) -> None:
    assert model(cluster, T0 + LIMIT / 2 - 1).in_vain is None
    seen = model(cluster, LATE)
    assert seen.phase is ModelPhase.READY
    assert seen.in_vain is not None
    # As long as it held its node in vain, so half of the time at most, and a bit more by its name.
    assert LIMIT <= seen.in_vain <= 1.5 * LIMIT
    held = model(cluster, T0 + 10 * LIMIT).in_vain
    assert held is not None
    assert 10 * LIMIT <= held <= 15 * LIMIT
    look = next_look(cluster.snapshot(), LIMIT, T0 + 1)
    assert look is not None
    assert LIMIT / 2 <= look + 1 <= LIMIT
    assert model(cluster, T0 + look).in_vain is None
    assert model(cluster, T0 + 1 + look).in_vain is not None
    decided = plan(cluster.graph, Policy(), observe(cluster.snapshot(), SETTINGS, LATE))
    assert decided.stop_models == ("m1",)


def test_it_is_given_back_while_preflight_of_an_edit_waits(cluster: Cluster) -> None:
    cluster.jobs = {name: job for name, job in cluster.jobs.items() if "-preflight-" not in name}
    decided = plan(cluster.graph, Policy(), observe(cluster.snapshot(), SETTINGS, LATE))
    assert decided.preflight
    assert decided.stop_models == ("m1",)


def test_a_model_without_a_queue_stays() -> None:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    cluster.preflight()
    cluster.service("m1", ready=True)
    cluster.model_pod("m1", phase="Running", conditions=SCHEDULED)
    cluster.job("mine/m1")
    assert model(cluster, 100 * LATE).in_vain is None


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_model_whose_job_has_a_pod_on_a_node_stays(cluster: Cluster, phase: str) -> None:
    (job,) = (one for one in cluster.jobs.values() if "mine" in one["metadata"]["name"])
    cluster.worker_pod(job, phase=phase, conditions=SCHEDULED)
    assert model(cluster, 100 * LATE).in_vain is None


def test_the_time_begins_when_its_last_shard_ended_or_its_job_was_suspended(cluster: Cluster) -> None:
    (job,) = (one for one in cluster.jobs.values() if "mine" in one["metadata"]["name"])
    suspended = {"type": "Suspended", "status": "True", "lastTransitionTime": "2026-01-01T01:00:00Z"}
    job["status"] = {"conditions": [suspended]}
    assert model(cluster, T0 + 3600 + LIMIT / 2 - 1).in_vain is None
    assert model(cluster, T0 + 3600 + LIMIT).in_vain is not None
    terminated = {"exitCode": 143, "message": "", "finishedAt": "2026-01-01T02:00:00Z"}
    cluster.worker_pod(job, phase="Failed", containerStatuses=[{"name": "worker", "state": {"terminated": terminated}}])
    assert model(cluster, T0 + 7200 + LIMIT / 2 - 1).in_vain is None
    assert model(cluster, T0 + 7200 + LIMIT).in_vain is not None


def test_a_model_without_work_is_given_back_and_comes_back_with_its_work(cluster: Cluster) -> None:
    (job,) = (one for one in cluster.jobs.values() if "mine" in one["metadata"]["name"])
    finish(job, "Complete", completed=f"0-{len(cluster.graph.by_name['mine/m1'].missing({})) - 1}")
    assert model(cluster, LATE).in_vain == 0.0


def test_a_model_whose_jobs_cannot_be_created_rests() -> None:
    cluster = queued()
    cluster.preflight()
    cluster.service("m1", ready=True)
    cluster.model_pod("m1", phase="Running", conditions=SCHEDULED)
    assert (model(cluster, LATE).in_vain or 0.0) >= LIMIT


def test_the_rest_does_not_count_the_time_at_work(cluster: Cluster) -> None:
    (job,) = (one for one in cluster.jobs.values() if "mine" in one["metadata"]["name"])
    terminated = {"exitCode": 143, "message": "", "finishedAt": "2026-01-01T10:00:00Z"}
    cluster.worker_pod(job, phase="Failed", containerStatuses=[{"name": "worker", "state": {"terminated": terminated}}])
    rest = model(cluster, T0 + 36_000 + LIMIT).in_vain
    assert rest is not None
    assert LIMIT <= rest <= 1.5 * LIMIT


def test_a_model_of_which_the_queue_admits_a_part_is_given_back() -> None:
    cluster = queued()
    cluster.preflight()
    cluster.service("m1")
    cluster.model_pod("m1", phase="Running", conditions=SCHEDULED)
    other = cluster.pods.pop("m1-pod")
    gate(cluster.model_pod("m1"))
    assert model(cluster, 10 * LATE).in_vain is None  # it holds nothing
    other["metadata"]["name"] = "m1-other"
    cluster.pods["m1-other"] = other
    assert model(cluster, T0 + LIMIT / 2 - 1).in_vain is None
    assert model(cluster, LATE).in_vain is not None


def test_models_of_two_tournaments_are_not_given_back_together(cluster: Cluster) -> None:
    def time_of(uid: str) -> float:
        cluster.service("m1", ready=True)["metadata"]["ownerReferences"][0]["uid"] = uid
        look = next_look(cluster.snapshot(), LIMIT, T0 + 1)
        assert look is not None
        return look

    times = [time_of(f"u-{number}") for number in range(20)]
    assert len({round(time) for time in times}) > 15
    assert max(times) - min(times) > LIMIT / 4


def test_another_label_restarts_nothing() -> None:
    before, after = queued().graph, queued(labels={QUEUE: "other", PRIORITY: "high"}).graph
    assert [one.version for one in before.bundles] == [one.version for one in after.bundles]
    assert [one.version for one in before.models] == [one.version for one in after.models]


def test_two_that_wait_for_each_other_rest_for_different_times(cluster: Cluster) -> None:
    def rest(name: str) -> float | None:
        other = replace(cluster.snapshot().services[service], name=name)
        return model(cluster, LATE, services={name: other}).in_vain

    (service,) = cluster.snapshot().services
    assert len({rest(name) for name in ("a", "b", "c", "d")}) == 4


def test_a_model_that_was_given_back_rests_and_its_jobs_go(cluster: Cluster) -> None:
    (service,) = cluster.services.values()
    cluster.pods = {name: pod for name, pod in cluster.pods.items() if name != "m1-pod"}
    service["metadata"]["annotations"] |= {"serving.kserve.io/stop": "true", RESTS_UNTIL: "2026-01-01T00:20:00+00:00"}
    seen = model(cluster, T0 + 1199)
    assert seen.resting
    assert seen.wait is not None
    assert seen.wait.reason is WaitReason.QUEUED
    assert "is started again at 2026-01-01T00:20:00Z" in seen.wait.message
    assert next_look(cluster.snapshot(), LIMIT, T0 + 1) == 1199
    decided = plan(cluster.graph, Policy(), observe(cluster.snapshot(), SETTINGS, T0 + 1199))
    assert "m1" not in decided.start_models
    assert decided.stop_jobs == ("mine/m1",)
    rested = observe(cluster.snapshot(), SETTINGS, T0 + 1200)
    assert not rested.models["m1"].resting
    assert "m1" in plan(cluster.graph, Policy(), rested).start_models


def test_a_model_that_the_queue_takes_back_takes_its_jobs_along(cluster: Cluster) -> None:
    (service,) = cluster.services.values()
    service["status"]["conditions"][0]["status"] = "False"
    (pod,) = (pod for name, pod in cluster.pods.items() if name == "m1-pod")
    gate(pod)
    observed = observe(cluster.snapshot(), SETTINGS, T0 + 3600)
    assert observed.models["m1"].phase is ModelPhase.STARTING  # however long the queue holds it
    assert plan(cluster.graph, Policy(), observed).stop_jobs == ("mine/m1",)


def test_what_kueue_says_is_reported(cluster: Cluster) -> None:
    cluster.service("m2")
    gate(cluster.model_pod("m2"))
    (job,) = (one for one in cluster.jobs.values() if "mine" in one["metadata"]["name"])
    snapshot = cluster.snapshot()
    assert held_by_queues(snapshot, T0 + 9) == []
    assert held_by_queues(snapshot, T0 + 10) == ["j-1", "p-1"]
    assert requeue_after(snapshot, observe(snapshot, SETTINGS, T0 + 10), T0 + 10) == AGAIN_SECONDS
    said = {"j-1": QueueAnswer("no cpu"), "p-1": QueueAnswer("no GPU")}
    observed = observe(replace(snapshot, queues=said), SETTINGS, T0 + 10)
    waits = (observed.models["m2"].wait, observed.jobs["mine/m1"].wait)
    assert [wait.reason for wait in waits if wait] == [WaitReason.QUEUED] * 2
    assert [wait.message for wait in waits if wait] == [
        "pod m2-pod waits until the queue team admits it: no GPU",
        f"Job {job['metadata']['name']} is suspended until its queue admits it: no cpu",
    ]


def test_a_pod_that_was_just_admitted_does_not_wait(cluster: Cluster) -> None:
    cluster.service("m2")
    gate(cluster.model_pod("m2"))["spec"]["schedulingGates"] = []
    assert observe(cluster.snapshot(), SETTINGS, LATE).models["m2"].wait is None


def test_a_job_whose_time_is_up_has_failed(cluster: Cluster) -> None:
    def failed(snapshot: Snapshot) -> str:
        seen = observe(snapshot, SETTINGS, T0 + 10).jobs["mine/m1"]
        return seen.message if seen.phase is JobPhase.FAILED else ""

    over = replace(cluster.snapshot(), queues={"j-1": QueueAnswer("its time is up", over=True)})
    assert failed(over).endswith(": its time is up")
    assert failed(replace(over, queues={"j-1": QueueAnswer("deactivated")})) == ""


def test_preflight_whose_time_is_up_has_failed() -> None:
    cluster = queued()
    job = cluster.preflight()
    job["metadata"]["uid"], job["status"] = "j-0", {}
    over = replace(cluster.snapshot(), queues={"j-0": QueueAnswer("its time is up", over=True)})
    assert observe(over, SETTINGS, T0 + 10).preflight is PreflightPhase.FAILED


def workload(uid: str, *conditions: tuple[str, str, str, str], **spec: Any) -> dict[str, Any]:
    found = [dict(zip(("type", "status", "reason", "message"), one, strict=True)) for one in conditions]
    metadata = {"name": f"w-{uid}", "labels": {JOB_UID: uid}}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": found}}


def test_answers_of_kueue() -> None:
    found = answers_of(
        ["pending", "checked", "new", "off", "over", "none", "admitted"],
        [
            workload("pending", ("QuotaReserved", "False", "Pending", "insufficient\n quota")),
            workload(
                "checked", ("QuotaReserved", "True", "QuotaReserved", ""), ("Admitted", "False", "NoChecks", "waits")
            ),
            workload("new"),
            workload("off", ("Evicted", "True", "Deactivated", "by hand"), active=False),
            workload("over", ("Evicted", "True", "DeactivatedDueToMaximumExecutionTimeExceeded", ""), active=False),
            workload("admitted", ("QuotaReserved", "True", "QuotaReserved", ""), ("Admitted", "True", "Admitted", "")),
        ],
    )
    assert found == {
        "pending": QueueAnswer("Workload w-pending is Pending: insufficient quota"),
        "checked": QueueAnswer("Workload w-checked is NoChecks: waits"),
        "new": QueueAnswer("Kueue has not processed it yet"),
        "off": QueueAnswer(
            "Workload w-off was deactivated: set its spec.active to true, or ask who manages the queues"
        ),
        "over": QueueAnswer(
            "it has reached its maximum execution time, and Kueue has stopped it permanently: raise or remove the"
            f" Tournament's label {MAX_TIME}",
            over=True,
        ),
        "none": QueueAnswer(
            "Kueue has no Workload for it: check that it manages this namespace and this kind, or resume what somebody"
            " else has suspended"
        ),
        "admitted": QueueAnswer("Workload w-admitted is admitted, and about to start"),
    }


def test_a_job_that_a_queue_holds_waits_for_it() -> None:
    cluster = Cluster(cluster_tournament(3, per_competitor=8))
    cluster.preflight()
    job = cluster.job("mine/m1")
    job["spec"]["suspend"] = True
    job["metadata"]["labels"][QUEUE] = "q"
    at_once, later = (observe(cluster.snapshot(), SETTINGS, now).jobs["mine/m1"] for now in (T0 + 1, T0 + 7200))
    assert at_once.wait is None  # a queue with room takes a moment
    assert later.phase is JobPhase.ACTIVE
    assert later.wait == Wait(
        WaitReason.QUEUED,
        f"Job {job['metadata']['name']} is suspended until its queue admits it: `kubectl -n arena describe workloads`"
        " says what it waits for",
    )
