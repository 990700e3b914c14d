"""Models that hold nodes in vain in a cluster with queues, and what Kueue says of what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tiltyard.observe.diagnose import QUEUED, Diagnosis, not_started, shorten
from tiltyard.observe.documents import namespace_of, seconds
from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord
from tiltyard.observe.snapshot import QueueAnswer, Snapshot
from tiltyard.plan.observed import Wait, WaitReason
from tiltyard.render.names import MAX_TIME
from tiltyard_jobs.contracts.frozen import digest

JOB_UID = "kueue.x-k8s.io/job-uid"
"""Kueue's label of a Workload: the uid of the Job or pod that it stands for."""
TIME_IS_UP = "MaximumExecutionTimeExceeded"


def in_vain_since(snapshot: Snapshot, service: ServiceRecord, pods: Iterable[PodRecord]) -> float | None:
    """From when on a queued model has held nodes that none of its Jobs made use of; None: it does not.

    One that is ready holds them in vain while none of its Jobs has a pod on a node; one that is not, while a queue
    holds another of its pods: two such models, each with half of its pods, would wait for each other for good.
    """
    admitted = [pod.scheduled for pod in pods if pod.queued and not pod.deleting and pod.scheduled is not None]
    if not admitted:
        return None
    if not service.ready:
        halved = any(pod.diagnosis is not None and pod.diagnosis.reason == QUEUED for pod in pods)
        return max(admitted) if halved else None
    moments = [service.ready_since or service.started, *admitted]
    for job in jobs_of(snapshot, service.model):
        moments += [job.created, job.suspended_since or 0.0, job.finished or 0.0]
        for pod in snapshot.pods_of(job):
            if pod.scheduled is not None and pod.unfinished:
                return None
            moments.append(seconds(pod.ended) if pod.ended else pod.created)
    return max(moments)


def jobs_of(snapshot: Snapshot, model: str) -> Iterator[JobRecord]:
    """The Jobs that ask a model."""
    for job in snapshot.jobs.values():
        bundle = snapshot.graph.by_name.get(job.bundle)
        if bundle is not None and bundle.model == model and not job.deleting:
            yield job


def rest_seconds(
    snapshot: Snapshot,
    service: ServiceRecord,
    pods: Iterable[PodRecord],
    limit: float,
    now: float,
    *,
    wanted: bool,
) -> float | None:
    """How long a model is to stay down that has held nodes in vain for too long; None: it has not.

    As long as it has held them in vain and as its load took, so that it does half of the time at most; and a bit
    longer, by its name, so that two that wait for each other do not come back together: the one that was given back
    first comes back first. One that nothing asks yet comes back once something does.

    Args:
        snapshot: the objects.
        service: the model's.
        pods: its pods.
        limit: seconds for which it may hold nodes in vain, at most.
        now: seconds since the epoch.
        wanted: there is work for it that only waits for it, or for the queue.
    """
    there = list(pods)
    since = in_vain_since(snapshot, service, there)
    if since is None or now - since < _patience(service, limit):
        return None
    if service.ready and not wanted:
        return 0.0
    loaded = (service.ready_since or since) if service.ready else since
    load = max(0.0, loaded - min(pod.scheduled for pod in there if pod.scheduled is not None))
    held = load + now - since
    return max(limit, held) * (1.5 - _share(service) / 2)


def _patience(service: ServiceRecord, limit: float) -> float:
    """For how long a model may hold nodes in vain: from half of the limit to all of it, by its name.

    Two that were started together and wait for each other are not given back together: then either would start another
    model, in which the other's room is taken again.
    """
    return limit * (1 - _share(service) / 2)


def _share(service: ServiceRecord) -> float:
    """From 0 to 1, by a model's name and load: another one each time."""
    return int(digest(f"{service.owner_uid}/{service.name}/{service.loads}".encode())[:4], 16) / 0xFFFF


