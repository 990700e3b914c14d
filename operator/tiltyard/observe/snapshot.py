"""A Tournament and its children at one moment, and which of the children belong to an older manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tiltyard.api import Tournament, TournamentStatus
from tiltyard.observe.diagnose import QUEUED
from tiltyard.observe.kinds import TRAIN_JOBS
from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import Wait
from tiltyard.plan.participants import participants
from tiltyard.render.jobs import PREFLIGHT
from tiltyard.status.conditions import FAILED, find_true
from tiltyard_jobs.contracts.progress import WorkerProgress

PATIENCE_SECONDS = 10.0  # from the creation of a pod, or of a Job without one, until that it does not start counts


class QueueAnswer(NamedTuple):
    """What Kueue says of a Job or a pod that a queue holds.

    Attributes:
        words: why it is not admitted.
        over: it never will be: its time is up.
    """

    words: str
    over: bool = False


@dataclass(frozen=True)
class PodTold:
    """What a worker's pod has told of its progress last.

    Attributes:
        job: its Job's name.
        job_uid: and uid.
        index: of its Job.
        progress: its words.
    """

    job: str
    job_uid: str
    index: int
    progress: WorkerProgress


@dataclass(frozen=True)
class Snapshot:
    """A Tournament and its children at one moment.

    Attributes:
        tournament: the manifest.
        status: as it stands in the cluster.
        graph: of the manifest.
        preflight: the version of preflight that the manifest asks for.
        jobs: by name.
        pods: by name.
        services: by name.
        refusals: why no pod of a Job, or of a model, can be created, by its name.
        gives_way: why it gives way to another tournament; None: it does not.
        queues: what Kueue says of Jobs and pods that its queues hold, by uid.
        pod_events: what is said of pods that no node takes, or that their nodes do not start, by `PodRecord.asked_as`.
        told: what workers have told of their progress, by their pods' names; of pods that are gone too.
    """

    tournament: Tournament
    status: TournamentStatus
    graph: Graph
    preflight: str
    jobs: Mapping[str, JobRecord]
    pods: Mapping[str, PodRecord]
    services: Mapping[str, ServiceRecord]
    refusals: Mapping[str, str] = field(default_factory=dict)
    gives_way: Wait | None = None
    queues: Mapping[str, QueueAnswer] = field(default_factory=dict)
    pod_events: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    told: Mapping[str, PodTold] = field(default_factory=dict)

    def pods_of(self, job: JobRecord) -> list[PodRecord]:
        """A Job's pods, the latest to end last. Who controls a pod is believed, and not its labels: anybody sets those.

        A TrainJob's pods are made by a Job of its JobSet's.
        """
        by_train_job = job.kind is TRAIN_JOBS
        pods = (pod for pod in self.pods.values() if pod.job == job.name and (by_train_job or pod.job_uid == job.uid))
        return sorted(pods, key=lambda pod: (pod.ended, pod.name))

    def pods_of_model(self, service: ServiceRecord) -> list[PodRecord]:
        """A model's pods."""
        return [pod for pod in self.pods.values() if pod.model == service.model]


def without_pods(snapshot: Snapshot, now: float) -> list[JobRecord]:
    """Jobs that should have pods by now and have none: whoever creates them may be refused."""
    at_work = {pod.job for pod in snapshot.pods.values() if pod.unfinished}
    return [
        job
        for job in snapshot.jobs.values()
        if not (job.terminal or job.suspended or job.deleting or job.name in at_work)
        and now - job.created >= PATIENCE_SECONDS
    ]


def held_by_queues(snapshot: Snapshot, now: float) -> list[str]:
    """Uids of the Jobs and pods that queues have held for a while, the oldest first."""
    waiting = (job for job in snapshot.jobs.values() if job.suspended and job.queued)
    jobs = [(job.created, job.uid) for job in waiting if not (job.terminal or job.deleting)]
    pods = [
        (pod.created, pod.uid)
        for pod in snapshot.pods.values()
        if pod.diagnosis is not None and pod.diagnosis.reason == QUEUED and not pod.deleting
    ]
    return [uid for created, uid in sorted([*jobs, *pods]) if uid and now - created >= PATIENCE_SECONDS]


def pods_missing_since(snapshot: Snapshot, job: JobRecord) -> float:
    """From when on a Job without pods has had none: what was refused before its last pod counts no more."""
    return max((job.created, *(pod.created for pod in snapshot.pods_of(job))))


def models_without_pods(snapshot: Snapshot, now: float) -> list[ServiceRecord]:
    """Models that should have pods by now and have none: what makes them for KServe, or KServe, may be refused."""
    with_pods = {pod.model for pod in snapshot.pods.values() if not pod.deleting}
    return [
        service
        for service in snapshot.services.values()
        if not (service.stopped or service.ready or service.deleting or service.model in with_pods)
        and now - service.started >= PATIENCE_SECONDS
    ]


def failed_before(snapshot: Snapshot) -> bool:
    """Whether the failure that the status reports is of an older manifest: an edit begins a new attempt.

    What failed then is cleared away before anything else.
    """
    failed = find_true(snapshot.status.conditions, FAILED)
    return failed is not None and failed.observed_generation != snapshot.tournament.metadata.generation


def failed_children(snapshot: Snapshot) -> tuple[list[JobRecord], list[ServiceRecord]]:
    """What an older manifest's failure left: Jobs that failed, and models that were to be up."""
    jobs = [job for job in snapshot.jobs.values() if job.terminal in ("Failed", "FailureTarget")]
    return jobs, [service for service in snapshot.services.values() if not service.stopped]


def stale_jobs(snapshot: Snapshot) -> list[JobRecord]:
    """Jobs of an older manifest."""
    versions = {bundle.name: bundle.version for bundle in snapshot.graph.bundles} | {PREFLIGHT: snapshot.preflight}
    return [job for job in snapshot.jobs.values() if versions.get(job.bundle) != job.version and not job.deleting]


def stale_services(snapshot: Snapshot) -> list[ServiceRecord]:
    """Models that the manifest does not name any more, or that another kind of object is to serve."""
    wanted = {name: one.serving_or_default.kind for name, one in participants(snapshot.tournament).items()}
    return [
        service
        for service in snapshot.services.values()
        if wanted.get(service.model) != service.kind.kind and not service.deleting
    ]
