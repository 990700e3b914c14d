"""Which KServe is installed, as far as the schemas of its objects tell."""

from __future__ import annotations

from typing import Final

from tiltyard.observe.kinds import LLM_SERVICES, SERVICES, Kind, Object

OLDEST: Final = "0.16"
"""The oldest KServe that is supported: the first that knows the deployment mode `Standard` by this name."""
SINCE_OLDEST: Final = "storageUris"
"""A field of a predictor that the CRD has from then on."""
TOO_OLD: Final = (
    f"the installed KServe is older than {OLDEST} (its InferenceServices have no spec.predictor.{SINCE_OLDEST}): it"
    f" may not serve models as plain Deployments; upgrade it to {OLDEST} or later"
)
LLM_OLDEST: Final = "0.20"
"""The oldest KServe whose LLMInferenceServices are supported: its configurations read a server's arguments as ours are
written."""
LLM_SINCE_OLDEST: Final = "tracing"
"""A field of an LLMInferenceService's spec that the CRD has from then on."""
LLM_TOO_OLD: Final = (
    f"the installed KServe is older than {LLM_OLDEST} (its LLMInferenceServices have no spec.{LLM_SINCE_OLDEST}): their"
    f" servers may not get serving.args as they are written; upgrade it to {LLM_OLDEST} or later"
)


def is_supported(schema: Object) -> bool:
    """Whether a document of OpenAPI v3 is of a KServe that we support; a CRD without a schema may be of any."""
    predictor = _spec(schema, SERVICES).get("predictor", {}).get("properties", {})
    return not predictor or SINCE_OLDEST in predictor


def is_llm_supported(schema: Object) -> bool:
    """Likewise, for LLMInferenceServices."""
    spec = _spec(schema, LLM_SERVICES)
    return not spec or LLM_SINCE_OLDEST in spec


def _spec(schema: Object, kind: Kind) -> Object:
    """What the spec of a kind may have; empty: its schema says nothing."""
    for definition in schema.get("components", {}).get("schemas", {}).values():
        if any(one["kind"] == kind.kind for one in definition.get("x-kubernetes-group-version-kind", ())):
            found: Object = definition.get("properties", {}).get("spec", {}).get("properties", {})
            return found
    return {}
