"""Names, labels and annotations of a Tournament's children: one place for all of them."""

from __future__ import annotations

import re
from typing import Any, Final

from tiltyard.api import Tournament
from tiltyard_jobs.contracts.frozen import digest

MANAGER: Final = "tiltyard"
"""The field manager of all that the operator applies, and the label by which it finds its children."""

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
COMPONENT: Final = "app.kubernetes.io/component"
TOURNAMENT: Final = "tiltyard.dev/tournament"
STAGE: Final = "tiltyard.dev/stage"
MODEL: Final = "tiltyard.dev/model"
QUEUE: Final = "kueue.x-k8s.io/queue-name"
"""Label: Kueue's LocalQueue that admits the object; likewise the next two, of what the queue admits."""
PRIORITY: Final = "kueue.x-k8s.io/priority-class"
MAX_TIME: Final = "kueue.x-k8s.io/max-exec-time-seconds"
MIN_PARALLELISM: Final = "kueue.x-k8s.io/job-min-parallelism"
"""Annotation of a Job: Kueue may admit it with so few pods at once."""

VERSION: Final = "tiltyard.dev/version"
"""Annotation: the digest that the child was made for (`Bundle.version`, `ModelNode.version`)."""
BUNDLE: Final = "tiltyard.dev/bundle"
"""Annotation of a Job: the bundle's name, `judge/qwen/llama`."""
PARTS: Final = "tiltyard.dev/parts"
"""Annotation of a Job: which parts of its bundle its indices make (`pack_bits`)."""
GENERATION: Final = "tiltyard.dev/generation"
"""Annotation of a Job: the Tournament's generation that its pods are of."""
RESULT: Final = "tiltyard.dev/result"
"""Annotation of an ended Job: what its pods reported, kept for when they are gone."""
LOADS: Final = "tiltyard.dev/loads"
"""Annotation of an InferenceService: times that it was started."""
STARTED: Final = "tiltyard.dev/started"
"""Annotation of an InferenceService: when it was last started, RFC 3339."""
RESTS_UNTIL: Final = "tiltyard.dev/rests-until"
"""Annotation of an InferenceService that was given back: when it may be started again, RFC 3339."""
SUSPENDED: Final = "tiltyard.dev/suspended"
"""Annotation of a Job: the operator has suspended it, and nobody else."""
STOP: Final = "serving.kserve.io/stop"
CLUSTER_LOCAL: Final = {"networking.kserve.io/visibility": "cluster-local"}
"""Label of an InferenceService: KServe makes no Ingress or route for it, where the default is to publish it."""

# A pod's name is its Job's and `-<index>-<five letters>`, or its TrainJob's and `-node-0-<index>-<five letters>`; a
# Service's is `<InferenceService>-predictor`. All are DNS labels of at most 63 characters, a TrainJob's as of RFC 1035.
JOB_NAME_LENGTH: Final = 44
SERVICE_NAME_LENGTH: Final = 50
# A pod of an LLMInferenceService that spans nodes is of the StatefulSet `<name>-kserve-mn-<replica>`, whose name and a
# digest are a label of it.
LLM_NAME_LENGTH: Final = 39

DIGEST_LENGTH: Final = 8


def child_name(tournament: str, *parts: str, length: int) -> str:
    """A DNS label that is unique to the parts: readable as far as there is room, then a digest of all.

    Args:
        tournament: the owner's name.
        parts: what tells the child from its siblings.
        length: at most this many characters.
    """
    tail = digest("/".join((tournament, *parts)).encode())[:DIGEST_LENGTH]
    # A long tournament's name leaves room for what tells its children apart.
    readable = _readable("-".join((tournament[: length // 2], *parts)))
    return f"{readable[: length - len(tail) - 1].strip('-')}-{tail}"


def _readable(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower())


def job_name(tournament: str, bundle: str, version: str) -> str:
    """The name of a bundle's Job or TrainJob and of its ConfigMap: it begins with a letter."""
    return _with_letter(child_name(tournament, *bundle.split("/"), version, length=JOB_NAME_LENGTH - 1))


def job_prefix(tournament: str) -> str:
    """What the names of all of a tournament's Jobs and TrainJobs begin with."""
    return _with_letter(f"{_readable(tournament[: (JOB_NAME_LENGTH - 1) // 2])}-")


def _with_letter(name: str) -> str:
    return name if name[0].isalpha() else f"t{name}"


def service_name(tournament: str, model: str, *, llm: bool = False) -> str:
    """The name of a model's InferenceService, or LLMInferenceService."""
    if llm:
        return child_name(tournament, model, "llm", length=LLM_NAME_LENGTH)
    return child_name(tournament, model, length=SERVICE_NAME_LENGTH)


def labels(tournament: Tournament, component: str, **more: str) -> dict[str, str]:
    """The labels of a child and of its pods."""
    return {MANAGED_BY: MANAGER, COMPONENT: component, TOURNAMENT: tournament.metadata.name, **more}


def queue_labels(tournament: Tournament, *keys: str) -> dict[str, str]:
    """Those labels of a Tournament with a queue by which Kueue admits a child: the queue's, and these."""
    given = tournament.metadata.labels
    return {key: given[key] for key in (QUEUE, *keys) if key in given} if given.get(QUEUE) else {}


def child_metadata(
    tournament: Tournament, name: str, child_labels: dict[str, str], annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    """A child's metadata: it belongs to the Tournament and goes with it."""
    meta = tournament.metadata
    owner = {
        "apiVersion": tournament.api_version,
        "kind": tournament.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
    }
    return {
        "name": name,
        "namespace": meta.namespace,
        "labels": child_labels,
        **({"annotations": annotations} if annotations else {}),
        "ownerReferences": [owner],
    }
