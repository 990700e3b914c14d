"""From the objects of a cluster to what the planner reads. Pure: the snapshot comes from the informers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tiltyard.api import LLM
from tiltyard.observe.diagnose import (
    IMAGE_PULL,
    NOT_ENDING,
    POD_CONFIGURATION,
    PODS_REFUSED,
    QUEUED,
    UNSCHEDULABLE,
    Diagnosis,
)
from tiltyard.observe.kinds import LLM_SERVICES, TRAIN_JOBS
from tiltyard.observe.progress import shards_of, step_of
from tiltyard.observe.queues import pods_of, rest_seconds, resting, time_is_up, told, with_answer
from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord, seconds
from tiltyard.observe.refusal import llm_refused, pods_refused
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
    models_without_pods,
    stale_services,
    without_pods,
)
from tiltyard.observe.standstill import STANDSTILL_SECONDS, standstill_of
from tiltyard.plan.costs import Costs
from tiltyard.plan.observed import (
    JobPhase,
    JobSeen,
    ModelPhase,
    ModelSeen,
    Observed,
    PreflightPhase,
    Wait,
    WaitReason,
)
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import PREFLIGHT
from tiltyard.render.serving import API_PATH, service_url
from tiltyard.status.conditions import FAILED, RECONCILING, find_true
from tiltyard.status.held import time_up
from tiltyard_jobs.contracts.exit_codes import FINAL
from tiltyard_jobs.contracts.summary import Summary

AGAIN_SECONDS = 15.0  # between two looks at what nothing tells of: pods that are refused, room of others
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
        if job.terminal != "Complete":
            shards = shards_of(snapshot, job, bundle, made)
            jobs[job.bundle] = replace(_job(snapshot, job, now), shards=shards)
        elif not counted:
            jobs[job.bundle] = JobSeen(JobPhase.ACTIVE, job.version)
    parts = {key: frozenset(shards) for key, shards in done.items()}
    complete = frozenset(ref.key for ref in graph.artifacts if len(parts.get(ref.key, ())) == ref.shards)
    wanted = {one.model for one in graph.bundles if one.needs <= complete and not one.keys <= complete}
    return Observed(
        preflight=preflight,
        preflight_message=message,
        preflight_wait=wait,
        preflight_step=step_of(snapshot),
        done=parts,
        reused=reused,
        jobs=jobs,
        models=_models(snapshot, settings, now, wanted),
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
        failure=_final_failure(snapshot),
        elapsed=_elapsed(snapshot, now),
        gives_way=snapshot.gives_way,
    )


def _final_failure(snapshot: Snapshot) -> str | None:
    """The failure that the status reports for this manifest."""
    failed = find_true(snapshot.status.conditions, FAILED)
    return failed.message if failed is not None and not failed_before(snapshot) else None


def _elapsed(snapshot: Snapshot, now: float) -> float | None:
    """Seconds at work, as a Job counts them: from its start, or from when it was last resumed."""
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
        words = next((summary.message for summary in reversed(summaries) if summary.message), job.why)
        return PreflightPhase.FAILED, words, None, {}, nothing
    if (over := time_is_up(snapshot, job)) is not None:
        return PreflightPhase.FAILED, over, None, {}, nothing
    diagnosis = _workers_diagnosis(snapshot, job, now)
    if diagnosis is not None and _is_final(snapshot, diagnosis, job.created, now):
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
        words = [_with_log(summary.message, pod) for summary, pod in ended if summary.exit_code and summary.message]
        failed = max(1, job.failed)
        return JobSeen(JobPhase.FAILED, job.version, 0, failed, words[-1] if words else job.why)
    if job.suspended and not job.queued:
        return JobSeen(JobPhase.ENDED, job.version)  # suspended by us: it is started again by its order
    if (over := time_is_up(snapshot, job)) is not None:
        return JobSeen(JobPhase.FAILED, job.version, job.active, 1, over)
    diagnosis = _workers_diagnosis(snapshot, job, now)
    if diagnosis is not None and _is_final(snapshot, diagnosis, job.created, now):
        return JobSeen(JobPhase.FAILED, job.version, job.active, 1, diagnosis.message)
    return JobSeen(JobPhase.ACTIVE, job.version, job.active, wait=_jobs_wait(snapshot, job, diagnosis, now))


def _with_log(message: str, pod: PodRecord) -> str:
    return f"{message.rstrip('.')}; its log: `kubectl -n {_namespace(pod.owner)} logs {pod.name}`"


def _jobs_wait(snapshot: Snapshot, job: JobRecord, diagnosis: Diagnosis | None, now: float) -> Wait | None:
    """Why a Job waits; None: it does not, as far as is known."""
    if job.suspended:
        what = f"{job.kind.kind} {job.name} is suspended until its queue admits it"
        words = told(what, snapshot.queues.get(job.uid), _namespace(job.owner))
        return Wait(WaitReason.QUEUED, words) if now - job.created >= PATIENCE_SECONDS else None
    return _wait(diagnosis)


def _wait(diagnosis: Diagnosis | None) -> Wait | None:
    if diagnosis is None:
        return None
    reasons = {
        QUEUED: WaitReason.QUEUED,
        UNSCHEDULABLE: WaitReason.UNSCHEDULABLE,
        PODS_REFUSED: WaitReason.REFUSED,
        NOT_ENDING: WaitReason.NOT_ENDING,
    }
    return Wait(reasons.get(diagnosis.reason, WaitReason.NOT_STARTING), diagnosis.message)


def _namespace(owner: str) -> str:
    return owner.partition("/")[0]


def _pods_diagnosis(snapshot: Snapshot, pods: Iterable[PodRecord], now: float) -> Diagnosis | None:
    """The first diagnosis of pods that should be at work; what lasts for a moment only is none."""
    lasting = (pod for pod in pods if now - pod.created >= PATIENCE_SECONDS)
    return next((found for pod in lasting if (found := with_answer(snapshot, pod)) is not None), None)


def _workers_diagnosis(snapshot: Snapshot, job: JobRecord, now: float) -> Diagnosis | None:
    """What keeps a Job from going on. A pod that waits for the room of other shards is left out."""
    if (words := snapshot.refusals.get(job.name)) is not None:
        return Diagnosis(PODS_REFUSED, pods_refused(job.kind.kind, job.name, words))
    diagnosis = _pods_diagnosis(snapshot, (pod for pod in snapshot.pods_of(job) if pod.phase == "Pending"), now)
    if diagnosis is not None and diagnosis.reason == UNSCHEDULABLE:
        busy = any(pod.job and pod.phase == "Running" for pod in snapshot.pods.values())
        return None if busy else diagnosis
    return diagnosis or next(_stayings(snapshot.pods_of(job), now), None)


def _stayings(pods: Iterable[PodRecord], now: float) -> Iterator[Diagnosis]:
    """Pods whose worker has ended for a while."""
    for pod in pods:
        stays = pod.diagnosis is not None and pod.diagnosis.reason == NOT_ENDING and pod.phase == "Running"
        if pod.diagnosis is not None and stays and now - seconds(pod.ended) >= PATIENCE_SECONDS:
            yield pod.diagnosis


def outdated_jobs(snapshot: Snapshot, now: float) -> list[JobRecord]:
    """Jobs whose pods cannot start, as an older generation of the manifest wants them: an edit may have mended that.

    Nothing is lost with such a Job: none of its pods is at work, and none has made anything.
    """
    generation = snapshot.tournament.metadata.generation
    return [
        job
        for job in snapshot.jobs.values()
        if job.generation not in (None, generation)
        and not (job.terminal or job.suspended or job.deleting or job.succeeded)
        and _workers_diagnosis(snapshot, job, now) is not None
        and not any(pod.phase == "Running" for pod in snapshot.pods_of(job))
    ]


def _is_final(snapshot: Snapshot, diagnosis: Diagnosis, since: float, now: float) -> bool:
    """Whether a pod that does not start has had its time."""
    return diagnosis.reason in LASTING and now - since > snapshot.tournament.spec.serving.startup_deadline_seconds


def _models(
    snapshot: Snapshot, settings: ClusterSettings, now: float, wanted: Collection[str | None]
) -> dict[str, ModelSeen]:
    """What models are doing. Of two objects of one the stale one counts, as long as it is there."""
    stale = stale_services(snapshot)
    services = sorted(snapshot.services.values(), key=lambda one: one.deleting or one in stale)
    seen = {
        one.model: _model(snapshot, one, settings, now, wanted=one.model in wanted, goes=one in stale)
        for one in services
    }
    pods = (pod for pod in snapshot.pods.values() if pod.scheduled is not None)
    placed = {pod.model for pod in pods if pod.phase in ("Pending", "Running")}
    return {name: replace(model, placed=name in placed) for name, model in seen.items()}


def _model(
    snapshot: Snapshot, service: ServiceRecord, settings: ClusterSettings, now: float, *, wanted: bool, goes: bool
) -> ModelSeen:
    """What a model is doing; one that is wanted has work, one that goes is to be deleted."""
    if service.deleting or goes:
        return ModelSeen(ModelPhase.STOPPING, service.version, service.loads)
    pods = pods_of(snapshot, service)
    if service.stopped:
        phase = ModelPhase.STOPPING if pods else ModelPhase.STOPPED
        wait = resting(service, now)
        return ModelSeen(phase, service.version, service.loads, wait=wait, resting=wait is not None)
    deadline = snapshot.tournament.spec.serving.startup_deadline_seconds
    in_vain = rest_seconds(snapshot, service, pods, settings.give_back_seconds, now, wanted=wanted)
    if service.ready:
        expected = service_url(snapshot.tournament, service.model, settings)
        url = expected if service.address is None else f"{service.address}{API_PATH}"
        seen = ModelSeen(ModelPhase.READY, service.version, service.loads, url, in_vain=in_vain)
        return replace(seen, load_seconds=_load_seconds(service, pods, deadline), **_weights(pods))
    diagnosis = _pods_diagnosis(snapshot, pods, now)
    began = _startup_began(snapshot, service, pods)
    if began is None or now - began < deadline:
        wait = _wait(diagnosis or _refusal(snapshot, service) or _without_pods(service, pods, now))
        return ModelSeen(
            ModelPhase.STARTING, service.version, service.loads, wait=wait, in_vain=in_vain, **_weights(pods)
        )
    why = _why_late(snapshot, service, pods)
    late = f"was not ready after {deadline} s (spec.serving.startupDeadlineSeconds): {why}"
    return ModelSeen(ModelPhase.FAILED, service.version, service.loads, message=late)


def _weights(pods: Iterable[PodRecord]) -> dict[str, Any]:
    """What is known of a model's weights: of several replicas one has downloaded them, if any had to."""
    told = sorted((pod.filled for pod in pods if pod.filled is not None), key=lambda filled: filled.reused)
    if not told:
        return {}
    return {"weights": told[0].bytes, "download_seconds": None if told[0].reused else told[0].seconds}


