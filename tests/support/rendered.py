"""The objects that are applied for a cluster of a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.cluster_objects import SETTINGS, Cluster, cluster_tournament
from tiltyard.plan.planner import JobOrder
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import bundle_objects, preflight_objects
from tiltyard.render.serving import inference_service, service_url
from tiltyard.render.tasks import bundle_task
from tiltyard.render.worker_pod import store_ref

TOURNAMENT = cluster_tournament(3, per_competitor=20)


def all_objects(cluster: Cluster) -> Iterator[dict[str, Any]]:
    yield from preflight_objects(cluster.tournament, cluster.task, SETTINGS)
    for bundle in cluster.graph.bundles:
        yield from objects_of(cluster, bundle.name)
    for model in cluster.graph.models:
        if model.served:
            yield inference_service(cluster.tournament, model, SETTINGS, loads=1, started="2026-01-01T00:00:00Z")


def objects_of(
    cluster: Cluster, name: str, settings: ClusterSettings = SETTINGS
) -> tuple[dict[str, Any], dict[str, Any]]:
    bundle = cluster.graph.by_name[name]
    order = JobOrder(bundle, bundle.missing({}))
    served = bundle.model is not None and cluster.graph.model[bundle.model].served
    url = service_url(cluster.tournament, bundle.model, SETTINGS) if served and bundle.model else None
    task = bundle_task(cluster.tournament, order, store_ref(cluster.tournament), url)
    return bundle_objects(cluster.tournament, order, task, settings)


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = document["spec"]["template"]["spec"]
    return pod


def variables(job: dict[str, Any]) -> set[str]:
    entries = pod_of(job)["containers"][0]["env"]
    return {entry["name"] for entry in entries if "secretKeyRef" in entry.get("valueFrom", {})}