def resting(service: ServiceRecord, now: float) -> Wait | None:
    """Why a model that was given back is not started yet; None: it may be."""
    if service.rests_until is None or now >= service.rests_until:
        return None
    until = datetime.fromtimestamp(service.rests_until, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    words = (
        "it held its nodes while the queue admitted none of its Jobs, or not all of its pods, and was stopped, so that"
        f" others can use them; it is started again at {until}: raise the quota of the queue for what waits, or wait"
    )
    return Wait(WaitReason.QUEUED, words)


def told(what: str, answer: QueueAnswer | None, namespace: str) -> str:
    """A sentence about what a queue holds, with Kueue's words where they are known."""
    if answer is None:
        return f"{what}: `kubectl -n {namespace} describe workloads` says what it waits for"
    return f"{what}: {answer.words}"


def with_answer(snapshot: Snapshot, pod: PodRecord) -> Diagnosis | None:
    """What keeps a pod from its work, with what is said of it by Kueue, by an autoscaler or by its node."""
    says = snapshot.pod_events.get(pod.asked_as)
    if says and pod.unstarted and pod.diagnosis is None:
        return not_started(pod.name, says)
    if says and pod.diagnosis is not None and pod.fits_no_node:
        return pod.diagnosis._replace(message=f"{pod.diagnosis.message}; {says}")
    if pod.diagnosis is None or pod.diagnosis.reason != QUEUED:
        return pod.diagnosis
    words = told(pod.diagnosis.message, snapshot.queues.get(pod.uid), namespace_of(pod.owner))
    return pod.diagnosis._replace(message=words)


def time_is_up(snapshot: Snapshot, job: JobRecord) -> str | None:
    """Why Kueue has stopped a Job for good; None: it has not, as far as is known."""
    answer = snapshot.queues.get(job.uid) if job.suspended else None
    return f"{job.kind.kind} {job.name}: {answer.words}" if answer is not None and answer.over else None


def next_look(snapshot: Snapshot, limit: float, now: float) -> float | None:
    """Seconds until a model is to be given back, or has rested.

    Args:
        snapshot: the objects.
        limit: seconds for which a model may hold nodes in vain, at most.
        now: seconds since the epoch.
    """
    due = list[float]()
    for service in snapshot.services.values():
        if service.stopped:
            due.append(service.rests_until or now)
        elif (since := in_vain_since(snapshot, service, snapshot.pods_of_model(service))) is not None:
            due.append(since + _patience(service, limit))
    return min((moment - now for moment in due if moment > now), default=None)


def answers_of(uids: Iterable[str], workloads: Iterable[Mapping[str, Any]]) -> dict[str, QueueAnswer]:
    """What Kueue says of Jobs and pods, by their uids."""
    found: dict[str, QueueAnswer] = {}
    for workload in workloads:
        uid = workload["metadata"].get("labels", {}).get(JOB_UID, "")
        if (answer := _answer(workload)) is not None:
            found[uid] = answer
        else:
            found.setdefault(uid, QueueAnswer("Kueue has not processed it yet"))
    without = (
        "Kueue has no Workload for it: check that it manages this namespace and this kind, or resume what somebody"
        " else has suspended"
    )
    return {uid: found.get(uid, QueueAnswer(without)) for uid in uids}


def _answer(workload: Mapping[str, Any]) -> QueueAnswer | None:
    name = workload["metadata"]["name"]
    conditions = {one["type"]: one for one in workload.get("status", {}).get("conditions", ())}
    if not workload.get("spec", {}).get("active", True):
        reasons = (f"{one['reason']} {one.get('message', '')}" for one in conditions.values())
        if any(TIME_IS_UP in words for words in reasons):
            return QueueAnswer(
                "it has reached its maximum execution time, and Kueue has stopped it permanently: raise or remove the"
                f" Tournament's label {MAX_TIME}",
                over=True,
            )
        return QueueAnswer(
            f"Workload {name} was deactivated: set its spec.active to true, or ask who manages the queues"
        )
    for kind in ("QuotaReserved", "Admitted"):
        condition = conditions.get(kind)
        if condition is not None and condition["status"] == "False":
            return QueueAnswer(f"Workload {name} is {condition['reason']}: {shorten(condition.get('message', ''))}")
    return QueueAnswer(f"Workload {name} is admitted, and about to start") if "Admitted" in conditions else None
