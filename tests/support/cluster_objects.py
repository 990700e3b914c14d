"""A Tournament on a cluster and its children, as the API server would give them: rendered by us, then set further."""

from __future__ import annotations

import copy
from typing import Any

from support.manifests import manifest
from tiltyard.api import Tournament, TournamentStatus, tournament_from_object
from tiltyard.observe.kinds import LLM_SERVICES, TRAIN_JOBS
from tiltyard.observe.records import JOB_NAME, JobRecord, PodRecord, ServiceRecord
from tiltyard.observe.snapshot import Snapshot
from tiltyard.plan.build import build_graph
from tiltyard.plan.planner import JobOrder
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import bundle_objects, cluster_preflight_task, preflight_objects, preflight_version
from tiltyard.render.serving import inference_service, service_url
from tiltyard.render.tasks import bundle_task
from tiltyard.render.train_job import runtime_of, train_job_objects
from tiltyard.render.worker_pod import store_ref
from tiltyard_jobs.contracts.summary import Summary, pack_bits

SETTINGS = ClusterSettings(worker_image="tiltyard/worker:test")
CREATED = "2026-01-01T00:00:00Z"
T0 = 1767225600.0  # CREATED as seconds since the epoch


def cluster_tournament(*args: Any, name: str = "test", players: Any = None, **spec: Any) -> Tournament:
    """As `manifest`, with a bucket, as the API server has stored it; `players` replaces its competitors."""
    document = manifest(*args, **spec)
    document["spec"]["competitors"] = players or document["spec"]["competitors"]
    document["spec"].setdefault("output", {"s3": {"uri": "s3://bucket", "secretRef": {"name": "bucket-key"}}})
    document["metadata"] = {"name": name, "namespace": "arena", "uid": "u-1", "generation": 1, **document["metadata"]}
    document["metadata"]["name"] = name
    return tournament_from_object(document)


class Cluster:
    """What a tournament's namespace holds. Methods do what controllers and pods do."""

    def __init__(self, tournament: Tournament) -> None:
        self.tournament = tournament
        self.graph = build_graph(tournament)
        self.task = cluster_preflight_task(tournament, self.graph)
        self.status = TournamentStatus()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}

    def snapshot(self) -> Snapshot:
        jobs = (
            JobRecord.of_train_job(document) if document["kind"] == TRAIN_JOBS.kind else JobRecord.of(document)
            for document in self.jobs.values()
        )
        pods = (PodRecord.of(document) for document in self.pods.values())
        services = (
            ServiceRecord.of_llm(document) if document["kind"] == LLM_SERVICES.kind else ServiceRecord.of(document)
            for document in self.services.values()
        )
        return Snapshot(
            tournament=self.tournament,
            status=self.status,
            graph=self.graph,
            preflight=preflight_version(self.task),
            jobs={job.name: job for job in jobs if job},
            pods={pod.name: pod for pod in pods if pod},
            services={service.name: service for service in services if service},
        )

    def preflight(self, done: bool = False, **found: Any) -> dict[str, Any]:
        """Its Job, which has passed; nothing exists, or all. `found`: what else its summary tells."""
        _, job = preflight_objects(self.tournament, self.task, SETTINGS)
        bits = [done for ref in self.graph.artifacts for _ in range(ref.shards)]
        self.add_job(job)
        self.end_pod(job, 0, Summary(exit_code=0, done=pack_bits(bits), **found))
        finish(job, "Complete")
        return job

    def job(self, bundle_name: str) -> dict[str, Any]:
        """A bundle's Job that makes all of it, begun."""
        bundle = self.graph.by_name[bundle_name]
        order = JobOrder(bundle, bundle.missing({}))
        url = service_url(self.tournament, bundle.model, SETTINGS) if bundle.model else None
        task = bundle_task(self.tournament, order, store_ref(self.tournament), url)
        runtime = runtime_of(self.tournament, bundle)
        _, job = (bundle_objects if runtime is None else train_job_objects)(self.tournament, order, task, SETTINGS)
        return self.add_job(job)

    def service(self, model: str, *, ready: bool = False, stopped: bool = False) -> dict[str, Any]:
        """A model that was started at T0."""
        node = self.graph.model[model]
        service = inference_service(self.tournament, node, SETTINGS, loads=1, started=CREATED)
        server_fields(service)
        service["metadata"]["generation"] = 1
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": CREATED}
        service["status"] = {"observedGeneration": 1, "conditions": [condition]}
        if stopped:
            service["metadata"]["annotations"]["serving.kserve.io/stop"] = "true"
        self.services[service["metadata"]["name"]] = service
        return service

    def model_pod(self, model: str, **status: Any) -> dict[str, Any]:
        """A model's pod."""
        node = self.graph.model[model]
        service = inference_service(self.tournament, node, SETTINGS, loads=1, started=CREATED)
        meta: dict[str, Any] = {
            "name": f"{model}-pod",
            "namespace": "arena",
            "labels": service["spec"]["predictor"]["labels"],
        }
        meta["ownerReferences"] = made_by_replica_set(service["metadata"]["name"])
        pod = {"metadata": meta, "status": {"phase": "Pending", **status}}
        server_fields(pod)
        self.pods[pod["metadata"]["name"]] = pod
        return pod

    def add_job(self, job: dict[str, Any]) -> dict[str, Any]:
        server_fields(job)
        self.jobs[job["metadata"]["name"]] = job
        return job

    def worker_pod(self, job: dict[str, Any], index: int = 0, **status: Any) -> dict[str, Any]:
        """A pod of a Job."""
        name = f"{job['metadata']['name']}-{index}-{len(self.pods)}"
        its_labels = labels_of(job) | {"batch.kubernetes.io/job-completion-index": str(index)}
        owners = made_by_job(its_labels[JOB_NAME], job["metadata"].get("uid", ""))
        meta = {"name": name, "namespace": "arena", "labels": its_labels, "ownerReferences": owners}
        pod = {"metadata": meta, "status": status}
        server_fields(pod)
        self.pods[name] = pod
        return pod

    def end_pod(self, job: dict[str, Any], index: int, summary: Summary) -> None:
        """A pod of a Job has ended."""
        terminated = {"exitCode": summary.exit_code, "message": summary.to_message(), "finishedAt": CREATED}
        phase = "Failed" if summary.exit_code else "Succeeded"
        name = "node" if job["kind"] == TRAIN_JOBS.kind else "worker"
        container = {"name": name, "state": {"terminated": terminated}}
        self.worker_pod(job, index, phase=phase, containerStatuses=[container])


