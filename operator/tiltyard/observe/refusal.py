"""Why an object is refused before there is a pod, in one sentence that says what to do next.

The API server refuses what the operator applies; a controller is refused the pods of a Job, and writes that as an event
`FailedCreate` of the Job. Both give the words of whoever refused: a quota, a LimitRange, Pod Security, a policy, a
webhook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from tiltyard.api import LLM
from tiltyard.observe.diagnose import shorten
from tiltyard.observe.kinds import Object

FINAL = frozenset({400, 403, 422})
"""Statuses of refusals that stay until somebody acts; others are an API server's that is busy or not well."""

ADVICE = (
    (r"must specify (?:limits|requests)", "set these in {field}: the namespace's ResourceQuota requires them"),
    (r"exceeded quota: .{1,200} requested: (?:count/|(?:pods|services|configmaps|secrets|persistentvolumeclaims)[=.])",
     "raise the namespace's ResourceQuota, or delete what uses it up"),
    (r"exceeded quota", "raise the namespace's ResourceQuota, or lower {field}"),
    (r"insufficient quota to match", "create a ResourceQuota with this scope, or change what the scope names"),
    (r"violates PodSecurity", "allow it with the namespace's label pod-security.kubernetes.io/enforce"),
    (r"(?:maximum|minimum|ratio) .{0,60}per (?:Container|Pod|PersistentVolumeClaim)"
     r"|must be less than or equal to \S+ limit",
     "change the namespace's LimitRange, or {field}"),
    (r"against any security context constraint",
     "allow the pod's ServiceAccount a SecurityContextConstraints that admits it, or change pod.securityContext"),
    (r"ValidatingAdmissionPolicy", "ask who manages the policy, or change what it names"),
    (r"admission webhook .{1,200} denied the request", "ask who manages the webhook, or change what it names"),
    (r"failed calling webhook", "the webhook does not answer: repair its Service, or delete its configuration"),
    (r"(?i)service ?account .{1,200} not found", "create the ServiceAccount"),
    (r"PriorityClass with name", "create the PriorityClass, or change pod.priorityClassName"),
    (r"RuntimeClass .{1,200} not found", "create the RuntimeClass, or change pod.runtimeClassName"),
    (r"node label selector conflicts",
     "change pod.nodeSelector, or the namespace's annotation scheduler.alpha.kubernetes.io/node-selector"),
    (r"is invalid: \[?spec\.template\.", "change what it names in the manifest's pod"),
    (r"User .{1,200} cannot (?:create|patch|update|delete)",
     "the operator's role lacks this right: install the chart's RBAC"),
    (r"no matches for kind|could not find the requested resource|404 page not found",
     "install what it names, the CRDs and their controller"),
    (r"^RuntimeDisabled", "set the runtime's spec.disabled to false, or name another one by serving.runtime"),
    (r"^NoSupportingRuntime", "add the model format vLLM to the runtime's supportedModelFormats, or name another one by"
     " serving.runtime"),
    (r"^InvalidPredictorSpec", "correct the runtime, or name another one by serving.runtime"),
    (r"^RuntimeNotRecognized",
     "install the ServingRuntime or ClusterServingRuntime that serving.runtime names, or name another one"),
    (r"^ConfigNotFound", "install that LLMInferenceServiceConfig: those named kserve-config-llm-… come with KServe, and"
     " none for a pipeline over nodes; or change serving.baseRefs or serving.parallelism"),
    (r"^RefsInvalid", "create what it names, or change serving.router"),
    (r"is being terminated", "the namespace is being deleted: apply the tournament in another one"),
    (r"unknown field|field not declared in schema", "install the version of its CRD that the documentation names"),
)  # fmt: skip
"""What to do, by the first pattern that is found in the words of whoever refused."""
ELSE = "change what it names; the operator's log has the full response"
BUSY = "the API server is overloaded or unhealthy; no action is needed here"

FIELDS = {
    "Job": "spec.jobs.resources",
    "TrainJob": "spec.training.resources",
    "InferenceService": "serving.resources",
    LLM: "serving.resources",
    "PersistentVolumeClaim": "serving.weights.claim.size",
}
"""The manifest's field that says what an object, or its pods, ask for."""

NAMELESS = re.compile(
    r'^(?:Error creating: |\(combined from similar events\): )+|\b[Pp]ods? "[^"]*" is (?:forbidden|invalid): '
)
"""What differs between two refusals of the same: the name of a pod that never was."""


def refused(kind: str, name: str, status: int, words: str, *, dry_run: bool = False) -> str:
    """A sentence about an object that the API server refuses.

    Args:
        kind: of the object.
        name: likewise.
        status: of the answer.
        words: the answer.
        dry_run: nothing was to be changed.
    """
    said = shorten(words)
    advice = _advice(kind, said)
    if advice == ELSE and status not in FINAL:
        advice = BUSY
    answer = f"{status}, in a dry run" if dry_run else str(status)
    return f"{kind} {name} is refused by the API server ({answer}): {said}; {advice}; it is retried automatically"


def pods_refused(kind: str, name: str, words: str) -> str:
    """A sentence about an object whose pods cannot be created.

    Args:
        kind: of the object.
        name: likewise.
        words: of the controller that creates them.
    """
    said = shorten(NAMELESS.sub("", words))
    return f"no pod of {kind} {name} can be created: {said}; {_advice(kind, said)}; it is retried automatically"


def llm_refused(name: str, words: str) -> str:
    """A sentence about an LLMInferenceService of which KServe cannot make all that it should.

    Args:
        name: its own.
        words: of KServe.
    """
    said = shorten(words)
    return f"KServe cannot set up LLMInferenceService {name}: {said}; {_advice(LLM, said)}"


def of_llm(event: Object, name: str) -> bool:
    """Whether an event is of one of the sets of pods that KServe, or LeaderWorkerSet for it, makes for a model.

    Args:
        event: as `events.k8s.io/v1` has them.
        name: of the LLMInferenceService.
    """
    regarding = event.get("regarding", {})
    return regarding.get("kind") in ("ReplicaSet", "StatefulSet") and regarding["name"].startswith(f"{name}-kserve")


def of_service(event: Object) -> bool:
    """Whether an event says that what KServe makes of an InferenceService is refused. Its other errors pass."""
    return re.search(r"is invalid: |is forbidden: |denied ", event.get("note", "")) is not None


def knows_no_dry_run(words: str) -> bool:
    """Whether a webhook refuses dry runs, whatever the object."""
    return "does not support dry run" in words


def _advice(kind: str, words: str) -> str:
    advice = next((advice for pattern, advice in ADVICE if re.search(pattern, words)), ELSE)
    return advice.format(field=FIELDS.get(kind, "the manifest"))


def latest_failure(events: Iterable[Object], since: float) -> str | None:
    """What the latest of these events says; None: there is none that is later than a moment.

    Args:
        events: as `events.k8s.io/v1` has them.
        since: seconds since the epoch; what was refused before counts no more.
    """
    known = [(moment, event.get("note", "")) for event in events if (moment := last_seen(event)) >= since]
    return max(known, default=(0.0, None))[1]


def last_seen(event: Object) -> float:
    """When an event of `events.k8s.io/v1` was last seen, seconds since the epoch."""
    times = (
        (event.get("series") or {}).get("lastObservedTime"),
        event.get("deprecatedLastTimestamp"),
        event.get("eventTime"),
        event["metadata"]["creationTimestamp"],
    )
    return datetime.fromisoformat(next(time for time in times if time)).timestamp()
