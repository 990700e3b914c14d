"""What the operator keeps in memory of each object: a small frozen record of what the plan needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from tiltyard.observe.diagnose import WORKERS, Diagnosis, diagnose
from tiltyard.observe.kinds import JOBS, LLM_SERVICES, SERVICES, TRAIN_JOBS, Kind, Object
from tiltyard.observe.llm import llm_address, llm_refusal
from tiltyard.render.names import (
    BUNDLE,
    GENERATION,
    LOADS,
    MODEL,
    PARTS,
    QUEUE,
    RESTS_UNTIL,
    RESULT,
    STAGE,
    STARTED,
    STOP,
    SUSPENDED,
    TOURNAMENT,
    VERSION,
)
from tiltyard.render.weights import FILLER, VOLUME
from tiltyard_jobs.contracts.weights import Filled

JOB_SET = "jobset.sigs.k8s.io/jobset-name"
"""Label of a TrainJob's pods: its name, and so its JobSet's."""

FAILURES_OF_PODS = ("ModelLoadFailed", "RuntimeUnhealthy")
"""KServe's reasons of failures that its pods themselves tell better."""


@dataclass(frozen=True)
class TournamentRecord:
    """A Tournament.

    Attributes:
        owner: `namespace/name`: itself.
        document: the object, its managed fields left out.
    """

    owner: str
    document: Object

    @classmethod
    def of(cls, document: Object) -> TournamentRecord:
        """Of an object as the API server gives it."""
        meta = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
        return cls(f"{meta['namespace']}/{meta['name']}", {**document, "metadata": meta})


@dataclass(frozen=True)
class JobRecord:
    """A Job, or a TrainJob: one index then, whose pods are its nodes.

    Attributes:
        kind: which of the two.
        bundle: the bundle's name, or `preflight`.
        parts: which parts its indices make.
        generation: of the Tournament whose pods it makes; None: an older operator made it.
        succeeded: indices that are complete.
        terminal: type of the condition that ends it: Complete, Failed, or FailureTarget once it is to fail; else empty.
        why: the API server's words of a failed one.
        result: what its pods reported, once it has ended and the annotation holds it.
        queued: a queue decides when it runs: by its label, or since somebody else has suspended it.
        created: seconds since the epoch.
        finished: when it ended, likewise.
        uid: the API server's.
        suspended_since: when it was suspended, likewise; None: it is not, or never ran.
    """

    owner: str
    owner_uid: str
    name: str
    bundle: str
    stage: str
    version: str
    parts: str
    generation: int | None
    completions: int
    parallelism: int
    succeeded: frozenset[int]
    failed: int
    active: int
    terminal: str
    why: str
    suspended: bool
    queued: bool
    deleting: bool
    result: str | None
    created: float
    finished: float | None
    kind: Kind = JOBS
    uid: str = ""
    suspended_since: float | None = None

    @classmethod
    def of_train_job(cls, document: Object) -> JobRecord | None:
        """Of a TrainJob as the API server gives it; None: not ours."""
        status = document.get("status", {})
        job = cls.of({**document, "status": {"conditions": status.get("conditions", ())}})
        if job is None:
            return None
        active = sum(one["active"] for one in status.get("jobsStatus", ()))
        succeeded = frozenset({0} if job.terminal == "Complete" else ())
        return replace(job, kind=TRAIN_JOBS, active=active, succeeded=succeeded)

    @classmethod
    def of(cls, document: Object) -> JobRecord | None:
        """Of a Job as the API server gives it; None: not ours."""
        meta, spec, status = document["metadata"], document["spec"], document.get("status", {})
        owner = _owner(meta)
        if owner is None:
            return None
        notes = meta.get("annotations", {})
        terminal, why, finished = _terminal(status)
        indexed = spec.get("completionMode") == "Indexed"
        return cls(
            owner=f"{meta['namespace']}/{owner[0]}",
            owner_uid=owner[1],
            name=meta["name"],
            bundle=notes.get(BUNDLE, ""),
            stage=meta.get("labels", {}).get(STAGE, ""),
            version=notes.get(VERSION, ""),
            parts=notes.get(PARTS, ""),
            generation=int(notes[GENERATION]) if GENERATION in notes else None,
            completions=spec.get("completions") or 1,
            parallelism=spec.get("parallelism") or 1,
            succeeded=parse_indexes(status.get("completedIndexes", "")) if indexed else frozenset(),
            failed=len(parse_indexes(status.get("failedIndexes", ""))) if indexed else int(terminal == "Failed"),
            active=status.get("active", 0),
            terminal=terminal,
            why=why,
            suspended=bool(spec.get("suspend")),
            queued=QUEUE in meta.get("labels", {}) or (bool(spec.get("suspend")) and SUSPENDED not in notes),
            deleting="deletionTimestamp" in meta,
            result=notes.get(RESULT),
            created=seconds(meta["creationTimestamp"]),
            finished=finished,
            uid=meta.get("uid", ""),
            suspended_since=_suspended_since(status),
        )


