"""A bundle as an Indexed Job and the immutable ConfigMap of its task."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator
from typing import Any

from tiltyard.api import Bucket, Jobs, KeyReference, Tournament, Training, secret_variable
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.participants import UsedEndpoint, used_endpoints
from tiltyard.plan.planner import JobOrder
from tiltyard.render.beside import SHARED, containers_beside
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.names import (
    BUNDLE,
    GENERATION,
    MAX_TIME,
    MIN_PARALLELISM,
    PARTS,
    PRIORITY,
    STAGE,
    VERSION,
    child_metadata,
    job_name,
    labels,
    queue_labels,
)
from tiltyard.render.pods import (
    CONTAINER_SECURITY,
    ENDS_WITH_WORKER,
    WORKER_LIMITS,
    WORKER_REQUESTS,
    container_fields,
    pod_fields,
    resource_fields,
    security_of,
    without_role,
)
from tiltyard.render.preflight import preflight_task
from tiltyard.render.tasks import BASE_FOLDER, CA_FILE, ca_path, engine_of, is_asked_by, told_of_lm_eval
from tiltyard.render.weights import hub_variables, secret_env, tokens_of
from tiltyard_jobs.contracts.exit_codes import FINAL, ExitCode
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.progress import ADDRESS_VARIABLE, PORT
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.summary import pack_bits, unpack_bits
from tiltyard_jobs.contracts.tasks import BundleTask, Part, StoreRef

PREFLIGHT = "preflight"
"""The bundle name of the first Job of a run."""

TASK_FOLDER, CA_FOLDER = "/etc/tiltyard", "/etc/tiltyard-ca"
TASK_KEY = "task.json"
READABLE_BYTES = 512 * 1024  # a ConfigMap holds 1 MiB
TRAINER_LIMITS_A_GPU = (16, 64)  # CPUs, GiB
GRACE_SECONDS = 60  # to flush what is written and to upload the journal

# What is neither ignored nor final is tried again.
FAILURE_POLICY: dict[str, Any] = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "worker", "operator": "In", "values": sorted(FINAL)}},
        {
            "action": "Ignore",
            "onExitCodes": {"containerName": "worker", "operator": "In", "values": [int(ExitCode.STOPPED)]},
        },
    ]
}


def store_ref(tournament: Tournament) -> StoreRef:
    """The bucket, as a worker in a pod sees it."""
    bucket = bucket_of(tournament)
    return bucket.to_ref(f"{CA_FOLDER}/{bucket.ca_bundle_ref.key}" if bucket.ca_bundle_ref else None)


def parts_annotation(bundle: Bundle, indices: Iterable[Iterable[Part]]) -> str:
    """Which parts of a bundle a Job makes, for `indices_of`."""
    wanted = {(part.recipe, part.shard) for index in indices for part in index}
    return pack_bits(place in wanted for place in _places(bundle))


def indices_of(bundle: Bundle, annotation: str) -> tuple[tuple[Part, ...], ...]:
    """The parts that each index of a Job makes.

    Raises:
        ValueError: the annotation is not of this bundle.
    """
    places = list(_places(bundle))
    bits = unpack_bits(annotation, len(places))
    there: dict[str, set[int]] = {}
    for (recipe, shard), wanted in zip(places, bits, strict=True):
        if not wanted:
            there.setdefault(bundle.makes[recipe].key, set()).add(shard)
    return bundle.missing({key: frozenset(shards) for key, shards in there.items()})


def cluster_preflight_task(tournament: Tournament, graph: Graph) -> PreflightTask:
    """What preflight in a pod looks at: on a cluster a secret that is missing is told by the Secret's name."""
    task = preflight_task(tournament, graph, store_ref(tournament))
    places = {
        variable: f"the key {reference.key} of the Secret {reference.name} in this namespace"
        for variable, reference in (_secrets_of(used_endpoints(tournament)) | tokens_of(tournament)).items()
    }
    secrets = dict(task.secrets)
    bucket = bucket_of(tournament)
    if bucket.secret_ref is not None:
        for variable in bucket.facts.required:
            secrets[f"{bucket.FIELD}.secretRef ({variable})"] = variable
            places[variable] = f"the key {variable} of the Secret {bucket.secret_ref.name} in this namespace"
    return task.model_copy(update={"secrets": secrets, "secret_places": places})


