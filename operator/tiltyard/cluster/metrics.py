"""What Prometheus reads. Labels never hold a tournament's texts, and never grow with its records."""

from __future__ import annotations

import platform
from collections import Counter as Count
from collections.abc import Collection, Iterable
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from tiltyard.api import TournamentStatus, UsageStatus
from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord, TournamentRecord
from tiltyard.plan.observed import ModelPhase, Wait
from tiltyard.release import release
from tiltyard.status.conditions import COMPLETE, CONDITIONS, FAILED, find_true
from tiltyard_jobs.contracts.recipe import Phase

# The texts below are Prometheus' HELP, and the table in docs/cluster.md, which `hack/generate_tables.py` makes of them.
BUILD_INFO = Gauge("tiltyard_build_info", "1; the operator's release and its Python.", ["version", "python"])

# Tournaments.
TOURNAMENTS = Gauge("tiltyard_tournaments", "Tournaments by `status.phase`; `Pending` before there is one.", ["phase"])
TOURNAMENT_CONDITIONS = Gauge(
    "tiltyard_tournament_conditions", "Tournaments by the status of each of their conditions.", ["type", "status"]
)
FINISHED = Counter(
    "tiltyard_tournaments_finished",
    "Tournaments that have ended since the operator's start: `Complete` or `Failed`.",
    ["outcome"],
)
WAITS = Gauge("tiltyard_waits", "Models, Jobs and preflights that wait, by the reasons of `Waiting`.", ["reason"])
REFUSALS = Counter(
    "tiltyard_refusals",
    "Attempts to start, change or stop something that the API server has refused, by HTTP status.",
    ["code"],
)

# Models, Jobs and pods.
MODELS = Gauge(
    "tiltyard_models",
    "Models of all Tournaments: `Starting`, `Ready`, `Stopping`, `Stopped`; all but the last use resources of nodes.",
    ["state"],
)
MODEL_SECONDS = Counter(
    "tiltyard_model_seconds",
    "Time that models have held resources: `Starting`, `Busy` (a running worker asks it), `Idle` (ready, and no worker"
    " asks it) or `Stopping`; for a model with replicas, the time of one.",
    ["activity"],
)
MODEL_LOADS = Counter("tiltyard_model_loads", "Starts of models; each costs minutes of GPU time.")
PODS = Gauge("tiltyard_pods", "Pods of a `Model` or of a `Worker`, by their phase.", ["runs", "phase"])
JOBS_ACTIVE = Gauge("tiltyard_jobs_active", "Jobs with a running pod.")
JOBS_STARTED = Counter("tiltyard_jobs_started", "Jobs that were started.", ["stage"])

# What models were asked.
PROMPT_TOKENS = Counter("tiltyard_prompt_tokens", "Prompt tokens, as `status.usage` counts them.")
CACHED_TOKENS = Counter("tiltyard_cached_prompt_tokens", "Prompt tokens found in a prefix cache.")
COMPLETION_TOKENS = Counter("tiltyard_completion_tokens", "Tokens that models have generated.")
VOIDS = Counter("tiltyard_voids", "Records that could not be made, as `status.stages` counts them.", ["phase"])

