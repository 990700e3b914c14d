"""From the objects of a cluster to what the planner reads. Pure: the snapshot comes from the informers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tiltyard.observe.diagnose import IMAGE_PULL, POD_CONFIGURATION, Diagnosis
from tiltyard.observe.documents import namespace_of, seconds
from tiltyard.observe.kinds import TRAIN_JOBS
from tiltyard.observe.models import models_seen, startup_began
from tiltyard.observe.pod_events import waiting_pods
from tiltyard.observe.progress import shards_of, step_of
from tiltyard.observe.queues import time_is_up, told
from tiltyard.observe.records import JobRecord, PodRecord
from tiltyard.observe.results import (
    LAST_WORDS_SECONDS,
    costs_of,
    is_fully_reported,
    may_still_report,
    parts_made,
    preflight_result,
    reported_indices,
    summary_of,
)
from tiltyard.observe.snapshot import (
    PATIENCE_SECONDS,
    Snapshot,
    failed_before,
    held_by_queues,
    models_without_pods,
    without_pods,
)
from tiltyard.observe.standstill import STANDSTILL_SECONDS, standstill_of
from tiltyard.observe.waiting import wait_of, workers_diagnosis
from tiltyard.plan.costs import Costs
from tiltyard.plan.observed import JobPhase, JobSeen, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import PREFLIGHT
from tiltyard.status.conditions import FAILED, RECONCILING, find_true
from tiltyard.status.held import time_up
from tiltyard_jobs.contracts.exit_codes import FINAL, ExitCode
from tiltyard_jobs.contracts.summary import Summary

AGAIN_SECONDS = 15.0  # between two looks at what nothing tells of: refusals, autoscalers, queues, others' room
LASTING = (IMAGE_PULL, POD_CONFIGURATION)
"""Diagnoses that time alone does not change; a pod that fits no node may fit one later, or a queue may make room."""


def observe(snapshot: Snapshot, settings: ClusterSettings, now: float) -> Observed:
    """What is known at this moment.

    Args:
        snapshot: the objects.
        settings: of the operator.
        now: seconds since the epoch.
    """
    graph = snapshot.graph
    preflight, message, wait, reused, first = _preflight(snapshot, now)
    costs = Costs(
        leaderboard=first.leaderboard,
        notes=first.notes,
        warnings=first.warnings,
        outputs=dict(first.outputs),
        instructions=first.instructions,
    )
    done = {key: set(parts) for key, parts in reused.items()}
    jobs: dict[str, JobSeen] = {}
    for job in snapshot.jobs.values():
        bundle = graph.by_name.get(job.bundle)
        if job.bundle == PREFLIGHT or job.deleting:
            continue
        if bundle is None or bundle.version != job.version:
            continue  # of an older manifest, see `stale_jobs`
        costs.merge(costs_of(snapshot, job, bundle))
        counted = is_fully_reported(snapshot, job) or not may_still_report(job, now)
        # A shard counts as made once its pod has reported too, so that its cost is never left out.
        made = job.succeeded if counted else job.succeeded & reported_indices(snapshot, job)
        for key, shard in parts_made(bundle, job.parts, made):
            done.setdefault(key, set()).add(shard)
        if job.terminal == "Complete" and counted:
            continue
        seen = JobSeen(JobPhase.ACTIVE, job.version) if job.terminal == "Complete" else _job(snapshot, job, now)
        jobs[job.bundle] = replace(seen, shards=shards_of(snapshot, job, bundle, made))
    parts = {key: frozenset(shards) for key, shards in done.items()}
    complete = graph.complete_keys(parts)
    wanted = {one.model for one in graph.bundles if one.needs <= complete and not one.keys <= complete}
    return Observed(
        preflight=preflight,
        preflight_message=message,
        preflight_wait=wait,
        preflight_step=step_of(snapshot),
        done=parts,
        reused=reused,
        jobs=jobs,
        models=models_seen(snapshot, settings, now, wanted),
        voids=costs.voids,
        reasons=costs.reasons,
        records=costs.records,
        fresh=costs.fresh,
        ledger=costs.table(),
        held=time_up(snapshot.status, graph.run, now),
        leaderboard=costs.leaderboard,
        notes=costs.told(),
        outputs=costs.outputs,
        instructions=costs.instructions,
        longest_given=first.longest_given,
        failure=_final_failure(snapshot),
        elapsed=_elapsed(snapshot, now),
        gives_way=snapshot.gives_way,
    )


def _final_failure(snapshot: Snapshot) -> str | None:
    """The failure that the status reports for this manifest."""
    failed = find_true(snapshot.status.conditions, FAILED)
    return failed.message if failed is not None and not failed_before(snapshot) else None


def _elapsed(snapshot: Snapshot, now: float) -> float | None:
    """Seconds of running, as a Job counts them: from its start, or from when it was last resumed."""
    reconciling = find_true(snapshot.status.conditions, RECONCILING)
    return None if reconciling is None else max(0.0, now - reconciling.last_transition_time.timestamp())


def _preflight(
    snapshot: Snapshot, now: float
) -> tuple[PreflightPhase, str, Wait | None, Mapping[str, frozenset[int]], Summary]:
    """How far preflight of this manifest is, its message, why it waits, the parts that exist, and all it reported."""
    nothing = Summary(exit_code=0)
    jobs = (job for job in snapshot.jobs.values() if job.bundle == PREFLIGHT and not job.deleting)
    job = next((job for job in jobs if job.version == snapshot.preflight), None)
    if job is None:
        return PreflightPhase.PENDING, "", None, {}, nothing
    summaries = [summary for pod in snapshot.pods_of(job) if (summary := summary_of(pod)) is not None]
    if job.terminal == "Complete":
        passed = preflight_result(snapshot, job)
        if passed is not None:
            return PreflightPhase.PASSED, "", None, snapshot.graph.found(passed.done), passed
        # Its pod went before it was read: preflight runs again.
        phase = PreflightPhase.ACTIVE if may_still_report(job, now) else PreflightPhase.PENDING
        return phase, "", None, {}, nothing
    if job.terminal:
        told = (summary.message for summary in reversed(summaries) if _says_why(summary))
        words = next(told, None) or _why_failed(snapshot, job)
        return PreflightPhase.FAILED, words, None, {}, nothing
    if (over := time_is_up(snapshot, job)) is not None:
        return PreflightPhase.FAILED, over, None, {}, nothing
    diagnosis = workers_diagnosis(snapshot, job, now)
    if diagnosis is not None and _is_final(snapshot, job, diagnosis, now):
        return PreflightPhase.FAILED, diagnosis.message, None, {}, nothing
    return PreflightPhase.ACTIVE, "", _jobs_wait(snapshot, job, diagnosis, now), {}, nothing


def _job(snapshot: Snapshot, job: JobRecord, now: float) -> JobSeen:
    pods = snapshot.pods_of(job)
    ended = [(summary, pod) for pod in pods if (summary := summary_of(pod)) is not None]
    # A TrainJob starts such a pod again: its runtime has no pod failure policy of ours.
    is_final = job.kind is TRAIN_JOBS and any(summary.exit_code in FINAL for summary, _ in ended)
    if job.terminal or is_final:
        # Others may have failed for want of the one that had a reason.
        ended.sort(key=lambda one: one[0].exit_code in FINAL)
        words = [_with_log(summary.message, pod) for summary, pod in ended if _says_why(summary)]
        failed = max(1, job.failed)
        return JobSeen(JobPhase.FAILED, job.version, 0, failed, words[-1] if words else _why_failed(snapshot, job))
    if job.suspended and not job.queued:
        return JobSeen(JobPhase.ENDED, job.version)  # suspended by us: it is started again by its order
    if (over := time_is_up(snapshot, job)) is not None:
        return JobSeen(JobPhase.FAILED, job.version, job.active, 1, over)
    diagnosis = workers_diagnosis(snapshot, job, now)
    if diagnosis is not None and _is_final(snapshot, job, diagnosis, now):
        return JobSeen(JobPhase.FAILED, job.version, job.active, 1, diagnosis.message)
    return JobSeen(JobPhase.ACTIVE, job.version, job.active, wait=_jobs_wait(snapshot, job, diagnosis, now))


def _says_why(summary: Summary) -> bool:
    """Whether a worker says why it failed. One that was asked to end does not know: its node does (`_why_failed`)."""
    return bool(summary.message) and summary.exit_code not in (ExitCode.COMPLETE, ExitCode.STOPPED)


def _why_failed(snapshot: Snapshot, job: JobRecord) -> str:
    """Why a Job has failed whose pods could not say it: they were killed, or their nodes have ended them."""
    pods = [pod for pod in snapshot.pods_of(job) if pod.phase == "Failed" and pod.diagnosis is not None]
    last = max(pods, key=lambda pod: (pod.ended, pod.created, pod.name), default=None)
    return job.why if last is None or last.diagnosis is None else last.diagnosis.message


def _with_log(message: str, pod: PodRecord) -> str:
    return f"{message.rstrip('.')}; its log: `kubectl -n {namespace_of(pod.owner)} logs {pod.name}`"


def _jobs_wait(snapshot: Snapshot, job: JobRecord, diagnosis: Diagnosis | None, now: float) -> Wait | None:
    """Why a Job waits; None: it does not, as far as is known."""
    if job.suspended:
        what = f"{job.kind.kind} {job.name} is suspended until its queue admits it"
        words = told(what, snapshot.queues.get(job.uid), namespace_of(job.owner))
        return Wait(WaitReason.QUEUED, words) if now - job.created >= PATIENCE_SECONDS else None
    return wait_of(diagnosis)


def outdated_jobs(snapshot: Snapshot, now: float) -> list[JobRecord]:
    """Jobs whose pods cannot start, as an older generation of the manifest wants them: an edit may have mended that.

    Nothing is lost with such a Job: none of its pods is running, and none has made anything.
    """
    generation = snapshot.tournament.metadata.generation
    return [
        job
        for job in snapshot.jobs.values()
        if job.generation not in (None, generation)
        and not (job.terminal or job.suspended or job.deleting or job.succeeded)
        and workers_diagnosis(snapshot, job, now) is not None
        and not any(pod.phase == "Running" for pod in snapshot.pods_of(job))
    ]


def _is_final(snapshot: Snapshot, job: JobRecord, diagnosis: Diagnosis, now: float) -> bool:
    """Whether a Job's pod that does not start has had its time."""
    passed = now - _start_began(snapshot, job)
    return diagnosis.reason in LASTING and passed > snapshot.tournament.spec.serving.startup_deadline_seconds


