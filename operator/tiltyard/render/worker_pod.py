"""The pod of a worker: its volumes, its environment, and what the bucket and endpoints need of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tiltyard.api import Bucket, Jobs, KeyReference, Tournament, Training, secret_variable
from tiltyard.plan.participants import UsedEndpoint
from tiltyard.render.beside import SHARED, containers_beside
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.pods import (
    CONTAINER_SECURITY,
    WORKER_LIMITS,
    WORKER_REQUESTS,
    container_fields,
    pod_fields,
    resource_fields,
    security_of,
)
from tiltyard.render.tasks import BASE_FOLDER, CA_FILE, ca_path, engine_of
from tiltyard.render.weights import hub_variables, secret_env, tokens_of
from tiltyard_jobs.contracts.logs import NAMESPACE_VARIABLE
from tiltyard_jobs.contracts.progress import ADDRESS_VARIABLE, PORT
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.tasks import BundleTask, StoreRef

TASK_FOLDER, CA_FOLDER = "/etc/tiltyard", "/etc/tiltyard-ca"
TRAINER_LIMITS_A_GPU = (16, 64)  # CPUs, GiB
GRACE_SECONDS = 60  # to flush what is written and to upload the journal


def bucket_of(tournament: Tournament) -> Bucket:
    """Where a tournament on a cluster keeps its artifacts."""
    assert tournament.spec.output is not None, "a cluster's manifest has a bucket"
    return tournament.spec.output.bucket


def store_ref(tournament: Tournament) -> StoreRef:
    """The bucket, as a worker in a pod sees it."""
    bucket = bucket_of(tournament)
    return bucket.to_ref(f"{CA_FOLDER}/{bucket.ca_bundle_ref.key}" if bucket.ca_bundle_ref else None)


def worker_pod(
    tournament: Tournament,
    name: str,
    task: BundleTask | PreflightTask,
    key: str,
    endpoints: tuple[UsedEndpoint, ...],
    settings: ClusterSettings,
) -> dict[str, Any]:
    """The pod's spec.

    Args:
        tournament: the manifest.
        name: of the ConfigMap with the task.
        task: what the worker is told.
        key: of the task in the ConfigMap.
        endpoints: what the task asks, with their secrets and authorities.
        settings: of the cluster.
    """
    bucket, asked = bucket_of(tournament), asked_by(tournament, task)
    patch, own = pod_fields(asked.pod), container_fields(asked.pod)
    beside = containers_beside(tournament, task, settings)
    shared = {mount["name"]: mount["mountPath"] for one in beside for mount in one["volumeMounts"][:1]}
    training = asked if isinstance(asked, Training) else None
    volumes, mounts = _volumes(name, bucket, endpoints, training, shared)
    secrets = secrets_of(endpoints) | (tokens_of(tournament) if isinstance(task, PreflightTask) else {})
    its_own = own.pop("env", [])
    given = {variable["name"] for variable in its_own}
    env = [
        {"name": "TILTYARD_SUMMARY", "value": "/dev/termination-log"},
        {"name": "TILTYARD_WORK_DIR", "value": "/work"},
        {"name": "TILTYARD_IMAGE", "value": _image(task, settings)},
        {"name": ADDRESS_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": NAMESPACE_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        *({"name": SHARED[name], "value": path} for name, path in shared.items()),
        *(secret_env(variable, reference) for variable, reference in sorted(secrets.items())),
        *bucket_env(bucket),
        *(one for one in (hub_variables(training.base_model) if training else ()) if one["name"] not in given),
        *its_own,
    ]
    pull = [*patch.pop("imagePullSecrets", []), *({"name": secret} for secret in settings.pull_secrets)]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **({"serviceAccountName": bucket.service_account_name} if bucket.service_account_name else {}),
        **patch,
        "securityContext": security_of(asked.pod),
        **({"imagePullSecrets": pull} if pull else {}),
        "volumes": [*volumes, *patch.get("volumes", [])],
        **({"initContainers": beside} if beside else {}),
        "containers": [
            {
                "name": "worker",
                "image": _image(task, settings),
                "imagePullPolicy": settings.pull_policy,
                "command": ["python", "-m", "tiltyard_jobs", task.stage, "--task", f"{TASK_FOLDER}/{key}"],
                "env": env,
                "ports": [{"name": "progress", "containerPort": PORT, "protocol": "TCP"}],
                "resources": _resources(asked),
                "securityContext": CONTAINER_SECURITY,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [*mounts, *own.get("volumeMounts", [])],
            }
        ],
    }


def _volumes(
    name: str,
    bucket: Bucket,
    endpoints: tuple[UsedEndpoint, ...],
    training: Training | None,
    shared: Mapping[str, str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The pod's volumes, and the worker's mounts of them.

    Args:
        name: of the ConfigMap with the task.
        bucket: its authority is mounted.
        endpoints: likewise.
        training: if the worker trains.
        shared: volumes that it has in common with containers beside it, and where each is mounted.
    """
    volumes: list[dict[str, Any]] = [
        {"name": "task", "configMap": {"name": name}},
        {"name": "work", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "task", "mountPath": TASK_FOLDER, "readOnly": True},
        {"name": "work", "mountPath": "/work"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    if bucket.ca_bundle_ref is not None:
        volumes.append({"name": "ca", "configMap": {"name": bucket.ca_bundle_ref.name}})
        mounts.append({"name": "ca", "mountPath": CA_FOLDER, "readOnly": True})
    their_volumes, their_mounts = _authorities_of(endpoints)
    volumes += their_volumes
    mounts += their_mounts
    if training is not None:
        _add_training(training, volumes, mounts)
    volumes += [{"name": name, "emptyDir": {}} for name in shared]
    mounts += [{"name": name, "mountPath": path} for name, path in shared.items()]
    return volumes, mounts


def asked_by(tournament: Tournament, task: BundleTask | PreflightTask) -> Jobs | Training:
    """The part of the manifest that says what a task's pods are like."""
    training = tournament.spec.training if engine_of(task) == "Trl" else None
    return training or tournament.spec.jobs


def _resources(asked: Jobs | Training) -> dict[str, Any]:
    limits = WORKER_LIMITS
    if isinstance(asked, Training):
        cpus, memory = (amount * max(1, asked.gpus) for amount in TRAINER_LIMITS_A_GPU)
        limits = {"cpu": str(cpus), "memory": f"{memory}Gi"}
    return resource_fields(asked.resources, asked.pod, requests=WORKER_REQUESTS, limits=limits)


def _image(task: BundleTask | PreflightTask, settings: ClusterSettings) -> str:
    """The worker's image, or the one that has what a task needs besides."""
    return (settings.trainer_image if engine_of(task) == "Trl" else "") or settings.worker_image


def _add_training(training: Training, volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> None:
    """Shared memory for processes that train together, and the claim that holds the base model."""
    volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
    mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    scheme, _, place = training.base_model.source.partition("://")
    if scheme == "pvc":
        claim = {"claimName": place.partition("/")[0], "readOnly": True}
        volumes.append({"name": "base", "persistentVolumeClaim": claim})
        mounts.append({"name": "base", "mountPath": BASE_FOLDER, "readOnly": True})


def bucket_env(bucket: Bucket) -> Iterator[dict[str, Any]]:
    """The bucket's credentials; the store's own client finds those of a service account by itself."""
    if bucket.secret_ref is not None:
        for variable in bucket.facts.credentials:
            yield secret_env(variable, KeyReference(name=bucket.secret_ref.name, key=variable))


def secrets_of(asked: Iterable[UsedEndpoint]) -> dict[str, KeyReference]:
    """The secrets of endpoints, by variable."""
    return {secret_variable(reference): reference for used in asked for _, reference in used.secrets}


def _authorities_of(asked: Iterable[UsedEndpoint]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes with the certificates by which endpoints are checked, and their mounts.

    They are optional as secrets are: a missing one is a worker's sentence.
    """
    sources = {}
    for bundle in (used.ca_bundle for used in asked):
        if bundle is None:
            continue
        reference = bundle.config_map_ref or bundle.secret_ref
        assert reference is not None, "a cluster's manifest names an object"
        items = {"items": [{"key": reference.key, "path": CA_FILE}], "optional": True}
        sources[ca_path(bundle)] = (
            {"configMap": {"name": reference.name, **items}}
            if bundle.config_map_ref
            else {"secret": {"secretName": reference.name, **items}}
        )
    names = {path: f"endpoint-ca-{place}" for place, path in enumerate(sorted(sources))}
    volumes = [{"name": names[path], **sources[path]} for path in names]
    return volumes, [
        {"name": name, "mountPath": path.rpartition("/")[0], "readOnly": True} for path, name in names.items()
    ]
