"""What runs beside a worker, in its pod: other people's programs and software, without a key, a task or a role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiltyard.api import Tournament
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.pods import (
    CONTAINER_SECURITY,
    NOBODY,
    WORKER_LIMITS,
    WORKER_REQUESTS,
    container_fields,
    resource_fields,
)
from tiltyard.render.tasks import engine_of, environment_of, runs_programs
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.stores import STORES
from tiltyard_jobs.contracts.tasks import BundleTask

PROGRAMS_FOLDER, HARNESS_FOLDER = "/programs", "/harness"
SHARED = {"programs": "TILTYARD_SANDBOX", "harness": "TILTYARD_LM_EVAL"}
"""Volumes that the worker shares with these containers, and the variables in which it finds their folders."""


def containers_beside(
    tournament: Tournament, task: BundleTask | PreflightTask, settings: ClusterSettings
) -> list[dict[str, Any]]:
    """The init containers of a worker's pod. The first mount of each is the volume that it shares with the worker."""
    return [*_sandbox(tournament, task, settings), *_harness(tournament, task, settings)]


def _sandbox(
    tournament: Tournament, task: BundleTask | PreflightTask, settings: ClusterSettings
) -> list[dict[str, Any]]:
    """What runs the programs of models, beside the worker: it has no key, no task and no account.

    Where they need an image of their own, which has no Tiltyard, what runs them is put beside it as one file.
    """
    if not runs_programs(task):
        return []
    jobs = tournament.spec.jobs
    user = (jobs.pod.security_context or {}).get("runAsUser", NOBODY)
    # Most images are root's, or name a user without a number: a pod that must not be root's refuses both.
    given = {} if settings.children.assigned_users else {"runAsUser": user, "runAsGroup": user}
    common = {
        "resources": resource_fields(jobs.resources, requests=WORKER_REQUESTS, limits=WORKER_LIMITS),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "programs", "mountPath": PROGRAMS_FOLDER},
            {"name": "tmp", "mountPath": "/tmp", "subPath": "sandbox"},  # noqa: S108
        ],
    }
    sidecar = {"name": "sandbox", "restartPolicy": "Always", **common}  # it ends with the worker
    ours = {"image": settings.worker_image, "imagePullPolicy": settings.pull_policy}
    environment = environment_of(tournament, task)
    if environment is None:
        return [{**sidecar, **ours, "command": ["python", "-m", "tiltyard_jobs.sandbox", PROGRAMS_FOLDER]}]
    file = f"{PROGRAMS_FOLDER}/sandbox.pyz"
    command = [environment.python, "-I", file, "tiltyard_jobs.sandbox", PROGRAMS_FOLDER]
    return [
        {"name": "sandbox-file", **ours, **common, "command": ["python", "-m", "tiltyard_jobs.sandbox.archive", file]},
        {
            **sidecar,
            "image": environment.image,
            "command": command,
            "securityContext": {**CONTAINER_SECURITY, **given},
        },
    ]


def _harness(
    tournament: Tournament, task: BundleTask | PreflightTask, settings: ClusterSettings
) -> Iterator[dict[str, Any]]:
    """What runs lm-evaluation-harness: it has what the manifest gives to workers, and no key of bucket or endpoint."""
    if engine_of(task) != "LmEval":
        return
    jobs = tournament.spec.jobs
    own, image = container_fields(jobs.pod), settings.lm_eval_image or settings.worker_image
    secrets = {name for facts in STORES.values() for name in facts.credentials}
    mounts = [
        {"name": "harness", "mountPath": HARNESS_FOLDER},
        {"name": "tmp", "mountPath": "/tmp", "subPath": "lm-eval"},  # noqa: S108
    ]
    yield {
        "name": "lm-eval",
        "restartPolicy": "Always",  # it ends with the worker
        "image": image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["python", "-m", "tiltyard_jobs.evaluation.beside", HARNESS_FOLDER],
        "env": [
            {"name": "TILTYARD_IMAGE", "value": image},
            *(variable for variable in own.get("env", []) if variable["name"] not in secrets),
        ],
        "resources": resource_fields(jobs.resources, requests=WORKER_REQUESTS, limits=WORKER_LIMITS),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [*mounts, *own.get("volumeMounts", [])],
    }
