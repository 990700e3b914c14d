"""A model as a KServe InferenceService, in Standard mode; `llm.py` has what is different of an LLMInferenceService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiltyard.api import INFERENCE_SERVICE_SCHEME, LLM, Endpoint, Participant, Resources, Tournament
from tiltyard.plan.graph import ModelNode
from tiltyard.plan.participants import participants, used_endpoints
from tiltyard.render import llm
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import TASK_KEY
from tiltyard.render.names import (
    CLUSTER_LOCAL,
    LOADS,
    MODEL,
    PRIORITY,
    STARTED,
    STOP,
    VERSION,
    child_metadata,
    labels,
    queue_labels,
    service_name,
)
from tiltyard.render.pods import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    container_fields,
    pod_fields,
    resource_fields,
    security_of,
    without_role,
)
from tiltyard.render.weights import bring_weights, notes_of, storage_uri
from tiltyard.render.worker_pod import CA_FOLDER, TASK_FOLDER, bucket_env, bucket_of, store_ref
from tiltyard_jobs.contracts.layout import artifact_prefix
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.solo_tasks import FetchTask

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
PORT = 8080
FETCHED = "/fetched"
MAIN_CONTAINER = "kserve-container"
"""KServe's name for the container of a model."""
FETCH_REQUESTS, FETCH_LIMITS = {"cpu": "100m", "memory": "256Mi"}, {"cpu": "2", "memory": "2Gi"}
EXPERT_REQUESTS, EXPERT_LIMITS = {"cpu": "100m", "memory": "128Mi"}, {"cpu": "1", "memory": "1Gi"}
FETCH = "tiltyard.dev/fetch"
"""The annotation of a pod that says which model its init container brings."""

# Of KServe's annotations: plain Deployments, whose replicas nobody else changes.
STANDARD = {"serving.kserve.io/deploymentMode": "Standard", "serving.kserve.io/autoscalerClass": "none"}


API_PATH = "/v1"
Addresses = Mapping[tuple[str, str], str]
"""Of InferenceServices by namespace and name: scheme, host and port, as KServe has written them."""


def service_url(tournament: Tournament, model: str, settings: ClusterSettings) -> str:
    """Where a model will be served, with its `/v1`, by KServe's own rule: what it writes once it is up comes first."""
    name, namespace = served_as(tournament, model), tournament.metadata.namespace
    if _is_llm(tournament, model):
        return f"http://{name}-kserve-workload-svc.{namespace}.svc.{settings.domain}:{llm.PORT}{API_PATH}"
    return _predictor_url(name, namespace, settings)


def served_as(tournament: Tournament, model: str) -> str:
    """The name of a model's InferenceService, or LLMInferenceService, by which its server offers it too."""
    return service_name(tournament.metadata.name, model, llm=_is_llm(tournament, model))


def _is_llm(tournament: Tournament, model: str) -> bool:
    return participants(tournament)[model].serving_or_default.kind == LLM


def with_service_urls(tournament: Tournament, settings: ClusterSettings, addresses: Addresses) -> Tournament:
    """The manifest with the URL in place of each InferenceService that an endpoint names.

    Only for what workers are told: in the identity of a model its name stays, which is the same in every cluster.

    Args:
        tournament: the manifest.
        settings: of the operator.
        addresses: those that are known.
    """
    spec = tournament.spec
    embedder = spec.curation.diversity.embedder
    diversity = spec.curation.diversity.model_copy(
        update={"embedder": embedder.model_copy(update=_resolved(embedder.endpoint, tournament, settings, addresses))}
    )
    update: dict[str, Any] = {"curation": spec.curation.model_copy(update={"diversity": diversity})}
    for kind in ("competitors", "judges"):
        update[kind] = tuple(
            participant.model_copy(update=_resolved(participant.endpoint, tournament, settings, addresses))
            for participant in getattr(spec, kind)
        )
    return tournament.model_copy(update={"spec": spec.model_copy(update=update)})


def named_services(tournament: Tournament) -> set[tuple[str, str]]:
    """Namespace and name of each InferenceService that an endpoint names."""
    services = (_service_of(used.endpoint, tournament) for used in used_endpoints(tournament))
    return {(service[0], service[1]) for service in services if service is not None}


def _service_of(endpoint: Endpoint, tournament: Tournament) -> tuple[str, str, str] | None:
    """Namespace, name and path of the InferenceService that an endpoint names; None: it names none."""
    if not endpoint.url.startswith(INFERENCE_SERVICE_SCHEME):
        return None
    place, _, path = endpoint.url.removeprefix(INFERENCE_SERVICE_SCHEME).partition("?path=")
    namespace, _, name = place.rpartition("/")
    return namespace or str(tournament.metadata.namespace), name, path or API_PATH