def labels_of(job: dict[str, Any]) -> dict[str, str]:
    """Labels of a Job's or a TrainJob's pods, of which the latter's have a Job of another name."""
    name = job["metadata"]["name"]
    if job["kind"] != TRAIN_JOBS.kind:
        labels: dict[str, str] = job["spec"]["template"]["metadata"]["labels"]
        return labels | {"batch.kubernetes.io/job-name": name}
    (override,) = job["spec"]["podTemplateOverrides"]
    labels = override["metadata"]["labels"]
    return labels | {"batch.kubernetes.io/job-name": f"{name}-node-0", "jobset.sigs.k8s.io/jobset-name": name}


def made_by_replica_set(service: str) -> list[dict[str, Any]]:
    """Owner references of a model's pod."""
    name = f"{service}-predictor-5d4f"
    return [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": f"u-{name}", "controller": True}]


def made_by_job(name: str, uid: str = "j-1") -> list[dict[str, Any]]:
    """Owner references of a Job's pod."""
    return [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "controller": True}]


def server_fields(document: dict[str, Any]) -> None:
    """What the API server adds."""
    document["metadata"] = copy.deepcopy(document["metadata"])
    document["metadata"] |= {"creationTimestamp": CREATED, "resourceVersion": "1"}


def finish(job: dict[str, Any], kind: str, message: str = "", *, completed: str = "", failed: str = "") -> None:
    """A Job has ended."""
    condition = {"type": kind, "status": "True", "message": message, "lastTransitionTime": CREATED}
    job["status"] = {"conditions": [condition], "completedIndexes": completed, "failedIndexes": failed}


def with_generation(tournament: Tournament, generation: int) -> Tournament:
    """The same manifest, edited that many times."""
    return tournament.model_copy(update={"metadata": tournament.metadata.model_copy(update={"generation": generation})})


__all__ = [
    "CREATED",
    "SETTINGS",
    "T0",
    "Cluster",
    "cluster_tournament",
    "finish",
    "made_by_job",
    "made_by_replica_set",
    "with_generation",
]
