"""A bundle as an Indexed Job and the immutable ConfigMap of its task."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator
from typing import Any

from tiltyard.api import Tournament
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.participants import UsedEndpoint, used_endpoints
from tiltyard.plan.planner import JobOrder
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
    ENDS_WITH_WORKER,
    without_role,
)
from tiltyard.render.preflight import preflight_task
from tiltyard.render.tasks import is_asked_by, told_of_lm_eval
from tiltyard.render.weights import tokens_of
from tiltyard.render.worker_pod import asked_by, bucket_of, secrets_of, store_ref, worker_pod
from tiltyard_jobs.contracts.exit_codes import FINAL, ExitCode
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.summary import pack_bits, unpack_bits
from tiltyard_jobs.contracts.tasks import BundleTask, Part

PREFLIGHT = "preflight"
"""The bundle name of the first Job of a run."""

TASK_KEY = "task.json"
READABLE_BYTES = 512 * 1024  # a ConfigMap holds 1 MiB

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
        for variable, reference in (secrets_of(used_endpoints(tournament)) | tokens_of(tournament)).items()
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
    patch = asked_by(tournament, task).pod
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
    pod = worker_pod(tournament, name, task, key, endpoints, settings)
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