def _load_seconds(service: ServiceRecord, pods: Iterable[PodRecord], deadline: int) -> float | None:
    """How long a load took: from when nodes have had all of its pods until it answered; None where it is no load.

    A pod that came later says nothing of the start, and an answer after the deadline is that of a server which failed
    and was started again in its pod.
    """
    scheduled = [pod.scheduled for pod in pods if pod.scheduled is not None and not pod.deleting]
    if not scheduled or service.ready_since is None:
        return None
    took = service.ready_since - max(scheduled)
    return took if 0 < took <= deadline else None


def _startup_began(snapshot: Snapshot, service: ServiceRecord, pods: Iterable[PodRecord]) -> float | None:
    """When the time to start began that a model has; None: it waits for a node, or for leave to have pods.

    It begins when a node has taken its pod, and again when it stops answering.
    """
    began = max(service.started, service.unready_since or 0.0)
    there = [pod for pod in pods if not pod.deleting]
    if not there:
        return None if _refusal(snapshot, service) else began
    scheduled = [pod.scheduled for pod in there if pod.scheduled is not None]
    if len(scheduled) < len(there):  # it answers once each of its replicas, and of their nodes, does
        return None
    return max(began, min(scheduled)) if scheduled else None


def _refusal(snapshot: Snapshot, service: ServiceRecord) -> Diagnosis | None:
    """Why KServe can create no pod of a model, or not all of an LLMInferenceService."""
    is_llm = service.kind is LLM_SERVICES
    if is_llm and service.refused:
        return Diagnosis(PODS_REFUSED, llm_refused(service.name, service.refused))
    words = snapshot.refusals.get(service.name) if is_llm else service.refused
    return Diagnosis(PODS_REFUSED, pods_refused(service.kind.kind, service.name, words)) if words else None


