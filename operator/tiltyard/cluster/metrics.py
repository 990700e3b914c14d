"""What Prometheus is told. Labels never name a tournament's texts, and never grow with its records."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TOURNAMENTS = Gauge("tiltyard_tournaments", "Tournaments by phase.", ["phase"])
MODELS = Gauge("tiltyard_models", "Models served for tournaments, by state.", ["state"])
JOBS_ACTIVE = Gauge("tiltyard_jobs_active", "Jobs of tournaments that are at work.")
MODEL_LOADS = Counter("tiltyard_model_loads", "Times that a model was started.")
JOBS_STARTED = Counter("tiltyard_jobs_started", "Jobs that were started, by stage.", ["stage"])

RECONCILE_SECONDS = Histogram(
    "tiltyard_reconcile_seconds",
    "Time of one look at a tournament, its calls included.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
RECONCILE_ERRORS = Counter("tiltyard_reconcile_errors", "Looks that failed and are tried again.")
STATUS_DELAY_SECONDS = Histogram(
    "tiltyard_status_delay_seconds",
    "From the arrival of a change to the end of the look that took it in, status written.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
QUEUE = Gauge("tiltyard_queue", "Tournaments that wait for a look.")
API_REQUESTS = Counter(
    "tiltyard_api_requests", "Calls of the API server by verb, resource and status.", ["verb", "resource", "code"]
)
WATCHED = Gauge("tiltyard_watched_objects", "Objects in memory, by resource.", ["resource"])
RELISTS = Counter("tiltyard_relists", "Times that all objects of a resource were listed anew.", ["resource"])
