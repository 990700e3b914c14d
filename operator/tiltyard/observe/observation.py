"""From the objects of a cluster to what the planner reads. Pure: the picture comes from the informers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from tiltyard.api import Tournament, TournamentStatus
from tiltyard.cluster.client import TRAIN_JOBS
from tiltyard.observe.diagnose import Trouble
from tiltyard.observe.records import JobObject, PodObject, ServiceObject
from tiltyard.plan.costs import Costs
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import PREFLIGHT, indices_of
from tiltyard.render.serving import service_url
from tiltyard_jobs.contracts.exit_codes import FINAL
from tiltyard_jobs.contracts.summary import Summary, parts_done

# Troubles that time alone does not mend; a pod that fits no node may fit one later, or a queue may make room.
PATIENCE_SECONDS = 10.0  # from a pod's creation until what keeps it from its work is told
KEPT = 16384  # Jobs whose result is not read anew at each look
LAST_WORDS_SECONDS = 10.0  # from a Job's end to its pods' termination messages, when the watches are slow
LASTING = ("ImagePull", "PodConfiguration")


@dataclass(frozen=True)
class Picture:
    """A Tournament and its children at one moment.

    Attributes:
        tournament: the manifest.
        status: as it stands in the cluster.
        graph: of the manifest.
        preflight: the version of preflight that the manifest asks for.
        jobs: by name.
        pods: by name.
        services: by name.
    """

    tournament: Tournament
    status: TournamentStatus
    graph: Graph
    preflight: str
    jobs: Mapping[str, JobObject]
    pods: Mapping[str, PodObject]
    services: Mapping[str, ServiceObject]

    def pods_of(self, job: JobObject) -> list[PodObject]:
        """A Job's pods, the latest to end last."""
        return sorted((pod for pod in self.pods.values() if pod.job == job.name), key=lambda pod: (pod.ended, pod.name))


def failed_before(picture: Picture) -> bool:
    """Whether the failure that the status tells of is of an older manifest: an edit begins a new attempt.

    What failed then is cleared away before anything else.
    """
    for condition in picture.status.conditions:
        if condition.type == "Failed" and condition.status == "True":
            return condition.observed_generation != picture.tournament.metadata.generation
    return False


def failed_children(picture: Picture) -> tuple[list[JobObject], list[ServiceObject]]:
    """What an older manifest's failure left: Jobs that failed, and models that were to be up."""
    jobs = [job for job in picture.jobs.values() if job.verdict in ("Failed", "FailureTarget")]
    return jobs, [service for service in picture.services.values() if not service.stopped]


def stale_jobs(picture: Picture) -> list[JobObject]:
    """Jobs of an older manifest."""
    versions = {bundle.name: bundle.version for bundle in picture.graph.bundles} | {PREFLIGHT: picture.preflight}
    return [job for job in picture.jobs.values() if versions.get(job.bundle) != job.version and not job.deleting]


def stale_services(picture: Picture) -> list[ServiceObject]:
    """Models that the manifest does not name any more."""
    names = picture.graph.model
    return [service for service in picture.services.values() if service.model not in names and not service.deleting]


def gather(picture: Picture, settings: ClusterSettings, now: float) -> Observed:
    """What is known at this moment.

    Args:
        picture: the objects.
        settings: of the operator.
        now: seconds since the epoch.
    """
    graph = picture.graph
    preflight, message, reused, first = _preflight(picture, now)
    costs = Costs(leaderboard=first.leaderboard, outputs=dict(first.outputs))
    done = {key: set(parts) for key, parts in reused.items()}
    jobs: dict[str, JobSeen] = {}
    for job in picture.jobs.values():
        bundle = graph.by_name.get(job.bundle)
        if job.bundle == PREFLIGHT or job.deleting:
            continue
        if bundle is None or bundle.version != job.version:
            continue  # of an older manifest, see `stale_jobs`
        costs.merge(costs_of(picture, job, bundle))
        counted = is_counted(picture, job) or not _may_come(job, now)
        # A shard is made once its pod's last words are known too: what it cost is never left out.
        made = job.succeeded if counted else job.succeeded & _told(picture, job)
        for key, shard in _made(bundle, job.parts, made):
            done.setdefault(key, set()).add(shard)
        if job.verdict != "Complete":
            jobs[job.bundle] = _job(picture, job, now)
        elif not counted:
            jobs[job.bundle] = JobSeen(JobPhase.ACTIVE, job.version)
    parts = {key: frozenset(shards) for key, shards in done.items()}
    return Observed(
        preflight=preflight,
        preflight_message=message,
        done=parts,
        reused=reused,
        jobs=jobs,
        models={s.model: seen for s in picture.services.values() if (seen := _model(picture, s, settings, now))},
        voids=costs.voids,
        ledger=costs.table(),
        leaderboard=costs.leaderboard,
        outputs=costs.outputs,
        failure=_final_failure(picture),
        elapsed=_elapsed(picture, now),
    )


