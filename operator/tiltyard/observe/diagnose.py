"""Why a pod does not start, in one sentence that says what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tiltyard.render.names import MODEL, QUEUE, STAGE
from tiltyard.render.train_job import NODE

# What keeps a pod from its work.
QUEUED = "Queued"  # Kueue has not admitted it
UNSCHEDULABLE = "Unschedulable"  # no node takes it
IMAGE_PULL = "ImagePull"  # its image cannot be pulled
NOT_STARTED = "NotStarted"  # its node starts no container of it: a volume, a network
POD_CONFIGURATION = "PodConfiguration"  # a container cannot be created: a ConfigMap, a Secret, a mount
CRASH_LOOP = "CrashLoop"  # a container has ended, and is not back
ENDED_BY_NODE = "EndedByNode"  # its node has evicted it, or would not have it
NOT_ENDING = "NotEnding"  # its worker has ended, and another container stays
PODS_REFUSED = "PodsRefused"  # there is none: it cannot be created

# The kubelet's words for two of them.
IMAGE_REASONS = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable",
    "ImageInspectError", "SignatureValidationFailed",
)  # fmt: skip
CONFIG_REASONS = (
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
    "PreStartHookError", "PostStartHookError",
)  # fmt: skip
KUEUE = "kueue.x-k8s.io/"  # begins the names of its scheduling gates
MAX_LENGTH = 500

# What to do about each thing that a scheduler says of a pod that fits no node.
ROOM = (
    (r"Insufficient|Too many pods", "add nodes, or lower {part}.resources"),
    (r"node\.kubernetes\.io/|were unschedulable", "see why nodes are not ready, or uncordon them"),
    (r"untolerated taint \{(?!node\.kubernetes\.io/)", "tolerate the taint by {part}.pod.tolerations"),
    # Newer schedulers do not say which taint; a node that is not ready has one, too.
    (r"untolerated taint\(s\)", "see the taints in `kubectl describe nodes`: tolerate them by {part}.pod.tolerations,"
     " or have the nodes made ready"),
    (r"(?<!volume )node affinity|selector|topology spread", "label nodes as {part}.pod requires, or change it"),
    (r"pods? (anti-)?affinity|pods anti-affinity", "change {part}.pod.affinity, or see to the pods that it is about"),
    (r"(?i)persistent ?volume|volume node", "check the volume claim that it mounts"),
    (r"(?i)resource ?claim|allocate all claims", "check the resource claims of {part}.pod.resourceClaims"),
)  # fmt: skip

# What to do about each thing for which a node does not start a pod.
ON_NODE = (
    (r"Multi-Attach|already used by", "the volume is free once the pods on the other node are gone"),
    (r"not found|not exist", "create what it names, or change the manifest's field that names it"),
)

# What to do about each thing for which a node ends a pod, or does not admit one that it was given.
BY_NODE = (
    (r"ephemeral|emptyDir|disk|inode", "raise ephemeral-storage in {part}.resources, or give the node more of it"),
    (r"memory", "request as much memory as it uses in {part}.resources"),
    (r"OutOf|UnexpectedAdmission|Allocate failed", "see what `kubectl describe node` says of what it can give"),
)

# What to do about each thing for which an image is not pulled.
ON_PULL = (
    (r"toomanyrequests|429|rate limit", "the registry limits how much is pulled: use a pull secret, or a mirror"),
    (r"x509|certificate", "the node does not trust the registry's certificate: add its authority to the node"),
    (r"dial tcp|no such host|i/o timeout|refused|unreachable|Client\.Timeout|handshake|deadline exceeded|reset by peer",
     "the node does not reach the registry: see to its network, or use an image of a registry that it reaches"),
    (r"no space left", "the node's disk is full: remove images that nobody uses, or use another node"),
)  # fmt: skip

# What to do about each reason for which a container is not created.
ON_CONTAINER = (
    (r"couldn't find key|references non-existent .*key", "add the key, or change the manifest's field that names it"),
    (r"not found", "create what it names, or change the manifest's field that names it"),
    (r"runAsNonRoot|non-root|non-numeric user", "set {part}.pod.securityContext.runAsUser, or another image"),
)

# What the end of a container means that has not begun, whatever it was to do.
NOT_RUN = (
    (r"exec format error|no match for platform", "its image is for another CPU: use one for the node's, or choose such"
     " nodes by pod.nodeSelector"),
    (r"executable file not found|no such file or directory: unknown", "its image has no such command: check the image"),
)  # fmt: skip

# What a server's last words mean, by the first pattern that is found in them.
CLASSES = (
    (r"out of memory|OutOfMemoryError|OOM", "it ran out of GPU memory: give it more GPUs, or lower --max-model-len"),
    (r"401|403|GatedRepo|gated repo|Access.{0,20}denied|Forbidden",
     "the model's source refused access: check the token"),
    (r"404|RepositoryNotFound|NoSuchKey|NoSuchBucket|not found|No such file|does not exist|FileNotFound",
     "the model was not found: check its uri and revision"),
    (r"unrecognized arguments|error: argument", "it refused an argument: check serving.args"),
    (r"max_model_len|KV cache|max seq len", "the model's context does not fit into memory: lower --max-model-len"),
    (r"resolve|getaddrinfo|Connection refused|Max retries|timed out|Network is unreachable",
     "the model's source cannot be reached from the pod: check its network and uri"),
)  # fmt: skip


NOT_ENDING_MESSAGE = (
    "pod {pod} is still there although its worker has ended: container {container} is still running, so the Job cannot"
    " end; let it be injected as a native sidecar (Istio and Linkerd do so by the pod's annotations, if their release"
    " can), or keep it out of these pods with jobs.pod.labels or jobs.pod.annotations, such as sidecar.istio.io/inject"
)
WORKERS = ("worker", NODE)
"""Names of the container that does a Job's, or a TrainJob's, work."""


class Diagnosis(NamedTuple):
    """What keeps a pod from its work.

    Attributes:
        reason: one of the constants above.
        message: a sentence that names the pod and the next action.
    """

    reason: str
    message: str


def diagnose(pod: Mapping[str, Any]) -> Diagnosis | None:
    """What is wrong with a pod that is not running; None where nothing is, or not yet."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") == "Succeeded":
        return None
    if status.get("phase") == "Failed" and (why := status.get("reason")):
        return Diagnosis(ENDED_BY_NODE, f"pod {name} was ended by its node: {_by_node(pod, why)}")
    if (unplaced := _unplaced(pod)) is not None:
        return unplaced
    if (staying := _staying(status)) is not None:
        return Diagnosis(NOT_ENDING, NOT_ENDING_MESSAGE.format(pod=name, container=staying))
    for container in _containers(status):
        if found := _diagnose_container(pod, container):
            return found
    spec = pod.get("spec", {})
    unseen = not any(condition["type"] == "PodScheduled" for condition in status.get("conditions", ()))
    if unseen and "schedulerName" in spec and "nodeName" not in spec and status.get("phase") == "Pending":
        scheduler = spec["schedulerName"]
        check = ", and ".join(("check that it is running", *_unheard(pod)))
        return Diagnosis(UNSCHEDULABLE, f"pod {name} waits for the scheduler {scheduler}: {check}")
    return None


