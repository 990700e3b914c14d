"""Which KServe is installed, by the schema of its InferenceServices."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard.observe.kserve import is_supported


def schema(predictor: dict[str, Any] | None, kind: str = "InferenceService") -> dict[str, Any]:
    spec: dict[str, Any] = {"properties": {"predictor": {"properties": predictor}}} if predictor is not None else {}
    definition = {"properties": {"spec": spec}, "x-kubernetes-group-version-kind": [{"kind": kind}]}
    return {"components": {"schemas": {"a": {}, "b": definition}}}


@pytest.mark.parametrize(
    ("document", "supported"),
    [
        (schema({"model": {}, "storageUris": {}}), True),
        (schema({"model": {}}), False),
        (schema(None), True),  # the CRD without a schema
        (schema({"model": {}}, "InferenceServiceList"), True),
        ({}, True),
    ],
)
def test_one_that_is_too_old_has_no_such_field(document: dict[str, Any], supported: bool) -> None:
    assert is_supported(document) is supported