# The operator itself.
STATUS_DELAY_SECONDS = Histogram(
    "tiltyard_status_delay_seconds",
    "Time from the arrival of a change to the status that shows it.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
LEADER = Gauge("tiltyard_leader", "1 on the active replica, 0 on one that stands by.")
QUEUE = Gauge("tiltyard_queue", "Tournaments that wait to be reconciled; it should return to 0.")
RECONCILE_SECONDS = Histogram(
    "tiltyard_reconcile_seconds",
    "Duration of one reconciliation, including its requests.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
RECONCILE_ERRORS = Counter(
    "tiltyard_reconcile_errors", "Reconciliations and plans that failed and are retried; the log has the reason."
)
PROGRESS_REQUESTS = Counter(
    "tiltyard_progress_requests",
    "Requests to workers for their progress: `Answered`, `Unanswered`, or `Invalid` where the answer could not be read"
    " as a progress report.",
    ["outcome"],
)
API_REQUESTS = Counter(
    "tiltyard_api_requests",
    'Requests to the API server; `code="403"` means that a right is missing.',
    ["verb", "resource", "code"],
)
WATCHED = Gauge("tiltyard_watched_objects", "Objects in the operator's memory.", ["resource"])
RELISTS = Counter("tiltyard_relists", "Times that all objects of a resource were listed again.", ["resource"])
WATCH_FAILURES = Counter(
    "tiltyard_watch_failures",
    "Times that a watch failed and was retried; the log has the reason and the namespace.",
    ["resource"],
)

BUSY, IDLE = "Busy", "Idle"
ACTIVITIES = (ModelPhase.STARTING.value, BUSY, IDLE, ModelPhase.STOPPING.value)
OUTCOMES = (COMPLETE, FAILED)
ANSWERED, UNANSWERED, INVALID = "Answered", "Unanswered", "Invalid"  # outcomes of a request for progress


def begin() -> None:
    """At the start of an operator: what it is, and a zero for each label that is known, so that rates see the first."""
    BUILD_INFO.labels(release() or "unknown", platform.python_version()).set(1)
    requests = (PROGRESS_REQUESTS, (ANSWERED, UNANSWERED, INVALID))
    for counter, labels in ((FINISHED, OUTCOMES), (VOIDS, get_args(Phase)), (MODEL_SECONDS, ACTIVITIES), requests):
        for label in labels:
            counter.labels(label)


def count_objects(
    tournaments: Iterable[TournamentRecord],
    jobs: Iterable[JobRecord],
    services: Iterable[ServiceRecord],
    pods: Iterable[PodRecord],
) -> None:
    """Set the gauges that count tournaments, models, Jobs and pods, from all that is watched.

    A tournament that has no status yet counts as Pending. Models are counted by their objects and not by the status: a
    complete tournament's status is not written again when the last pod of a model is gone.
    """
    statuses = [record.document.get("status", {}) for record in tournaments]
    _set(TOURNAMENTS, Count((status.get("phase", "Pending"),) for status in statuses))
    conditions = (one for status in statuses for one in status.get("conditions", ()))
    known = ((one["type"], one["status"]) for one in conditions if one["type"] in CONDITIONS)
    _set(TOURNAMENT_CONDITIONS, Count(known))
    pods = list(pods)
    with_pods = {(pod.owner, pod.model) for pod in pods}
    _set(MODELS, Count((_phase(service, (service.owner, service.model) in with_pods),) for service in services))
    JOBS_ACTIVE.set(sum(job.active > 0 and not job.terminal for job in jobs))
    _set(PODS, Count(("Model" if pod.model else "Worker", pod.phase) for pod in pods))


def count_waits(waits: Iterable[Wait]) -> None:
    """Set the gauge of what waits."""
    _set(WAITS, Count((wait.reason.value,) for wait in waits))


def count_watched(resources: Iterable[tuple[str, int]]) -> None:
    """Set the gauge of the objects in memory; a resource is given once for each namespace."""
    counts: Count[tuple[str, ...]] = Count()
    for resource, objects in resources:
        counts[resource,] += objects
    _set(WATCHED, counts)


def add_model_seconds(
    seconds: float, services: Iterable[ServiceRecord], pods: Collection[PodRecord], busy: Collection[tuple[str, str]]
) -> None:
    """Count time that has passed for each model that holds resources.

    Args:
        seconds: since the last call.
        services: all models.
        pods: all pods.
        busy: owner and name of each model that a running worker asks.
    """
    with_pods = {(pod.owner, pod.model) for pod in pods}
    for service in services:
        key = (service.owner, service.model)
        phase = _phase(service, key in with_pods)
        if phase is ModelPhase.READY:
            MODEL_SECONDS.labels(BUSY if key in busy else IDLE).inc(seconds)
        elif phase is not ModelPhase.STOPPED:
            MODEL_SECONDS.labels(phase.value).inc(seconds)


def count_progress(before: TournamentStatus, after: TournamentStatus) -> None:
    """Count what a status that was written says and the one before did not: so a restart counts nothing twice.

    An edit of a manifest may leave less than there was; that is not taken back.
    """
    for outcome in OUTCOMES:
        if find_true(after.conditions, outcome) and not find_true(before.conditions, outcome):
            FINISHED.labels(outcome).inc()
    old, new = before.usage or UsageStatus(), after.usage or UsageStatus()
    PROMPT_TOKENS.inc(max(0, new.prompt_tokens - old.prompt_tokens))
    CACHED_TOKENS.inc(max(0, new.cached_tokens - old.cached_tokens))
    COMPLETION_TOKENS.inc(max(0, new.completion_tokens - old.completion_tokens))
    voids = {stage.name: stage.void for stage in before.stages}
    for stage in after.stages:
        VOIDS.labels(stage.name).inc(max(0, stage.void - voids.get(stage.name, 0)))


def _phase(service: ServiceRecord, has_pods: bool) -> ModelPhase:
    """As in the status, but that a model which is late is Starting as long as it is not stopped."""
    if service.stopped or service.deleting:
        return ModelPhase.STOPPING if has_pods else ModelPhase.STOPPED
    return ModelPhase.READY if service.ready else ModelPhase.STARTING


def _set(gauge: Gauge, counts: Count[tuple[str, ...]]) -> None:
    """Set a gauge by its labels; what is not counted any more is dropped."""
    gauge.clear()
    for labels, count in counts.items():
        gauge.labels(*labels).set(count)