@dataclass(frozen=True)
class PodRecord:
    """A pod of a Job or of an InferenceService.

    Attributes:
        job: its Job's name; empty for a model's pod.
        model: the model that it serves; empty for a Job's pod.
        index: of its Job.
        phase: Pending, Running, Succeeded or Failed.
        exit_code: once its main container has ended.
        message: what the container left as its termination message.
        diagnosis: what keeps it from its work.
        ended: when its container ended, RFC 3339.
        created: seconds since the epoch.
        scheduled: when a node took it, likewise; None: none has.
        filled: what its init container has said of the model's weights.
        gpus: kinds of GPUs, or of other devices, that it asks for.
        uid: the API server's.
        queued: a queue decides when it may go to a node.
        ip: its address, once it has one.
    """

    owner: str
    name: str
    job: str
    model: str
    index: int
    phase: str
    exit_code: int | None
    message: str
    diagnosis: Diagnosis | None
    deleting: bool
    ended: str
    created: float
    scheduled: float | None
    filled: Filled | None = None
    gpus: frozenset[str] = frozenset()
    uid: str = ""
    queued: bool = False
    ip: str = ""

    @classmethod
    def of(cls, document: Object) -> PodRecord | None:
        """Of an object as the API server gives it; None: not ours."""
        meta, status = document["metadata"], document.get("status", {})
        its_labels = meta.get("labels", {})
        if TOURNAMENT not in its_labels:
            return None
        statuses = status.get("containerStatuses", ())
        worker: Object = next((c for c in statuses if c["name"] in WORKERS), {})
        state = worker.get("state", {})
        terminated = state.get("terminated") or {}
        if "waiting" in state:  # a runtime of Trainer starts a container again in its pod
            terminated = worker.get("lastState", {}).get("terminated") or {}
        return cls(
            owner=f"{meta['namespace']}/{its_labels[TOURNAMENT]}",
            name=meta["name"],
            job=its_labels.get(JOB_SET, "") or its_labels.get("batch.kubernetes.io/job-name", ""),
            model=its_labels.get(MODEL, ""),
            index=int(its_labels.get("batch.kubernetes.io/job-completion-index", "0")),
            phase=status.get("phase", "Pending"),
            exit_code=terminated.get("exitCode"),
            message=terminated.get("message", ""),
            diagnosis=diagnose(document),
            deleting="deletionTimestamp" in meta,
            ended=terminated.get("finishedAt") or "",
            created=seconds(meta["creationTimestamp"]),
            scheduled=_scheduled(document),
            filled=_filled(status),
            gpus=_devices(document),
            uid=meta.get("uid", ""),
            queued=QUEUE in its_labels,
            ip=status.get("podIP", ""),
        )


@dataclass(frozen=True)
class ServiceRecord:
    """An InferenceService, or an LLMInferenceService.

    Attributes:
        kind: which of the two.
        loads: times that it was started.
        started: when it was last started, seconds since the epoch.
        stopped: it is to be down.
        ready: it answers.
        ready_since: when it began to answer; None: it does not.
        unready_since: when it stopped answering; None: it never did, or it does.
        message: KServe's words where it is not ready.
        refused: why none of its pods can be created; empty: they can, as far as is known.
        address: see `address_of`, and `llm_address`.
        claim: the claim that holds its weights; empty: none does.
        rests_until: when one that was given back may be started again; None: it never was.
    """

    owner: str
    owner_uid: str
    name: str
    model: str
    version: str
    loads: int
    started: float
    stopped: bool
    ready: bool
    unready_since: float | None
    message: str
    refused: str
    deleting: bool
    address: str | None
    claim: str = ""
    ready_since: float | None = None
    kind: Kind = SERVICES
    rests_until: float | None = None

    @classmethod
    def of_llm(cls, document: Object) -> ServiceRecord | None:
        """Of an LLMInferenceService as the API server gives it; None: not ours."""
        service = cls.of(document)
        if service is None:
            return None
        address = llm_address(document)
        return replace(service, kind=LLM_SERVICES, refused=llm_refusal(document), address=address)

    @classmethod
    def of(cls, document: Object) -> ServiceRecord | None:
        """Of an object as the API server gives it; None: not ours."""
        meta, status = document["metadata"], document.get("status", {})
        owner = _owner(meta)
        if owner is None:
            return None
        notes = meta.get("annotations", {})
        ready: Object = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
        stale = status.get("observedGeneration", 0) < meta.get("generation", 0)
        is_ready = ready.get("status") == "True" and not stale
        since = seconds(ready["lastTransitionTime"]) if "lastTransitionTime" in ready else None
        return cls(
            owner=f"{meta['namespace']}/{owner[0]}",
            owner_uid=owner[1],
            name=meta["name"],
            model=meta.get("labels", {}).get(MODEL, ""),
            version=notes.get(VERSION, ""),
            loads=int(notes.get(LOADS, "0")),
            started=seconds(notes[STARTED]) if STARTED in notes else seconds(meta["creationTimestamp"]),
            stopped=notes.get(STOP) == "true",
            ready=is_ready,
            unready_since=since if ready.get("status") == "False" else None,
            message=ready.get("message", ""),
            refused=_refused(status, ready),
            deleting="deletionTimestamp" in meta,
            address=address_of(document),
            claim=_claim(document),
            ready_since=since if is_ready else None,
            rests_until=seconds(notes[RESTS_UNTIL]) if RESTS_UNTIL in notes else None,
        )