def costs_of(picture: Picture, job: JobObject, bundle: Bundle) -> Costs:
    """What a Job has cost and found: as written down, or as its pods say."""
    if job.result is not None and (written := _written_costs(job.result)) is not None:
        return written
    costs = Costs()
    for pod in picture.pods_of(job):
        if (summary := summary_of(pod)) is not None:
            costs.add(bundle.stage, bundle.model, summary)
    return costs


def preflight_result(picture: Picture, job: JobObject) -> Summary | None:
    """What a preflight that passed has found: as written down, or as its pod says; None: neither is to be had."""
    if job.result is not None:
        try:
            return Summary.model_validate_json(job.result)
        except ValidationError:
            pass
    summaries = (summary_of(pod) for pod in reversed(picture.pods_of(job)))
    return next((summary for summary in summaries if summary is not None and summary.exit_code == 0), None)


def is_counted(picture: Picture, job: JobObject) -> bool:
    """Whether all is known of a complete Job: its pods' last words may arrive after it."""
    if job.result is not None:
        return True
    return len(_told(picture, job)) >= job.completions


def _told(picture: Picture, job: JobObject) -> frozenset[int]:
    """The indices whose pods have said that they are complete. Of a TrainJob the first node speaks for all."""
    return frozenset(pod.index for pod in picture.pods_of(job) if pod.exit_code == 0 and pod.index < job.completions)


def _may_come(job: JobObject, now: float) -> bool:
    return job.finished is None or now - job.finished < LAST_WORDS_SECONDS


def summary_of(pod: PodObject) -> Summary | None:
    """What a worker left as its termination message; None: it has not ended."""
    if pod.exit_code is None:
        return None
    try:
        return Summary.model_validate_json(pod.message).model_copy(update={"exit_code": pod.exit_code})
    except ValidationError:  # killed before it could write, or the end of its log
        return Summary(exit_code=pod.exit_code)


def _final_failure(picture: Picture) -> str | None:
    """The failure that the status tells of for this manifest."""
    for condition in picture.status.conditions:
        if condition.type == "Failed" and condition.status == "True" and not failed_before(picture):
            return condition.message
    return None


def _elapsed(picture: Picture, now: float) -> float | None:
    """Seconds at work, as a Job counts them: from its start, or from when it was last resumed."""
    for condition in picture.status.conditions:
        if condition.type == "Reconciling" and condition.status == "True":
            return max(0.0, now - condition.last_transition_time.timestamp())
    return None


def _preflight(picture: Picture, now: float) -> tuple[PreflightPhase, str, Mapping[str, frozenset[int]], Summary]:
    """How far preflight of this manifest is, its sentence, the parts that it found, and all that it said."""
    nothing = Summary(exit_code=0)
    jobs = (job for job in picture.jobs.values() if job.bundle == PREFLIGHT and not job.deleting)
    job = next((job for job in jobs if job.version == picture.preflight), None)
    if job is None:
        return PreflightPhase.PENDING, "", {}, nothing
    summaries = [summary for pod in picture.pods_of(job) if (summary := summary_of(pod)) is not None]
    if job.verdict == "Complete":
        passed = preflight_result(picture, job)
        if passed is not None:
            return PreflightPhase.PASSED, "", parts_done(picture.graph.artifacts, passed.done), passed
        # Its pod went before it was read: it is done again.
        return (PreflightPhase.ACTIVE if _may_come(job, now) else PreflightPhase.PENDING), "", {}, nothing
    if job.verdict:
        words = next((summary.message for summary in reversed(summaries) if summary.message), job.why)
        return PreflightPhase.FAILED, words, {}, nothing
    trouble = _workers_trouble(picture, job, now)
    if trouble is not None and _is_final(picture, trouble, job.created, now):
        return PreflightPhase.FAILED, trouble.message, {}, nothing
    return PreflightPhase.ACTIVE, trouble.message if trouble else "", {}, nothing


@lru_cache(maxsize=KEPT)
def _written_costs(result: str) -> Costs | None:
    """A Job's result as it was written down; None: somebody else has changed it."""
    try:
        return Costs.model_validate_json(result)
    except ValidationError:
        return None


@lru_cache(maxsize=KEPT)
def _made(bundle: Bundle, parts: str, succeeded: frozenset[int]) -> tuple[tuple[str, int], ...]:
    """The parts that a Job's complete indices have made, as (artifact key, shard)."""
    try:
        indices = indices_of(bundle, parts)
    except ValueError:  # somebody else has changed the annotation: its parts are found by workers that come after
        return ()
    return tuple(
        (bundle.makes[part.recipe].key, part.shard)
        for index in sorted(succeeded)
        if index < len(indices)
        for part in indices[index]
    )