def _resolved(
    endpoint: Endpoint | None, tournament: Tournament, settings: ClusterSettings, addresses: Addresses
) -> dict[str, Endpoint | None]:
    service = None if endpoint is None else _service_of(endpoint, tournament)
    if endpoint is None or service is None:
        return {}
    namespace, name, path = service
    address = addresses.get((namespace, name))
    url = _predictor_url(name, namespace, settings, path) if address is None else f"{address}{path}"
    return {"endpoint": endpoint.model_copy(update={"url": url})}


def _predictor_url(name: str, namespace: str | None, settings: ClusterSettings, path: str = API_PATH) -> str:
    return f"http://{name}-predictor.{namespace}.svc.{settings.domain}{path}"


def inference_service(
    tournament: Tournament, model: ModelNode, settings: ClusterSettings, *, loads: int, started: str
) -> dict[str, Any]:
    """A model that is to be up.

    Args:
        tournament: the manifest.
        model: which of its models.
        settings: of the operator.
        loads: times that it was started, this one included.
        started: now, RFC 3339.
    """
    participant = participants(tournament)[model.name]
    name = served_as(tournament, model.name)
    copied = settings.children.labels_of(tournament.metadata.labels)
    notes = settings.children.annotations_of(tournament.metadata.annotations)
    own, patch = labels(tournament, "model", **{MODEL: model.name}), participant.serving_or_default.pod
    # A queue admits pods, not the InferenceService; how long one may run is left to the Jobs that ask it.
    its_labels = {**copied, **patch.labels, **own, **queue_labels(tournament, PRIORITY)}
    its_annotations = {**notes, **patch.annotations}
    annotations = {**notes, STOP: "false", VERSION: model.version, LOADS: str(loads), STARTED: started}
    metadata = child_metadata(tournament, name, {**copied, **own, **CLUSTER_LOCAL}, annotations)
    if participant.serving_or_default.kind == LLM:
        spec = {**_llm(tournament, participant, name, settings), "labels": its_labels}
        spec |= {"annotations": its_annotations} if its_annotations else {}
        return {"apiVersion": llm.API_VERSION, "kind": LLM, "metadata": metadata, "spec": spec}
    predictor = _predictor(participant, name, its_labels, settings)
    if its_annotations:
        predictor["annotations"] = its_annotations
    kept: Mapping[str, str] = {}
    if model.artifact is not None:
        predictor = _from_bucket(predictor, tournament, model.artifact, settings)
    else:
        if (brought := bring_weights(predictor, tournament, participant, settings)) is not None:
            served = predictor["model"]
            mounts = [*served.get("volumeMounts", []), brought.mount]
            predictor = {**predictor, **brought.fields, "model": {**served, "volumeMounts": mounts}}
        kept = notes_of(tournament, participant.model)
    metadata["annotations"] = {**STANDARD, **annotations, **kept}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"predictor": predictor}}


def _predictor(
    participant: Participant, name: str, its_labels: dict[str, str], settings: ClusterSettings
) -> dict[str, Any]:
    serving = participant.serving_or_default
    simulated = _is_simulated(participant)
    fields = pod_fields(serving.pod)
    common = {
        "minReplicas": serving.replicas,
        "maxReplicas": serving.replicas,
        "labels": its_labels,
        "automountServiceAccountToken": False,
        **fields,
    }
    if simulated:
        own = _simulated_pod(participant, settings)
        return {**common, **own, "containers": [_simulated_expert(participant, name, settings)]}
    assert participant.model is not None
    return {
        **common,
        "model": {
            "modelFormat": {"name": "vLLM"},
            "runtime": serving.runtime or settings.runtime_for(serving),
            "storageUri": storage_uri(participant.model),
            "args": _server_args(participant),
            "terminationMessagePolicy": "FallbackToLogsOnError",  # the last words of one that crashes
            **container_fields(serving.pod),
            **_resources(participant),
        },
    }


def _llm(tournament: Tournament, participant: Participant, name: str, settings: ClusterSettings) -> dict[str, Any]:
    serving = participant.serving_or_default
    assert participant.model is not None
    uri = storage_uri(participant.model)
    if _is_simulated(participant):
        expert = {**_simulated_expert(participant, name, settings, llm.PORT), **llm.OF_EXPERT}
        fields = _simulated_pod(participant, settings)
        return llm.llm_spec(serving, uri=uri, name=name, container=expert, fields=fields, brings_model=False)
    container = {
        "args": llm.quoted(_server_args(participant)),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **container_fields(serving.pod),
        **_resources(participant),
    }
    brought = bring_weights(pod_fields(serving.pod), tournament, participant, settings)
    if brought is None:
        return llm.llm_spec(serving, uri=uri, name=name, container=container)
    container["volumeMounts"] = [*container.get("volumeMounts", []), brought.mount]
    return llm.llm_spec(serving, uri=uri, name=name, container=container, fields=brought.fields, brings_model=False)


