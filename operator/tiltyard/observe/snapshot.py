"""A Tournament and its children at one moment, and which of the children belong to an older manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiltyard.api import Tournament, TournamentStatus
from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord
from tiltyard.plan.graph import Graph
from tiltyard.render.jobs import PREFLIGHT
from tiltyard.status.conditions import FAILED, find_true


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
    """

    tournament: Tournament
    status: TournamentStatus
    graph: Graph
    preflight: str
    jobs: Mapping[str, JobRecord]
    pods: Mapping[str, PodRecord]
    services: Mapping[str, ServiceRecord]

    def pods_of(self, job: JobRecord) -> list[PodRecord]:
        """A Job's pods, the latest to end last."""
        return sorted((pod for pod in self.pods.values() if pod.job == job.name), key=lambda pod: (pod.ended, pod.name))


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
    """Models that the manifest does not name any more."""
    names = snapshot.graph.model
    return [service for service in snapshot.services.values() if service.model not in names and not service.deleting]
