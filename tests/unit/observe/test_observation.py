"""From a cluster's objects to what the planner reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, finish, with_generation
from tiltyard.api import Condition, TournamentStatus
from tiltyard.observe.observation import AGAIN_SECONDS, observe, outdated_jobs, requeue_after
from tiltyard.observe.snapshot import failed_before, failed_children, stale_jobs, stale_services
from tiltyard.plan.observed import JobPhase, ModelPhase, Observed, PreflightPhase, WaitReason
from tiltyard_jobs.contracts.summary import Standing, Summary


def seen(cluster: Cluster, now: float = T0 + 1) -> Observed:
    return observe(cluster.snapshot(), SETTINGS, now)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(cluster_tournament(3, per_competitor=8))


def test_nothing_is_there(cluster: Cluster) -> None:
    assert seen(cluster) == Observed()


def test_preflight_that_passed_tells_what_exists(cluster: Cluster) -> None:
    cluster.preflight(done=True, longest_given=9000)
    observed = seen(cluster)
    assert (observed.preflight, observed.longest_given) == (PreflightPhase.PASSED, 9000)
    assert all(bundle.complete(observed.done) for bundle in cluster.graph.bundles)
    assert observed.reused == observed.done


def test_preflight_of_an_older_manifest_says_nothing(cluster: Cluster) -> None:
    cluster.preflight(done=True)
    edited = Cluster(cluster_tournament(4, per_competitor=8))
    edited.jobs, edited.pods = cluster.jobs, cluster.pods
    assert seen(edited).preflight is PreflightPhase.PENDING
    assert [job.bundle for job in stale_jobs(edited.snapshot())] == ["preflight"]


def test_preflight_that_failed_gives_its_sentence(cluster: Cluster) -> None:
    job = cluster.preflight()
    cluster.pods.clear()
    cluster.end_pod(job, 0, Summary(exit_code=2, message="spec.output: the bucket is not there"))
    finish(job, "Failed", "Container worker failed with exit code 2")
    observed = seen(cluster)
    assert (observed.preflight, observed.preflight_message) == (
        PreflightPhase.FAILED, "spec.output: the bucket is not there"
    )  # fmt: skip


def test_preflight_whose_pod_went_unread_is_done_again_after_a_while(cluster: Cluster) -> None:
    cluster.preflight()
    cluster.pods.clear()
    assert seen(cluster, T0 + 1).preflight is PreflightPhase.ACTIVE
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 1) == 9
    assert seen(cluster, T0 + 11).preflight is PreflightPhase.PENDING


def test_complete_indices_are_parts_made(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("judge/m0/m1")
    job["status"] = {"active": 1, "completedIndexes": "0"}
    assert not any(seen(cluster).done.values())  # its pod's last words are on their way
    cluster.end_pod(job, 0, Summary(exit_code=0))
    observed = seen(cluster)
    bundle = cluster.graph.by_name["judge/m0/m1"]
    assert observed.jobs["judge/m0/m1"].phase is JobPhase.ACTIVE
    assert observed.jobs["judge/m0/m1"].active == 1
    assert [observed.done.get(ref.key) for ref in bundle.makes] == [frozenset({0})] * len(bundle.makes)
    assert bundle.missing(observed.done) == bundle.missing({})[1:]


def test_a_complete_job_is_gone_from_the_planners_sight_once_its_pods_were_read(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("mine/m0")
    finish(job, "Complete", completed="0-1")
    assert seen(cluster).jobs["mine/m0"].phase is JobPhase.ACTIVE  # its pods' last words are on their way
    for index in range(2):
        cluster.end_pod(job, index, Summary(exit_code=0, prompt_tokens=5, voids={"Empty": 1}))
    observed = seen(cluster)
    assert "mine/m0" not in observed.jobs
    assert cluster.graph.by_name["mine/m0"].complete(observed.done)
    assert observed.voids == {"mine": 2}
    assert [(row.stage, row.model, row.prompt_tokens) for row in observed.ledger] == [("mine", "m0", 10)]


def test_what_was_written_down_outlives_the_pods(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("rate")
    standing = Standing(name="m0", rating=1000.0)
    cluster.end_pod(job, 0, Summary(exit_code=0, leaderboard=(standing,), notes=("m1 did badly",)))
    finish(job, "Complete", completed="0")
    assert (seen(cluster).leaderboard, seen(cluster).notes) == ((standing,), ("m1 did badly",))
    job["metadata"]["annotations"]["tiltyard.dev/result"] = '{"leaderboard": [{"name": "m0", "rating": 1000.0}]}'
    cluster.pods = {name: pod for name, pod in cluster.pods.items() if "preflight" in name}
    assert seen(cluster).leaderboard == (standing,)


def test_a_failed_job_gives_the_workers_words(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("mine/m1")
    cluster.end_pod(job, 1, Summary(exit_code=3, message="Too many voids."))
    finish(job, "Failed", "Pod failed", failed="1")
    failed = seen(cluster).jobs["mine/m1"]
    assert (failed.phase, failed.failed) == (JobPhase.FAILED, 1)
    (pod,) = (name for name in cluster.pods if "mine-m1" in name)
    assert failed.message == f"Too many voids; its log: `kubectl -n arena logs {pod}`"


def test_a_job_that_we_suspended_is_not_running_and_one_that_a_queue_holds_is(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("mine/m1")
    job["spec"]["suspend"] = True
    assert seen(cluster).jobs["mine/m1"].phase is JobPhase.ACTIVE  # a queue may hold what has no label of it
    job["metadata"]["annotations"]["tiltyard.dev/suspended"] = "true"
    assert seen(cluster).jobs["mine/m1"].phase is JobPhase.ENDED
    job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "q"
    assert seen(cluster).jobs["mine/m1"].phase is JobPhase.ACTIVE


def pull_error() -> dict[str, Any]:
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    return {"phase": "Pending", "containerStatuses": [{"name": "worker", "image": "i", "state": {"waiting": waiting}}]}


def test_a_worker_whose_image_is_missing_fails_after_its_time(cluster: Cluster) -> None:
    cluster.preflight()
    cluster.worker_pod(cluster.job("mine/m1"), **pull_error())
    assert seen(cluster).jobs["mine/m1"].wait is None
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 1) == 9
    waiting = seen(cluster, T0 + 11).jobs["mine/m1"]
    assert waiting.phase is JobPhase.ACTIVE
    assert waiting.wait is not None
    assert waiting.wait.reason is WaitReason.NOT_STARTING
    assert "cannot pull i" in waiting.wait.message
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 11) == 1789
    assert seen(cluster, T0 + 1801).jobs["mine/m1"].phase is JobPhase.FAILED


def test_the_time_for_which_a_job_waits_does_not_count_as_its_pods_time_to_start(cluster: Cluster) -> None:
    cluster.preflight()
    pod = cluster.worker_pod(cluster.job("mine/m1"), **pull_error())
    # A queue has suspended it for an hour; then its pod has fitted no node for another.
    pod["metadata"]["creationTimestamp"] = "2026-01-01T01:00:00Z"
    taken = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T02:00:00Z"}
    pod["status"]["conditions"] = [taken]
    waits = seen(cluster, T0 + 7211).jobs["mine/m1"]
    assert (waits.phase, waits.wait and waits.wait.reason) == (JobPhase.ACTIVE, WaitReason.NOT_STARTING)
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 7211) == 1789
    assert seen(cluster, T0 + 7200 + 1800).jobs["mine/m1"].phase is JobPhase.ACTIVE
    assert seen(cluster, T0 + 7200 + 1801).jobs["mine/m1"].phase is JobPhase.FAILED


def test_a_shard_that_waits_for_other_shards_is_in_no_trouble(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("mine/m1")
    words = "0/1 nodes are available: 1 Insufficient cpu"
    condition = {"type": "PodScheduled", "status": "False", "message": words}
    cluster.worker_pod(job, phase="Pending", conditions=[condition])
    other = cluster.worker_pod(cluster.job("mine/m0"), phase="Running")
    assert seen(cluster, T0 + 60).jobs["mine/m1"].wait is None
    other["status"]["phase"] = "Succeeded"
    wait = seen(cluster, T0 + 60).jobs["mine/m1"].wait
    assert wait is not None
    assert wait.reason is WaitReason.UNSCHEDULABLE
    assert words in wait.message


def test_a_container_that_outlives_the_worker_is_told_after_a_while(cluster: Cluster) -> None:
    cluster.preflight()
    cluster.service("m0", ready=True)
    job = cluster.job("mine/m0")
    ended = {"exitCode": 0, "finishedAt": "2026-01-01T00:01:00Z"}
    worker = {"name": "worker", "state": {"terminated": ended}}
    stays = {"name": "istio-proxy", "state": {"running": {}}}
    cluster.worker_pod(job, phase="Running", containerStatuses=[stays, worker])
    assert seen(cluster, T0 + 69).jobs["mine/m0"].wait is None
    wait = seen(cluster, T0 + 71).jobs["mine/m0"].wait
    assert wait is not None
    assert wait.reason is WaitReason.NOT_ENDING
    assert "container istio-proxy is still running, so the Job cannot end" in wait.message
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 69) == 1.0
    # Native sidecars are init containers, and end with it.
    cluster.pods.clear()
    cluster.worker_pod(job, phase="Running", containerStatuses=[worker], initContainerStatuses=[stays])
    assert seen(cluster, T0 + 600).jobs["mine/m0"].wait is None


@pytest.mark.parametrize(
    ("status", "url"),
    [
        ({}, "http://{name}-predictor.arena.svc.cluster.local/v1"),
        ({"url": "http://m0.example.com"}, "http://m0.example.com/v1"),
        ({"url": "http://m0.example.com", "address": {"url": "http://m0.arena:8080"}}, "http://m0.arena:8080/v1"),
        ({"address": {"url": "https://m0.arena/v1/models/m0:predict"}}, "https://m0.arena/v1"),
    ],
)
def test_a_model_is_where_kserve_says(cluster: Cluster, status: dict[str, Any], url: str) -> None:
    service = cluster.service("m0", ready=True)
    service["status"] |= status
    assert seen(cluster).models["m0"].url == url.format(name=service["metadata"]["name"])


def test_models_and_their_phases(cluster: Cluster) -> None:
    cluster.service("m0", ready=True)
    cluster.service("m1")
    cluster.service("m2", stopped=True)
    models = seen(cluster).models
    assert [models[name].phase for name in ("m0", "m1", "m2")] == [
        ModelPhase.READY, ModelPhase.STARTING, ModelPhase.STOPPED
    ]  # fmt: skip
    assert models["m0"].url is not None
    assert models["m0"].url.endswith("-predictor.arena.svc.cluster.local/v1")
    assert models["m0"].version == cluster.graph.model["m0"].version


def test_a_stopped_model_takes_its_room_until_its_pods_are_gone(cluster: Cluster) -> None:
    cluster.service("m2", stopped=True)
    cluster.model_pod("m2", phase="Running")
    assert seen(cluster).models["m2"].phase is ModelPhase.STOPPING


def test_a_model_that_fits_no_node_waits_and_its_time_to_start_begins_once_it_does(cluster: Cluster) -> None:
    cluster.service("m1")
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
    pod = cluster.model_pod("m1", conditions=[{"type": "PodScheduled", "status": "False", "message": words}])
    for now in (T0 + 11, T0 + 1801, T0 + 86400):
        waiting = seen(cluster, now).models["m1"]
        assert waiting.phase is ModelPhase.STARTING
        assert waiting.wait is not None
        assert waiting.wait.reason is WaitReason.UNSCHEDULABLE
        assert words in waiting.wait.message
        assert requeue_after(cluster.snapshot(), Observed(), now) == AGAIN_SECONDS  # for an autoscaler's words alone
    moment = datetime.fromtimestamp(T0 + 5000, UTC).isoformat()
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": moment}]
    assert seen(cluster, T0 + 6799).models["m1"].phase is ModelPhase.STARTING
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 6799) == 1
    late = seen(cluster, T0 + 6800).models["m1"]
    assert late.phase is ModelPhase.FAILED
    assert "was not ready after 1800 s (spec.serving.startupDeadlineSeconds)" in late.message


@pytest.mark.parametrize(
    ("phase", "scheduled", "placed"),
    [("Pending", "False", False), ("Pending", "True", True), ("Running", "True", True), ("Failed", "True", False)],
)
def test_a_pod_with_a_node_is_told(cluster: Cluster, phase: str, scheduled: str, placed: bool) -> None:
    cluster.service("m1")
    moment = datetime.fromtimestamp(T0, UTC).isoformat()
    condition = {"type": "PodScheduled", "status": scheduled, "lastTransitionTime": moment}
    cluster.model_pod("m1", phase=phase, conditions=[condition])
    assert seen(cluster).models["m1"].placed is placed


def test_a_model_that_stops_answering_has_its_time_once_more(cluster: Cluster) -> None:
    service = cluster.service("m1")
    cluster.model_pod("m1", phase="Running")
    lost = datetime.fromtimestamp(T0 + 9000, UTC).isoformat()
    service["status"]["conditions"][0]["lastTransitionTime"] = lost
    assert seen(cluster, T0 + 10799).models["m1"].phase is ModelPhase.STARTING
    assert seen(cluster, T0 + 10800).models["m1"].phase is ModelPhase.FAILED


def test_a_job_whose_pods_cannot_start_is_outdated_by_an_edit(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("mine/m0")
    no_node = [{"type": "PodScheduled", "status": "False", "message": "no room"}]

    def outdated(generation: int, **refusals: str) -> list[str]:
        meta = cluster.tournament.metadata.model_copy(update={"generation": generation})
        tournament = cluster.tournament.model_copy(update={"metadata": meta})
        snapshot = replace(cluster.snapshot(), tournament=tournament, refusals=refusals)
        return [job.bundle for job in outdated_jobs(snapshot, T0 + 60)]

    refused = {job["metadata"]["name"]: "exceeded quota"}
    assert outdated(1, **refused) == []
    assert outdated(2, **refused) == ["mine/m0"]
    assert outdated(2) == []  # nothing keeps it from its work
    cluster.worker_pod(job, 0, phase="Pending", conditions=no_node)
    assert outdated(2) == ["mine/m0"]
    cluster.worker_pod(job, 1, phase="Running")
    assert outdated(2) == []
    cluster.pods.clear()
    job["status"] = {"completedIndexes": "0"}
    assert outdated(2, **refused) == []  # it keeps count of what it has made


def test_children_of_an_older_manifest_are_stale() -> None:
    before = Cluster(cluster_tournament(4))
    before.job("judge/m0/m1")
    before.job("rate")
    before.service("m3", ready=True)
    after = Cluster(cluster_tournament(3))
    after.jobs, after.services = before.jobs, before.services
    assert {job.bundle for job in stale_jobs(after.snapshot())} == {"judge/m0/m1", "rate"}
    assert [service.model for service in stale_services(after.snapshot())] == ["m3"]
    assert seen(after).jobs == {}


def failed_status(generation: int) -> TournamentStatus:
    moment = datetime.fromtimestamp(T0, UTC)
    condition = Condition(
        type="Failed",
        status="True",
        reason="Failed",
        message="why",
        last_transition_time=moment,
        observed_generation=generation,
    )
    return TournamentStatus(conditions=(condition,))


def test_a_failure_is_final_until_the_manifest_is_edited(cluster: Cluster) -> None:
    job = cluster.job("mine/m1")
    finish(job, "Failed", "x", failed="0")
    cluster.service("m0")
    cluster.status = failed_status(1)
    assert seen(cluster).failure == "why"
    assert not failed_before(cluster.snapshot())
    cluster.tournament = with_generation(cluster.tournament, 2)
    assert seen(cluster).failure is None
    assert failed_before(cluster.snapshot())
    jobs, services = failed_children(cluster.snapshot())
    assert [job.bundle for job in jobs] == ["mine/m1"]
    assert [service.model for service in services] == ["m0"]


def test_the_deadline_counts_from_the_last_resumption() -> None:
    cluster = Cluster(cluster_tournament(3, activeDeadlineSeconds=100))
    moment = datetime.fromtimestamp(T0, UTC)
    condition = Condition(type="Reconciling", status="True", reason="Mining", last_transition_time=moment)
    cluster.status = TournamentStatus(conditions=(condition,))
    observed = seen(cluster, T0 + 30)
    assert observed.elapsed == 30
    assert requeue_after(cluster.snapshot(), observed, T0 + 30) == 70


def test_a_model_that_runs_and_does_not_answer_is_named_with_its_log(cluster: Cluster) -> None:
    cluster.service("m1")
    cluster.model_pod("m1", phase="Running")
    late = seen(cluster, T0 + 1801).models["m1"]
    assert "pod m1-pod runs but does not answer yet" in late.message
    assert "`kubectl -n arena logs m1-pod`" in late.message