def _start_began(snapshot: Snapshot, job: JobRecord) -> float:
    """When the time to start began that a Job's pods have: once a node had taken the first that does not start.

    The time for which a queue has suspended the Job, or its pods have fitted no node, does not count.
    """
    moments = (
        pod.created if pod.scheduled is None else pod.scheduled
        for pod in snapshot.pods_of(job)
        if pod.phase == "Pending" and pod.diagnosis is not None and pod.diagnosis.reason in LASTING
    )
    return min(moments, default=job.created)


def requeue_after(snapshot: Snapshot, observed: Observed, now: float) -> float | None:
    """Seconds until time alone can change the plan, or what is said of what waits; None: only an event can."""
    deadline = snapshot.tournament.spec.serving.startup_deadline_seconds
    due = [
        began + deadline
        for service in snapshot.services.values()
        if not (service.stopped or service.ready or service.deleting)
        and (began := startup_began(snapshot, service, snapshot.pods_of_model(service))) is not None
    ]
    due += [pod.created + PATIENCE_SECONDS for pod in snapshot.pods.values() if pod.diagnosis is not None]
    due += [(pod.scheduled or pod.created) + PATIENCE_SECONDS for pod in snapshot.pods.values() if pod.unstarted]
    due += [service.started + PATIENCE_SECONDS for service in snapshot.services.values()]
    due += [seconds(pod.ended) + PATIENCE_SECONDS for pod in snapshot.pods.values() if pod.diagnosis and pod.ended]
    for job in snapshot.jobs.values():
        if job.terminal == "Complete" and job.finished is not None and not is_fully_reported(snapshot, job):
            due.append(job.finished + LAST_WORDS_SECONDS)
        elif not job.terminal and workers_diagnosis(snapshot, job, now) is not None:
            due.append(_start_began(snapshot, job) + deadline)
        if not job.terminal and not any(pod.phase == "Running" for pod in snapshot.pods_of(job)):
            due.append(job.created + PATIENCE_SECONDS)
    if (standstill := standstill_of(snapshot)) is not None:
        due.append(max(standstill.since + STANDSTILL_SECONDS, now + AGAIN_SECONDS))
    looked_for = (without_pods, models_without_pods, waiting_pods, held_by_queues)
    if observed.gives_way or any(look(snapshot, now) for look in looked_for):
        due.append(now + AGAIN_SECONDS)
    limit = snapshot.tournament.spec.active_deadline_seconds
    if limit is not None and observed.elapsed is not None:
        due.append(now - observed.elapsed + limit)
    ahead = [moment - now for moment in due if moment > now]
    return min(ahead, default=None)