def _unheard(pod: Mapping[str, Any]) -> Iterator[str]:
    """What else to check for a pod of which a scheduler says nothing: claims for which it waits in silence."""
    spec = pod["spec"]
    if claims := ", ".join(claim["name"] for claim in spec.get("resourceClaims", ())):
        yield f"that what {_part(pod)}.pod.resourceClaims names is there ({claims})"
    mounted = (volume.get("persistentVolumeClaim") for volume in spec.get("volumes", ()))
    if claims := ", ".join(claim["claimName"] for claim in mounted if claim):
        # The volume of a class with WaitForFirstConsumer is made once a node is chosen; the pod has none until then.
        yield f"that the volume claims that the pod mounts get a volume ({claims}): `kubectl describe pvc` says more"


def _unplaced(pod: Mapping[str, Any]) -> Diagnosis | None:
    """Why a pod has no node, as its queue, its gates or its scheduler say; None: nothing is said."""
    name = pod["metadata"]["name"]
    gates = [gate["name"] for gate in pod.get("spec", {}).get("schedulingGates", ())]
    if any(gate.startswith(KUEUE) for gate in gates):
        queue = pod["metadata"].get("labels", {}).get(QUEUE, "of its namespace")
        return Diagnosis(QUEUED, f"pod {name} waits until the queue {queue} admits it")
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition.get("reason") == "SchedulingGated" and not gates:
            continue  # its gates have just gone
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            if gates:
                words = f"pod {name} waits until its scheduling gates are removed: {', '.join(gates)}; ask who set them"
                return Diagnosis(UNSCHEDULABLE, words)
            # What the scheduler adds about preemption says nothing that one could do.
            words = shorten(condition.get("message", "no node takes it").partition(" preemption:")[0])
            return Diagnosis(UNSCHEDULABLE, f"pod {name} fits no node: {words.rstrip('.')}; {_room(pod, words)}")
    return None