def _job(picture: Picture, job: JobObject, now: float) -> JobSeen:
    pods = picture.pods_of(job)
    said = [summary for pod in pods if (summary := summary_of(pod)) is not None]
    # A TrainJob would start them again: no policy of ours is in its runtime.
    is_final = job.kind is TRAIN_JOBS and any(summary.exit_code in FINAL for summary in said)
    if job.verdict or is_final:
        # Others may have failed for want of the one that had a reason.
        said.sort(key=lambda summary: summary.exit_code in FINAL)
        words = [summary.message for summary in said if summary.exit_code and summary.message]
        failed = max(1, job.failed)
        return JobSeen(JobPhase.FAILED, job.version, 0, failed, words[-1] if words else job.why)
    if job.suspended and not job.queued:
        return JobSeen(JobPhase.ENDED, job.version)  # suspended by us: it is started again by its order
    trouble = _workers_trouble(picture, job, now)
    if trouble is not None and _is_final(picture, trouble, job.created, now):
        return JobSeen(JobPhase.FAILED, job.version, job.active, 1, trouble.message)
    return JobSeen(JobPhase.ACTIVE, job.version, job.active, 0, trouble.message if trouble else "")


def _pods_trouble(pods: Iterable[PodObject], now: float) -> Trouble | None:
    """The first trouble of pods that should be at work; what lasts for a moment only is none."""
    return next((pod.trouble for pod in pods if pod.trouble and now - pod.created >= PATIENCE_SECONDS), None)


def _workers_trouble(picture: Picture, job: JobObject, now: float) -> Trouble | None:
    """What keeps a Job from going on. A pod that waits until other shards have gone is in no trouble."""
    trouble = _pods_trouble((pod for pod in picture.pods_of(job) if pod.phase == "Pending"), now)
    if trouble is not None and trouble.reason == "Unschedulable":
        busy = any(pod.job and pod.phase == "Running" for pod in picture.pods.values())
        return None if busy else trouble
    return trouble


def _is_final(picture: Picture, trouble: Trouble, since: float, now: float) -> bool:
    """Whether a pod that does not start has had its time."""
    return trouble.reason in LASTING and now - since > picture.tournament.spec.serving.startup_deadline_seconds


def _model(picture: Picture, service: ServiceObject, settings: ClusterSettings, now: float) -> ModelSeen | None:
    """What a model is doing."""
    if service.deleting:
        return ModelSeen(ModelPhase.STOPPING, service.version, service.loads)
    pods = [pod for pod in picture.pods.values() if pod.model == service.model]
    if service.stopped:
        phase = ModelPhase.STOPPING if pods else ModelPhase.STOPPED
        return ModelSeen(phase, service.version, service.loads)
    if service.ready:
        url = service_url(picture.tournament, service.model, settings)
        return ModelSeen(ModelPhase.READY, service.version, service.loads, url)
    trouble = _pods_trouble(pods, now)
    deadline = picture.tournament.spec.serving.startup_deadline_seconds
    if now - max(service.started, service.unready_since or 0.0) < deadline:
        words = trouble.message if trouble else service.refused and f"no pod of it can be made: {service.refused}"
        return ModelSeen(ModelPhase.STARTING, service.version, service.loads, message=words)
    late = f"was not ready after {deadline} s (spec.serving.startupDeadlineSeconds): {_why_late(service, pods)}"
    return ModelSeen(ModelPhase.FAILED, service.version, service.loads, message=late)


def _why_late(service: ServiceObject, pods: list[PodObject]) -> str:
    for pod in pods:
        if pod.trouble is not None:
            return pod.trouble.message
    for pod in pods:
        if pod.phase == "Running":
            namespace = pod.owner.partition("/")[0]
            return (
                f"pod {pod.name} runs and does not answer yet: give it more time, or read"
                f" `kubectl -n {namespace} logs {pod.name}`"
            )
    return service.message or "KServe gives no reason"


def next_look(picture: Picture, observed: Observed, now: float) -> float | None:
    """Seconds until time alone can change the plan; None: only an event can."""
    deadline = picture.tournament.spec.serving.startup_deadline_seconds
    due = [
        max(service.started, service.unready_since or 0.0) + deadline
        for service in picture.services.values()
        if not (service.stopped or service.ready or service.deleting)
    ]
    due += [pod.created + PATIENCE_SECONDS for pod in picture.pods.values() if pod.trouble is not None]
    for job in picture.jobs.values():
        if job.verdict == "Complete" and job.finished is not None and not is_counted(picture, job):
            due.append(job.finished + LAST_WORDS_SECONDS)
        elif not job.verdict and _workers_trouble(picture, job, now) is not None:
            due.append(job.created + deadline)
    limit = picture.tournament.spec.active_deadline_seconds
    if limit is not None and observed.elapsed is not None:
        due.append(now - observed.elapsed + limit)
    ahead = [moment - now for moment in due if moment > now]
    return min(ahead, default=None)
