"""What the models of a Tournament are doing: from their objects and pods to what the planner reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from tiltyard.api import LLM
from tiltyard.observe.diagnose import POD_CONFIGURATION, PODS_REFUSED, Diagnosis
from tiltyard.observe.documents import namespace_of
from tiltyard.observe.kinds import LLM_SERVICES
from tiltyard.observe.queues import rest_seconds, resting, with_answer
from tiltyard.observe.records import PodRecord, ServiceRecord
from tiltyard.observe.refusal import llm_refused, pods_refused
from tiltyard.observe.snapshot import PATIENCE_SECONDS, Snapshot, stale_services
from tiltyard.observe.waiting import pods_diagnosis, wait_of
from tiltyard.plan.observed import ModelPhase, ModelSeen
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.serving import API_PATH, service_url


def models_seen(
    snapshot: Snapshot, settings: ClusterSettings, now: float, wanted: Collection[str | None]
) -> dict[str, ModelSeen]:
    """What models are doing. Of two objects of one the stale one counts, as long as it is there.

    Args:
        snapshot: the objects.
        settings: of the operator.
        now: seconds since the epoch.
        wanted: models that have work which only waits for them.
    """
    stale = stale_services(snapshot)
    services = sorted(snapshot.services.values(), key=lambda one: one.deleting or one in stale)
    seen = {
        one.model: _model(snapshot, one, settings, now, wanted=one.model in wanted, goes=one in stale)
        for one in services
    }
    placed = {pod.model for pod in snapshot.pods.values() if pod.scheduled is not None and pod.unfinished}
    return {name: replace(model, placed=name in placed) for name, model in seen.items()}


def _model(
    snapshot: Snapshot, service: ServiceRecord, settings: ClusterSettings, now: float, *, wanted: bool, goes: bool
) -> ModelSeen:
    """What a model is doing; one that is wanted has work, one that goes is to be deleted."""
    if service.deleting or goes:
        return ModelSeen(ModelPhase.STOPPING, service.version, service.loads)
    pods = snapshot.pods_of_model(service)
    if service.stopped:
        phase = ModelPhase.STOPPING if pods else ModelPhase.STOPPED
        wait = resting(service, now)
        return ModelSeen(phase, service.version, service.loads, wait=wait, resting=wait is not None)
    deadline = snapshot.tournament.spec.serving.startup_deadline_seconds
    in_vain = rest_seconds(snapshot, service, pods, settings.give_back_seconds, now, wanted=wanted)
    if service.ready:
        expected = service_url(snapshot.tournament, service.model, settings)
        url = expected if service.address is None else f"{service.address}{API_PATH}"
        seen = ModelSeen(ModelPhase.READY, service.version, service.loads, url, in_vain=in_vain)
        return replace(seen, load_seconds=_load_seconds(service, pods, deadline), **_weights(pods))
    diagnosis = pods_diagnosis(snapshot, pods, now)
    began = startup_began(snapshot, service, pods)
    if began is None or now - began < deadline:
        wait = wait_of(diagnosis or _refusal(snapshot, service) or _without_pods(service, pods, now))
        return ModelSeen(
            ModelPhase.STARTING, service.version, service.loads, wait=wait, in_vain=in_vain, **_weights(pods)
        )
    why = _why_late(snapshot, service, pods)
    late = f"was not ready after {deadline} s (spec.serving.startupDeadlineSeconds): {why}"
    return ModelSeen(ModelPhase.FAILED, service.version, service.loads, message=late)


def _weights(pods: Iterable[PodRecord]) -> dict[str, Any]:
    """What is known of a model's weights: of several replicas one has downloaded them, if any had to."""
    told = sorted((pod.filled for pod in pods if pod.filled is not None), key=lambda filled: filled.reused)
    if not told:
        return {}
    return {"weights": told[0].bytes, "download_seconds": None if told[0].reused else told[0].seconds}


def _load_seconds(service: ServiceRecord, pods: Iterable[PodRecord], deadline: int) -> float | None:
    """How long a load took: from when nodes have had all of its pods until it answered; None where it is no load.

    A pod that came later says nothing of the start, and an answer after the deadline is that of a server which failed
    and was started again in its pod.
    """
    scheduled = [pod.scheduled for pod in pods if pod.scheduled is not None and not pod.deleting]
    if not scheduled or service.ready_since is None:
        return None
    took = service.ready_since - max(scheduled)
    return took if 0 < took <= deadline else None


def startup_began(snapshot: Snapshot, service: ServiceRecord, pods: Iterable[PodRecord]) -> float | None:
    """When the time to start began that a model has; None: it waits for a node, or for leave to have pods.

    It begins when a node has taken its pod, and again when it stops answering.
    """
    began = max(service.started, service.unready_since or 0.0)
    there = [pod for pod in pods if not pod.deleting]
    if not there:
        return None if _refusal(snapshot, service) else began
    scheduled = [pod.scheduled for pod in there if pod.scheduled is not None]
    if len(scheduled) < len(there):  # it answers once each of its replicas, and of their nodes, does
        return None
    return max(began, min(scheduled)) if scheduled else None


def _refusal(snapshot: Snapshot, service: ServiceRecord) -> Diagnosis | None:
    """Why KServe can create no pod of a model, or not all of an LLMInferenceService."""
    if service.kind is LLM_SERVICES and service.refused:
        return Diagnosis(PODS_REFUSED, llm_refused(service.name, service.refused))
    words = service.refused or snapshot.refusals.get(service.name)
    return Diagnosis(PODS_REFUSED, pods_refused(service.kind.kind, service.name, words)) if words else None


def _without_pods(service: ServiceRecord, pods: list[PodRecord], now: float) -> Diagnosis | None:
    """An LLMInferenceService has had no pod for a while: who makes them for KServe does not, or cannot."""
    if pods or service.kind is not LLM_SERVICES or now - service.started < PATIENCE_SECONDS:
        return None
    says = f"KServe says: {service.message}; " if service.message else ""
    words = (
        f"{LLM} {service.name} has no pods yet: {says}check that the controllers of KServe's llmisvc and of"
        f" LeaderWorkerSets are running, and what `kubectl -n {namespace_of(service.owner)} get events` says"
    )
    return Diagnosis(POD_CONFIGURATION, words)


def _why_late(snapshot: Snapshot, service: ServiceRecord, pods: list[PodRecord]) -> str:
    for pod in pods:
        if (diagnosis := with_answer(snapshot, pod)) is not None:
            return diagnosis.message
    if (refusal := _refusal(snapshot, service)) is not None:
        return refusal.message
    for pod in pods:
        if pod.phase == "Running":
            namespace = namespace_of(pod.owner)
            return (
                f"pod {pod.name} runs but does not answer yet: raise the field, or see"
                f" `kubectl -n {namespace} logs {pod.name}`"
            )
    return service.message or "KServe gives no reason"
