"""What Prometheus reads. Labels never hold a tournament's texts, and never grow with its records."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord, TournamentRecord
from tiltyard.plan.observed import ModelPhase

# How things stand: counted from the operator's memory at each scrape.
TOURNAMENTS = Gauge("tiltyard_tournaments", "Tournaments by phase.", ["phase"])
MODELS = Gauge("tiltyard_models", "Models served for tournaments, by state.", ["state"])
JOBS_ACTIVE = Gauge("tiltyard_jobs_active", "Jobs of tournaments with a running pod.")
WATCHED = Gauge("tiltyard_watched_objects", "Objects in memory, by resource.", ["resource"])
LEADER = Gauge("tiltyard_leader", "1 where this operator works, 0 where it stands by.")
QUEUE = Gauge("tiltyard_queue", "Tournaments that wait to be reconciled.")

# What the operator has done.
MODEL_LOADS = Counter("tiltyard_model_loads", "Times that a model was started.")
JOBS_STARTED = Counter("tiltyard_jobs_started", "Jobs that were started, by stage.", ["stage"])
RECONCILE_SECONDS = Histogram(
    "tiltyard_reconcile_seconds",
    "Duration of one reconciliation of a tournament, including its requests.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
RECONCILE_ERRORS = Counter("tiltyard_reconcile_errors", "Reconciliations and plans that failed and are retried.")
STATUS_DELAY_SECONDS = Histogram(
    "tiltyard_status_delay_seconds",
    "From the arrival of a change to the status that shows it.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
API_REQUESTS = Counter(
    "tiltyard_api_requests", "Requests to the API server by verb, resource and status.", ["verb", "resource", "code"]
)
RELISTS = Counter("tiltyard_relists", "Times that all objects of a resource were listed again.", ["resource"])


def count_objects(
    tournaments: Iterable[TournamentRecord],
    jobs: Iterable[JobRecord],
    services: Iterable[ServiceRecord],
    pods: Iterable[PodRecord],
) -> None:
    """Set the gauges that count tournaments, models and Jobs, from all that is watched.

    A tournament that has no status yet counts as Pending. Models are counted by their objects and not by the status: a
    complete tournament's status is not written again when the last pod of a model is gone.
    """
    _set(TOURNAMENTS, Count(record.document.get("status", {}).get("phase", "Pending") for record in tournaments))
    with_pods = {(pod.owner, pod.model) for pod in pods}
    _set(MODELS, Count(_phase(service, (service.owner, service.model) in with_pods) for service in services))
    JOBS_ACTIVE.set(sum(job.active > 0 and not job.terminal for job in jobs))


def _phase(service: ServiceRecord, has_pods: bool) -> ModelPhase:
    """As in the status, but that a model which is late is Starting as long as it is not stopped."""
    if service.stopped or service.deleting:
        return ModelPhase.STOPPING if has_pods else ModelPhase.STOPPED
    return ModelPhase.READY if service.ready else ModelPhase.STARTING


def _set(gauge: Gauge, counts: Count[str]) -> None:
    """Set a gauge of one label; what is not counted any more is dropped."""
    gauge.clear()
    for label, count in counts.items():
        gauge.labels(label).set(count)
