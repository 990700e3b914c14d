"""Which KServe is installed, as far as the schema of its InferenceServices tells."""

from __future__ import annotations

from typing import Final

from tiltyard.observe.kinds import SERVICES, Object

OLDEST: Final = "0.16"
"""The oldest KServe that is supported: the first that knows the deployment mode `Standard` by this name."""
SINCE_OLDEST: Final = "storageUris"
"""A field of a predictor that the CRD has from then on."""
TOO_OLD: Final = (
    f"the installed KServe is older than {OLDEST} (its InferenceServices have no spec.predictor.{SINCE_OLDEST}): it"
    f" may not serve models as plain Deployments; upgrade it to {OLDEST} or later"
)


def is_supported(schema: Object) -> bool:
    """Whether a document of OpenAPI v3 is of a KServe that we support; a CRD without a schema may be of any."""
    for definition in schema.get("components", {}).get("schemas", {}).values():
        kinds = definition.get("x-kubernetes-group-version-kind", ())
        if any(kind["kind"] == SERVICES.kind for kind in kinds):
            spec = definition.get("properties", {}).get("spec", {})
            predictor = spec.get("properties", {}).get("predictor", {}).get("properties", {})
            return not predictor or SINCE_OLDEST in predictor
    return True
