"""What the operator keeps in memory of each object: a small frozen record of what the plan needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tiltyard.observe.diagnose import UNSCHEDULABLE, WORKERS, Diagnosis, diagnose
from tiltyard.observe.documents import (
    Controller,
    address_of,
    claim_of,
    controller_of,
    devices_of,
    filled_of,
    is_unstarted,
    owner_of,
    parse_indexes,
    refused_of,
    scheduled_of,
    seconds,
    suspended_since_of,
    terminal_of,
)
from tiltyard.observe.kinds import JOBS, LLM_SERVICES, MAKERS_OF_MODELS, SERVICES, TRAIN_JOBS, Kind, Object
from tiltyard.observe.llm import llm_address, llm_refusal
from tiltyard.plan.planner import TournamentState
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
    job_prefix,
    service_name,
)
from tiltyard.status.conditions import INVALID
from tiltyard.status.objects import status_of
from tiltyard_jobs.contracts.weights import Filled

JOB_NAME = "batch.kubernetes.io/job-name"
JOB_SET = "jobset.sigs.k8s.io/jobset-name"
"""Label of a TrainJob's pods: its name, and so its JobSet's."""
RESTS = frozenset({*TournamentState, INVALID}) - {TournamentState.RUNNING}
"""Phases of a tournament at which it wants nothing."""


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

    @property
    def age(self) -> tuple[str, str]:
        """Sorts tournaments by when they were created."""
        return self.document["metadata"]["creationTimestamp"], self.owner

    @property
    def suspended(self) -> bool:
        """Whether its user wants it to hold nothing, whatever else the manifest says."""
        return self.document.get("spec", {}).get("suspend") is True

    @cached_property
    def rests(self) -> bool:
        """Whether it wants no room."""
        return "deletionTimestamp" in self.document["metadata"] or status_of(self.document).phase in RESTS


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
        owner = owner_of(meta)
        if owner is None:
            return None
        notes = meta.get("annotations", {})
        terminal, why, finished = terminal_of(status)
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
            suspended_since=suspended_since_of(status),
        )


@dataclass(frozen=True)
class PodRecord:
    """A pod of a Job or of a model, believed by who controls it: anybody sets labels.

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
        job_uid: of the Job that controls it; empty for a model's pod.
        unstarted: a node has it, and has started none of its containers.
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
    job_uid: str = ""
    unstarted: bool = False

    @classmethod
    def of(cls, document: Object) -> PodRecord | None:
        """Of an object as the API server gives it; None: not ours."""
        meta, status = document["metadata"], document.get("status", {})
        its_labels = meta.get("labels", {})
        controller = controller_of(meta)
        if TOURNAMENT not in its_labels or controller is None or not _is_as_labelled(its_labels, controller):
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
            job=(job := _job_of(its_labels)),
            model="" if job else its_labels.get(MODEL, ""),
            index=int(its_labels.get("batch.kubernetes.io/job-completion-index", "0")),
            phase=status.get("phase", "Pending"),
            exit_code=terminated.get("exitCode"),
            message=terminated.get("message", ""),
            diagnosis=diagnose(document),
            deleting="deletionTimestamp" in meta,
            ended=terminated.get("finishedAt") or "",
            created=seconds(meta["creationTimestamp"]),
            scheduled=scheduled_of(document),
            filled=filled_of(status),
            gpus=devices_of(document),
            uid=meta.get("uid", ""),
            queued=QUEUE in its_labels,
            ip=status.get("podIP", ""),
            job_uid=controller.uid if job else "",
            unstarted=is_unstarted(document),
        )

    @property
    def group(self) -> tuple[str, str]:
        """Alike for all pods of a Job, and for all of a model."""
        return self.job, "" if self.job else self.model

    @property
    def asked_as(self) -> tuple[str, str, str]:
        """Alike for the pods of a group that wait for a node; its own for a pod that waits for its node to start it."""
        return *self.group, self.name if self.unstarted else ""

    @property
    def unfinished(self) -> bool:
        """Whether it has not ended; it may be about to be deleted."""
        return self.phase in ("Pending", "Running")

    @property
    def is_there(self) -> bool:
        """Whether it takes room, or wants some."""
        return self.unfinished and not self.deleting

    @property
    def fits_no_node(self) -> bool:
        """Whether the scheduler finds no room for it."""
        return self.diagnosis is not None and self.diagnosis.reason == UNSCHEDULABLE


def _job_of(its_labels: Mapping[str, str]) -> str:
    """The Job or TrainJob of a pod, by its labels; empty: it is a model's."""
    return its_labels.get(JOB_SET, "") or its_labels.get(JOB_NAME, "")


def _is_as_labelled(its_labels: Mapping[str, str], controller: Controller) -> bool:
    """Whether a pod is controlled by what makes pods of the Job or model that its labels name.

    A controller that does not exist, by name and uid, needs no look: the garbage collector deletes what it controls.
    """
    tournament, job, model = its_labels[TOURNAMENT], _job_of(its_labels), its_labels.get(MODEL, "")
    if job:
        is_its = controller.name.startswith(f"{job}-") if JOB_SET in its_labels else controller.name == job
        return is_its and controller.is_a(JOBS) and job.startswith(job_prefix(tournament))
    services = (service_name(tournament, model, llm=llm) for llm in (False, True))
    return any(map(controller.is_a, MAKERS_OF_MODELS)) and any(
        controller.name.startswith(f"{service}-") for service in services
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
        owner = owner_of(meta)
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
            refused=refused_of(status, ready),
            deleting="deletionTimestamp" in meta,
            address=address_of(document),
            claim=claim_of(document),
            ready_since=since if is_ready else None,
            rests_until=seconds(notes[RESTS_UNTIL]) if RESTS_UNTIL in notes else None,
        )