def _is_simulated(participant: Participant) -> bool:
    return participant.model is not None and participant.model.uri.startswith("sim://")


def _server_args(participant: Participant) -> list[str]:
    """Of vLLM. Without the first it keeps to itself how many prompt tokens its prefix cache served."""
    return ["--enable-prompt-tokens-details", *participant.serving_or_default.args]


def _simulated_pod(participant: Participant, settings: ClusterSettings) -> dict[str, Any]:
    """What the pods of a simulated expert have, since their image is ours."""
    patch = participant.serving_or_default.pod
    named = pod_fields(patch).get("imagePullSecrets", [])
    pull = [*named, *({"name": secret} for secret in settings.pull_secrets)]
    return {**({"imagePullSecrets": pull} if pull else {}), "securityContext": security_of(patch)}


def _from_bucket(
    predictor: dict[str, Any], tournament: Tournament, artifact: ArtifactRef, settings: ClusterSettings
) -> dict[str, Any]:
    """A predictor of a model that the tournament makes. An init container brings it: it alone has the bucket's keys.

    What it is to bring stands in an annotation of the pod: an object of its own would have to be made and kept.
    """
    bucket, store = bucket_of(tournament), store_ref(tournament)
    task = FetchTask(tournament=tournament.metadata.name, store=store, model=artifact, folder=f"{FETCHED}/model")
    mount = {"name": "model", "mountPath": "/mnt/models", "subPath": "model", "readOnly": True}
    model = {
        **predictor["model"],
        "storageUri": f"{store.uri}/{artifact_prefix(artifact)}",
        "volumeMounts": [*predictor["model"].get("volumeMounts", []), mount],
    }
    note = {"name": "task", "downwardAPI": {"items": [_annotation_file(FETCH, TASK_KEY)]}}
    mounts: list[dict[str, Any]] = [
        {"name": "task", "mountPath": TASK_FOLDER, "readOnly": True},
        {"name": "model", "mountPath": FETCHED},
    ]
    volumes: list[dict[str, Any]] = [{"name": "model", "emptyDir": {}}, {"name": "fetch-tmp", "emptyDir": {}}, note]
    if bucket.ca_bundle_ref is not None:
        volumes.append({"name": "ca", "configMap": {"name": bucket.ca_bundle_ref.name}})
        mounts.append({"name": "ca", "mountPath": CA_FOLDER, "readOnly": True})
    fetch = {
        "name": "storage-initializer",  # a pod that has one of this name gets none of KServe's
        "image": settings.worker_image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["python", "-m", "tiltyard_jobs", "fetch", "--task", f"{TASK_FOLDER}/{TASK_KEY}"],
        "env": [*bucket_env(bucket)],
        "resources": resource_fields(Resources(), requests=FETCH_REQUESTS, limits=FETCH_LIMITS),
        "securityContext": {**CONTAINER_SECURITY, **POD_SECURITY},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*mounts, {"name": "fetch-tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    return {
        **predictor,
        "model": model,
        **({"serviceAccountName": bucket.service_account_name} if bucket.service_account_name else {}),
        "annotations": {
            **predictor.get("annotations", {}),
            FETCH: task.model_dump_json(by_alias=True),
            **without_role([MAIN_CONTAINER]),
        },
        "initContainers": [fetch],
        "volumes": [*predictor.get("volumes", []), *volumes],
    }


def _annotation_file(annotation: str, path: str) -> dict[str, Any]:
    return {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}


def _simulated_expert(
    participant: Participant, name: str, settings: ClusterSettings, port: int = PORT
) -> dict[str, Any]:
    assert participant.model is not None
    command = ["python", "-m", "tiltyard_jobs.sim", "--uri", participant.model.uri, "--served-model-name", name]
    return {
        "name": MAIN_CONTAINER,
        "image": settings.worker_image,
        "imagePullPolicy": settings.pull_policy,
        "command": command,
        "args": ["--host", "*", "--port", str(port), *participant.serving_or_default.args],
        "ports": [{"containerPort": port, "name": "http1", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/v1/models", "port": port}, "periodSeconds": 1},
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **container_fields(participant.serving_or_default.pod),
        **_resources(participant, requests=EXPERT_REQUESTS, limits=EXPERT_LIMITS),
    }


def _resources(participant: Participant, **defaults: dict[str, str]) -> dict[str, Any]:
    serving = participant.serving_or_default
    resources = resource_fields(serving.resources, serving.pod, **defaults)
    return {"resources": resources} if resources else {}