def preflight_objects(
    tournament: Tournament, task: PreflightTask, settings: ClusterSettings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Preflight's ConfigMap and Job: the one pod that holds every secret of the manifest."""
    asked = tuple(used_endpoints(tournament))
    version = preflight_version(task)
    spec = {"backoffLimit": 3}
    annotations = {BUNDLE: PREFLIGHT, VERSION: version}
    return _objects(tournament, PREFLIGHT, version, task, asked, settings, annotations, spec)


def preflight_version(task: PreflightTask) -> str:
    """A digest of all that preflight looks at."""
    return digest(task.model_dump_json().encode())[:12]


def bundle_objects(
    tournament: Tournament, order: JobOrder, task: BundleTask, settings: ClusterSettings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A bundle's ConfigMap and Job."""
    bundle = order.bundle
    jobs = tournament.spec.jobs
    annotations = {
        BUNDLE: bundle.name,
        VERSION: bundle.version,
        PARTS: parts_annotation(bundle, order.indices),
    }
    spec = {
        "completionMode": "Indexed",
        "completions": len(order.indices),
        "parallelism": parallelism(tournament, len(order.indices)),
        "backoffLimitPerIndex": jobs.backoff_limit_per_shard,
        "maxFailedIndexes": 0,  # a bundle that lacks a shard is of no use: the rest can wait
    }
    asked = tuple(used for used in used_endpoints(tournament) if is_asked_by(used, bundle))
    return _objects(tournament, bundle.name, bundle.version, task, asked, settings, annotations, spec)


def parallelism(tournament: Tournament, completions: int) -> int:
    """Pods of one Job at once; it may be changed while the Job runs."""
    return min(tournament.spec.jobs.parallelism, completions)


def _places(bundle: Bundle) -> Iterator[tuple[int, int]]:
    for recipe, ref in enumerate(bundle.makes):
        for shard in range(ref.shards):
            yield recipe, shard


def bucket_of(tournament: Tournament) -> Bucket:
    """Where a tournament on a cluster keeps its artifacts."""
    assert tournament.spec.output is not None, "a cluster's manifest has a bucket"
    return tournament.spec.output.bucket


def _objects(
    tournament: Tournament,
    bundle: str,
    version: str,
    task: BundleTask | PreflightTask,
    endpoints: tuple[UsedEndpoint, ...],
    settings: ClusterSettings,
    annotations: dict[str, str],
    job_spec: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    name = job_name(tournament.metadata.name, bundle, version)
    copied = settings.children.labels_of(tournament.metadata.labels)
    notes = settings.children.annotations_of(tournament.metadata.annotations)
    own = labels(tournament, "worker", **{STAGE: task.stage})
    its_labels = {**copied, **own}
    queue = queue_labels(tournament, PRIORITY, MAX_TIME)
    job_labels = {**its_labels, **queue}
    if queue and job_spec.get("parallelism", 1) > 1:
        annotations = {**annotations, MIN_PARALLELISM: "1"}
    patch = _asked(tournament, task).pod
    pod_metadata = {
        "labels": {**copied, **patch.labels, **own},
        "annotations": {**ENDS_WITH_WORKER, **notes, **patch.annotations},
    }
    key, data = _task_data(task.model_copy(update=told_of_lm_eval(task, settings.lm_eval_python)))
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(tournament, name, its_labels, notes),
        "immutable": True,
        **data,
    }
    pod = _pod(tournament, name, task, key, endpoints, settings)
    pod_metadata["annotations"] |= without_role(one["name"] for one in pod.get("initContainers", ()))
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(tournament, name, job_labels, {**notes, **annotations, **_generation(tournament)}),
        "spec": {
            **job_spec,
            # With a queue it is the queue's to start the Job.
            **({"suspend": True} if queue else {}),
            "podFailurePolicy": FAILURE_POLICY,
            "template": {"metadata": pod_metadata, "spec": pod},
        },
    }
    return config_map, job


def _generation(tournament: Tournament) -> dict[str, str]:
    """Nothing for a manifest that no cluster has."""
    generation = tournament.metadata.generation
    return {} if generation is None else {GENERATION: str(generation)}


def _task_data(task: BundleTask | PreflightTask) -> tuple[str, dict[str, Any]]:
    """The task's key in its ConfigMap, and the data: as JSON while it is of a size to be read, else compressed."""
    text = task.model_dump_json(by_alias=True).encode()
    if len(text) <= READABLE_BYTES:
        return TASK_KEY, {"data": {TASK_KEY: text.decode()}}
    packed = base64.b64encode(gzip.compress(text, mtime=0)).decode()
    return f"{TASK_KEY}.gz", {"binaryData": {f"{TASK_KEY}.gz": packed}}


def _pod(
    tournament: Tournament,
    name: str,
    task: BundleTask | PreflightTask,
    key: str,
    endpoints: tuple[UsedEndpoint, ...],
    settings: ClusterSettings,
) -> dict[str, Any]:
    bucket, stage = bucket_of(tournament), task.stage
    asked = _asked(tournament, task)
    training = asked if isinstance(asked, Training) else None
    patch = pod_fields(asked.pod)
    own = container_fields(asked.pod)
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
    beside = containers_beside(tournament, task, settings)
    shared = {mount["name"]: mount["mountPath"] for one in beside for mount in one["volumeMounts"][:1]}
    volumes += [{"name": name, "emptyDir": {}} for name in shared]
    mounts += [{"name": name, "mountPath": path} for name, path in shared.items()]
    pull = [*patch.pop("imagePullSecrets", []), *({"name": secret} for secret in settings.pull_secrets)]
    secrets = _secrets_of(endpoints) | (tokens_of(tournament) if isinstance(task, PreflightTask) else {})
    its_own = own.pop("env", [])
    given = {variable["name"] for variable in its_own}
    env = [
        {"name": "TILTYARD_SUMMARY", "value": "/dev/termination-log"},
        {"name": "TILTYARD_WORK_DIR", "value": "/work"},
        {"name": "TILTYARD_IMAGE", "value": _image(task, settings)},
        {"name": ADDRESS_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        *({"name": SHARED[name], "value": path} for name, path in shared.items()),
        *(secret_env(variable, reference) for variable, reference in sorted(secrets.items())),
        *bucket_env(bucket),
        *(one for one in (hub_variables(training.base_model) if training else ()) if one["name"] not in given),
        *its_own,
    ]
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
                "command": ["python", "-m", "tiltyard_jobs", stage, "--task", f"{TASK_FOLDER}/{key}"],
                "env": env,
                "ports": [{"name": "progress", "containerPort": PORT, "protocol": "TCP"}],
                "resources": _resources(asked),
                "securityContext": CONTAINER_SECURITY,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [*mounts, *own.get("volumeMounts", [])],
            }
        ],
    }


def _asked(tournament: Tournament, task: BundleTask | PreflightTask) -> Jobs | Training:
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


def _secrets_of(asked: Iterable[UsedEndpoint]) -> dict[str, KeyReference]:
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
