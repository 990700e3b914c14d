"""The InferenceServices that are applied, read as KServe's own typed models: every field is one that KServe knows."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import kserve.models
import kubernetes.client.models
import pytest

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.plan.build import build_graph
from tiltyard.render.serving import inference_service

POD = {
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}],
    "volumes": [{"name": "cache", "emptyDir": {}}],
    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    "imagePullSecrets": [{"name": "mirror"}],
    "priorityClassName": "high",
    "serviceAccountName": "models",
}
GPU = {"limits": {"nvidia.com/gpu": "1"}}
SERVING = {"args": ["--max-model-len=4096"], "replicas": 2, "resources": GPU, "pod": POD}
TOURNAMENT = cluster_tournament(
    players=[
        {"name": "sim", "model": {"uri": "sim://sim"}, "serving": {"pod": POD}},
        {"name": "hub", "model": {"uri": "hf://org/name", "revision": "main"}, "serving": SERVING},
        {"name": "claim", "model": {"uri": "pvc://models/claim"}},
    ],
    curation={"decontaminate": []},
    training={"baseModel": {"uri": "pvc://models/base"}},
    evaluation={"benchmarks": ["humaneval"], "allowCodeExecution": True, "serving": SERVING},
)


def typed(kind: str, data: Any, path: str = "") -> Any:
    """An object of a typed model; an unknown field fails."""
    if data is None or kind == "object":
        return data
    # `list[X]`, `List[X]`; `dict(str, X)`, `Dict[str, X]`
    if kind[:5].lower() == "list[":
        return [typed(kind[5:-1], item, f"{path}[{at}]") for at, item in enumerate(data)]
    if kind[:4].lower() == "dict":
        _, _, inner = kind[5:-1].partition(", ")
        return {name: typed(inner, item, f"{path}.{name}") for name, item in data.items()}
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind, None)
    if model is None:
        plain: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}
        assert isinstance(data, plain[kind]), f"{path} is {data!r}, not {kind}"
        return data
    fields = {wire: name for name, wire in model.attribute_map.items()}
    assert set(data) <= set(fields), f"{path} has {sorted(set(data) - set(fields))}, which {kind} has not"
    kinds = {wire: model.openapi_types[name] for wire, name in fields.items()}
    return model(**{fields[wire]: typed(kinds[wire], item, f"{path}.{wire}") for wire, item in data.items()})


@pytest.mark.parametrize("model", build_graph(TOURNAMENT).models, ids=lambda model: model.name)
def test_kserve_knows_every_field(model: Any) -> None:
    service = inference_service(TOURNAMENT, model, SETTINGS, loads=1, started="2026-01-01T00:00:00+00:00")
    read = typed("V1beta1InferenceService", service)
    assert isinstance(read, kserve.models.V1beta1InferenceService)
    assert read.metadata.annotations["serving.kserve.io/deploymentMode"] == "Standard"


def test_a_field_that_kserve_has_not_is_found() -> None:
    with pytest.raises(AssertionError, match="replicas"):
        typed("V1beta1InferenceService", {"spec": {"predictor": {"replicas": 1}}})