def _claim(service: Object) -> str:
    spec = service.get("spec", {})
    volumes = (spec.get("predictor") or spec.get("template") or {}).get("volumes", ())
    claims = (one.get("persistentVolumeClaim", {}) for one in volumes if one.get("name") == VOLUME)
    return next((str(claim.get("claimName", "")) for claim in claims), "")


def address_of(service: Object) -> str | None:
    """Scheme, host and port of an InferenceService, as KServe has written them; None: it has not.

    The port is there where the Service has no address of its own (a headless one): a pod answers at its own port.
    """
    status = service.get("status", {})
    url = status.get("address", {}).get("url") or status.get("url")
    if not url:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def parse_indexes(text: str) -> frozenset[int]:
    """A Job's `completedIndexes` or `failedIndexes`: `1,3-5`."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(found)


def seconds(time: str) -> float:
    """RFC 3339 as seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp()


def _owner(meta: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and uid of the Tournament that controls the object."""
    for reference in meta.get("ownerReferences", ()):
        if reference.get("controller") and reference["kind"] == "Tournament":
            return reference["name"], reference["uid"]
    return None


def _filled(status: Mapping[str, Any]) -> Filled | None:
    for container in status.get("initContainerStatuses", ()):
        ended = container.get("state", {}).get("terminated") or {}
        if container["name"] == FILLER and ended.get("exitCode") == 0:
            try:
                return Filled.model_validate_json(ended.get("message", ""))
            except ValidationError:  # KServe's own, or one that brings a trained model
                return None
    return None


def _devices(pod: Object) -> frozenset[str]:
    """Resources whose names have a domain: Kubernetes' own have none."""
    limits = (one.get("resources", {}).get("limits", {}) for one in pod.get("spec", {}).get("containers", ()))
    return frozenset(name for names in limits for name in names if "/" in name)


def _scheduled(pod: Object) -> float | None:
    status = pod.get("status", {})
    condition: Object = next((c for c in status.get("conditions", ()) if c["type"] == "PodScheduled"), {})
    if condition.get("status") == "True" and "lastTransitionTime" in condition:
        return seconds(condition["lastTransitionTime"])
    started = status.get("phase", "Pending") != "Pending" or "nodeName" in pod.get("spec", {})
    return seconds(pod["metadata"]["creationTimestamp"]) if started else None


def _refused(status: Mapping[str, Any], ready: Object) -> str:
    """KServe's words of an InferenceService that it makes no pods of, or whose pods are refused."""
    if ready.get("reason") == "FailedCreate":
        return str(ready.get("message", ""))
    failure = status.get("modelStatus", {}).get("lastFailureInfo", {})
    if ready.get("status") == "True" or failure.get("reason") in (None, *FAILURES_OF_PODS):
        return ""
    return f"{failure['reason']}: {failure.get('message', '')}"


def _suspended_since(status: Mapping[str, Any]) -> float | None:
    one: Object = next((c for c in status.get("conditions", ()) if c["type"] == "Suspended"), {})
    return seconds(one["lastTransitionTime"]) if one.get("status") == "True" and "lastTransitionTime" in one else None


def _terminal(status: Mapping[str, Any]) -> tuple[str, str, float | None]:
    """How a Job ended, why, and when."""
    true = {condition["type"]: condition for condition in status.get("conditions", ()) if condition["status"] == "True"}
    for kind in ("Complete", "Failed", "FailureTarget"):
        if condition := true.get(kind):
            return kind, condition.get("message", ""), seconds(condition["lastTransitionTime"])
    return "", "", None
