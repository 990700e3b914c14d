"""What keeps Jobs and models from their work: the diagnoses of their pods, and why they have none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tiltyard.observe.diagnose import (
    ENDED_BY_NODE,
    NOT_ENDING,
    NOT_STARTED,
    PODS_REFUSED,
    QUEUED,
    UNSCHEDULABLE,
    Diagnosis,
    shorten,
)
from tiltyard.observe.documents import seconds
from tiltyard.observe.kinds import Object
from tiltyard.observe.queues import with_answer
from tiltyard.observe.records import JobRecord, PodRecord
from tiltyard.observe.refusal import pods_refused
from tiltyard.observe.snapshot import PATIENCE_SECONDS, Snapshot
from tiltyard.plan.observed import Wait, WaitReason


def wait_of(diagnosis: Diagnosis | None) -> Wait | None:
    """Why what has a diagnosis waits; None: it has none."""
    if diagnosis is None:
        return None
    reasons = {
        QUEUED: WaitReason.QUEUED,
        UNSCHEDULABLE: WaitReason.UNSCHEDULABLE,
        PODS_REFUSED: WaitReason.REFUSED,
        NOT_ENDING: WaitReason.NOT_ENDING,
    }
    return Wait(reasons.get(diagnosis.reason, WaitReason.NOT_STARTING), diagnosis.message)


def download_wait(cache: Object) -> Wait | None:
    """Why a model waits for a cache of KServe's; None: it does not.

    Its pod may come to any node of the group, and would find an incomplete folder there.
    """
    nodes = cache.get("status", {}).get("nodeStatus", {})
    there = {node: state for node, state in sorted(nodes.items()) if state != "NodeNotReady"}
    if there and all(state == "NodeDownloaded" for state in there.values()):
        return None
    kind, meta = cache["kind"], cache["metadata"]
    lacking = [f"{node}: {state or 'unknown'}" for node, state in there.items() if state != "NodeDownloaded"]
    if lacking:
        what = f"{kind} {meta['name']} has not downloaded the weights to all nodes yet ({shorten(', '.join(lacking))})"
    else:
        advice = "enable localModel in KServe, and have at least one node of the group up"
        what = f"{kind} {meta['name']} names no node that is ready yet: {advice}"
    of = f"-n {meta['namespace']} " if "namespace" in meta else ""
    where = f"`kubectl {of}get {kind.lower()} {meta['name']} -o yaml` has its state"
    return Wait(WaitReason.DOWNLOADING, f"{what}; {where}; the model is started once the weights are there")


def pods_diagnosis(snapshot: Snapshot, pods: Iterable[PodRecord], now: float) -> Diagnosis | None:
    """The first diagnosis of pods that should be running; what lasts for a moment only is none.

    One of a pod that its node does not start comes last: what lacks room can be given some. One of a pod that its node
    has ended counts until another one has been on a node for a while.
    """
    lasting = [pod for pod in pods if now - pod.created >= PATIENCE_SECONDS]
    replaced = any(pod.is_there and pod.scheduled is not None for pod in lasting)
    found = [diagnosis for pod in lasting if (diagnosis := with_answer(snapshot, pod)) is not None]
    found = [one for one in found if not (replaced and one.reason == ENDED_BY_NODE)]
    return min(found, key=lambda diagnosis: (NOT_STARTED, ENDED_BY_NODE).count(diagnosis.reason), default=None)


def workers_diagnosis(snapshot: Snapshot, job: JobRecord, now: float) -> Diagnosis | None:
    """What keeps a Job from going on. A pod that waits for the room of other shards is left out."""
    if (words := snapshot.refusals.get(job.name)) is not None:
        return Diagnosis(PODS_REFUSED, pods_refused(job.kind.kind, job.name, words))
    its_pods = snapshot.pods_of(job)
    pods = [pod for pod in its_pods if pod.phase == "Pending"]
    ended = [pod for pod in its_pods if _is_ended_by_node(pod) and pod.index not in job.succeeded]
    again = len(ended) - len({pod.index for pod in ended})
    if again or all(pod.phase != "Running" for pod in its_pods):
        pods += ended
    diagnosis = pods_diagnosis(snapshot, pods, now)
    if again and diagnosis is not None and diagnosis.reason == ENDED_BY_NODE:
        return diagnosis._replace(message=f"{diagnosis.message} ({len(ended)} pods of this Job have ended so)")
    if diagnosis is not None and diagnosis.reason == UNSCHEDULABLE:
        busy = any(pod.job and pod.phase == "Running" for pod in snapshot.pods.values())
        return None if busy else diagnosis
    return diagnosis or next(_stayings(snapshot.pods_of(job), now), None)


def _is_ended_by_node(pod: PodRecord) -> bool:
    return pod.diagnosis is not None and pod.diagnosis.reason == ENDED_BY_NODE


def _stayings(pods: Iterable[PodRecord], now: float) -> Iterator[Diagnosis]:
    """Pods whose worker has ended for a while."""
    for pod in pods:
        stays = pod.diagnosis is not None and pod.diagnosis.reason == NOT_ENDING and pod.phase == "Running"
        if pod.diagnosis is not None and stays and now - seconds(pod.ended) >= PATIENCE_SECONDS:
            yield pod.diagnosis