def _without_pods(service: ServiceRecord, pods: list[PodRecord], now: float) -> Diagnosis | None:
    """An LLMInferenceService has had no pod for a while: who makes them for KServe does not, or cannot."""
    if pods or service.kind is not LLM_SERVICES or now - service.started < PATIENCE_SECONDS:
        return None
    says = f"KServe says: {service.message}; " if service.message else ""
    words = (
        f"{LLM} {service.name} has no pods yet: {says}check that the controllers of KServe's llmisvc and of"
        f" LeaderWorkerSets are at work, and what `kubectl -n {_namespace(service.owner)} get events` says"
    )
    return Diagnosis(POD_CONFIGURATION, words)


def _why_late(snapshot: Snapshot, service: ServiceRecord, pods: list[PodRecord]) -> str:
    for pod in pods:
        if pod.diagnosis is not None:
            return pod.diagnosis.message
    if (refusal := _refusal(snapshot, service)) is not None:
        return refusal.message
    for pod in pods:
        if pod.phase == "Running":
            namespace = _namespace(pod.owner)
            return (
                f"pod {pod.name} runs but does not answer yet: raise the field, or see"
                f" `kubectl -n {namespace} logs {pod.name}`"
            )
    return service.message or "KServe gives no reason"


def requeue_after(snapshot: Snapshot, observed: Observed, now: float) -> float | None:
    """Seconds until time alone can change the plan; None: only an event can."""
    deadline = snapshot.tournament.spec.serving.startup_deadline_seconds
    due = [
        began + deadline
        for service in snapshot.services.values()
        if not (service.stopped or service.ready or service.deleting)
        and (began := _startup_began(snapshot, service, pods_of(snapshot, service))) is not None
    ]
    due += [pod.created + PATIENCE_SECONDS for pod in snapshot.pods.values() if pod.diagnosis is not None]
    due += [one.started + PATIENCE_SECONDS for one in snapshot.services.values() if one.kind is LLM_SERVICES]
    due += [seconds(pod.ended) + PATIENCE_SECONDS for pod in snapshot.pods.values() if pod.diagnosis and pod.ended]
    for job in snapshot.jobs.values():
        if job.terminal == "Complete" and job.finished is not None and not is_fully_reported(snapshot, job):
            due.append(job.finished + LAST_WORDS_SECONDS)
        elif not job.terminal and _workers_diagnosis(snapshot, job, now) is not None:
            due.append(job.created + deadline)
        if not job.terminal and not any(pod.phase == "Running" for pod in snapshot.pods_of(job)):
            due.append(job.created + PATIENCE_SECONDS)
    due += [now + AGAIN_SECONDS for _ in (*without_pods(snapshot, now), *models_without_pods(snapshot, now))]
    if (standstill := standstill_of(snapshot)) is not None:
        due.append(max(standstill.since + STANDSTILL_SECONDS, now + AGAIN_SECONDS))
    due += [now + AGAIN_SECONDS] if observed.gives_way else []
    limit = snapshot.tournament.spec.active_deadline_seconds
    if limit is not None and observed.elapsed is not None:
        due.append(now - observed.elapsed + limit)
    ahead = [moment - now for moment in due if moment > now]
    return min(ahead, default=None)
