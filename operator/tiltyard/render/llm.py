"""A model as a KServe LLMInferenceService: one replica may span nodes. KServe's own configurations fill in the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from tiltyard.api import ModelServing
from tiltyard.render.pods import pod_fields

API_VERSION = "serving.kserve.io/v1alpha2"
PORT = 8000
"""KServe's configurations and its Service leave no choice."""
CONTAINER = "main"
OF_EXPERT: dict[str, Any] = {
    "startupProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1},
    "lifecycle": {"preStop": {"exec": {"command": ["python", "-c", ""]}}},
}
"""A simulated expert starts and ends at once; KServe's configurations give a server of vLLM time for both."""


def llm_spec(
    serving: ModelServing,
    *,
    uri: str,
    name: str,
    container: Mapping[str, Any],
    fields: Mapping[str, Any] | None = None,
    brings_model: bool = True,
) -> dict[str, Any]:
    """The spec of an LLMInferenceService.

    Args:
        serving: of the model.
        uri: of its weights.
        name: by which it is asked.
        container: what our manifest adds to the server's container, or a whole one.
        fields: more of the pods' spec.
        brings_model: KServe is to bring the weights.
    """
    pod = {**pod_fields(serving.pod), **(fields or {}), "containers": [{**container, "name": CONTAINER}]}
    spec: dict[str, Any] = {
        "model": {"uri": uri, "name": name},
        "replicas": serving.replicas,
        "template": {"automountServiceAccountToken": False, **pod},
    }
    if not brings_model:
        spec["storageInitializer"] = {"enabled": False}
    if serving.parallelism is not None:
        spec["parallelism"] = serving.parallelism.model_dump(by_alias=True, mode="json", exclude_defaults=True)
    if serving.worker is not None or serving.nodes > 1:
        spec["worker"] = serving.worker if serving.worker is not None else spec["template"]
    if serving.router is not None:
        spec["router"] = serving.router.model_dump(by_alias=True, mode="json", exclude_none=True)
    if serving.base_refs:
        spec["baseRefs"] = [{"name": reference.name} for reference in serving.base_refs]
    return spec


def quoted(args: Iterable[str]) -> list[str]:
    """A server's arguments as KServe's configurations take them: a shell reads them once more."""
    return [shlex.quote(arg) for arg in args]