def not_started(name: str, words: str) -> Diagnosis:
    """What keeps a pod from its work that its node does not start.

    Args:
        name: the pod's.
        words: of the node.
    """
    advice = next((advice for pattern, advice in ON_NODE if re.search(pattern, words)), "ask who manages the node")
    return Diagnosis(NOT_STARTED, f"pod {name} is not started by its node: {words.rstrip('.')}; {advice}")


def _room(pod: Mapping[str, Any], words: str) -> str:
    """What to do about a pod that fits no node."""
    part = _part(pod)
    actions = [action for pattern, action in ROOM if re.search(pattern, words)] or ["add such a node"]
    return f"it starts automatically once it fits a node: {', and '.join(actions).format(part=part)}"


def _by_node(pod: Mapping[str, Any], why: str) -> str:
    """What a node has said of a pod that it has ended, and what to do."""
    words = shorten(pod["status"].get("message", "")).rstrip(".")
    said = f"{why}: {words}" if words else why
    return f"{said}; {_advice(BY_NODE, said, pod) or 'another one takes its place'}"


def _advice(of: Iterable[tuple[str, str]], words: str, pod: Mapping[str, Any]) -> str:
    """What to do about some words, by the first pattern that is found in them; empty: none is."""
    found = (advice for pattern, advice in of if re.search(pattern, words))
    return next(found, "").format(part=_part(pod))


def _part(pod: Mapping[str, Any]) -> str:
    """The part of the manifest that says what a pod is like."""
    its_labels = pod["metadata"].get("labels", {})
    return "serving" if MODEL in its_labels else "training" if its_labels.get(STAGE) == "train" else "jobs"


def _staying(status: Mapping[str, Any]) -> str | None:
    """The container that runs on in a pod whose worker has ended: a sidecar that somebody has put there."""
    states = {one["name"]: one.get("state", {}) for one in status.get("containerStatuses", ())}
    if any("terminated" in states.get(name, ()) for name in WORKERS):
        return next((name for name, state in states.items() if "running" in state), None)
    return None


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def _diagnose_container(document: Mapping[str, Any], container: Mapping[str, Any]) -> Diagnosis | None:
    pod = document["metadata"]["name"]
    waiting = container.get("state", {}).get("waiting", {})
    reason, words = waiting.get("reason", ""), shorten(waiting.get("message", ""))
    if reason in IMAGE_REASONS:
        image = container.get("image", "its image")
        advice = _advice((*NOT_RUN, *ON_PULL), words, document) or "check its name and pull secrets"
        return Diagnosis(IMAGE_PULL, f"pod {pod} cannot pull {image}: {words or reason}; {advice}")
    if reason in CONFIG_REASONS:
        advice = _advice((*NOT_RUN, *ON_CONTAINER), words, document) or "`kubectl describe pod` says more"
        told = f"pod {pod} cannot start container {container['name']}: {words or reason}; {advice}"
        return Diagnosis(POD_CONFIGURATION, told)
    last = container.get("lastState", {}).get("terminated") or container.get("state", {}).get("terminated")
    if last is None or (last.get("exitCode") == 0 and not container.get("restartCount")) or container.get("ready"):
        return None
    return Diagnosis(CRASH_LOOP, f"pod {pod}, container {container['name']} {_how_it_ended(document, last)}")


def _how_it_ended(pod: Mapping[str, Any], terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason") == "OOMKilled":
        return f"ran out of memory and was killed: raise its memory limit ({_part(pod)}.resources)"
    code, words = terminated.get("exitCode"), terminated.get("message", "")
    meaning = next((meaning for pattern, meaning in (*NOT_RUN, *CLASSES) if re.search(pattern, words)), "see its log")
    said = last_words(words)
    return f"ended with exit code {code}: {meaning}" + (f' (it said: "{said}")' if said else "")


def last_words(text: str) -> str:
    """The line of a log's end that says most: the last that names an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|exception|fatal|not found", line, re.IGNORECASE)]
    return shorten((errors or lines or [""])[-1])


def shorten(text: str) -> str:
    """One line of printable characters: what a process says is no more trusted than what a model says."""
    line = re.sub(r"[^!-~]+", " ", text).strip()
    return line if len(line) <= MAX_LENGTH else f"{line[:MAX_LENGTH]}…"
