"""What is applied for a manifest, object by object: a change of `golden/` is a change of what people's clusters run.

Digests of documents that are elsewhere, and the recipes in a task, are left out. After a change that is meant:
`python -m pytest tests/unit/render/test_golden_objects.py --write-golden`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.api import Tournament, tournament_from_object
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.planner import JobOrder
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import bundle_objects, cluster_preflight_task, preflight_objects, preflight_version
from tiltyard.render.serving import FETCH, inference_service, service_url, with_service_urls
from tiltyard.render.tasks import bundle_task
from tiltyard.render.train_job import runtime_of, train_job_objects
from tiltyard.render.worker_pod import store_ref

GOLDEN = Path(__file__).parent / "golden"
FULL = Path(__file__).parents[1] / "api" / "samples" / "valid" / "full.yaml"
STARTED = "2026-01-01T00:00:00Z"
OTHER_IMAGES = ClusterSettings(
    worker_image="registry.example/worker:1",
    pull_policy="Always",
    pull_secrets=("pull",),
    domain="example.local",
    trainer_image="registry.example/trainer:1",
    trainer_python="/opt/train/bin/python",
    lm_eval_image="registry.example/lm-eval:1",
    lm_eval_python="/opt/lm-eval/bin/python",
)


def full() -> Tournament:
    document = yaml.safe_load(FULL.read_text())
    document["metadata"] |= {"uid": "u-1", "generation": 1}
    return tournament_from_object(document)


def with_endpoints() -> Tournament:
    key = {"name": "keys", "key": "vectors"}
    endpoint = {"url": "kserve://shared/vectors?path=/openai/v1", "model": "v", "apiKeySecretRef": key}
    embedder = {"method": "Endpoint", "endpoint": endpoint}
    return cluster_tournament(
        players=[
            {"name": "a", "model": {"uri": "sim://a?skill=0.5"}, "serving": {"replicas": 2, "args": ["--seed=1"]}},
            {"name": "b", "endpoint": {"url": "kserve://b", "model": "m"}},
            {"name": "c", "endpoint": {"url": "https://c.example/v1", "model": "m",
                                       "apiKeySecretRef": {"name": "keys", "key": "c"}}},
        ],
        judges=1,
        curation={"decontaminate": ["humaneval"], "diversity": {"embedder": embedder}},
        training={
            "baseModel": {"uri": "pvc://models/some/base", "license": "mit"},
            "resources": {"limits": {"nvidia.com/gpu": "2"}, "requests": {"cpu": "4"}},
            "trainer": {"deviceBatchSize": 4},
            "pod": {"env": [{"name": "A", "value": "b"}], "volumes": [{"name": "cache", "emptyDir": {}}],
                    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]},
        },
        evaluation={"benchmarks": ["humaneval"], "allowCodeExecution": True},
        output={"s3": {"uri": "s3://bucket/prefix", "serviceAccountName": "writer"}},
    )  # fmt: skip


VARIANTS: dict[str, tuple[Callable[[], Tournament], ClusterSettings]] = {
    "full": (full, OTHER_IMAGES),
    "endpoints": (with_endpoints, replace(SETTINGS, pull_secrets=("pull",))),
}


def objects(tournament: Tournament, settings: ClusterSettings) -> Iterator[dict[str, Any]]:
    """Preflight's, those of a bundle of each stage and kind of model, and all models'."""
    graph, resolved = build_graph(tournament), with_service_urls(tournament, settings, {})
    preflight = cluster_preflight_task(resolved, graph)
    for document in preflight_objects(tournament, preflight, settings):
        yield masked(document, preflight_version(preflight))
    for bundle in chosen(graph):
        order = JobOrder(bundle, bundle.missing({}))
        served = bundle.model is not None and graph.model[bundle.model].served
        url = service_url(tournament, bundle.model, settings) if served and bundle.model else None
        task = bundle_task(resolved, order, store_ref(tournament), url, served_as="served" if served else None)
        made = bundle_objects if runtime_of(tournament, bundle) is None else train_job_objects
        for document in made(tournament, order, task, settings):
            yield masked(document, bundle.version)
    for model in graph.models:
        if model.served:
            service = inference_service(tournament, model, settings, loads=3, started=STARTED)
            yield masked(service, model.version)


# One of the stages that are rendered alike.
STAGES = ("mine", "filter", "judge", "train", "references", "questions", "score", "report")


def chosen(graph: Graph) -> list[Bundle]:
    """The first bundle of each kind: by stage, by whether its model is served, and of those that score by benchmark."""
    first: dict[object, Bundle] = {}
    for bundle in graph.bundles:
        served = bundle.model is None or graph.model[bundle.model].served
        benchmark = (bundle.about or "").rpartition("/")[2] if bundle.stage == "score" else None
        if bundle.stage in STAGES:
            first.setdefault((bundle.stage, served, benchmark), bundle)
    return list(first.values())


def masked(document: dict[str, Any], version: str) -> dict[str, Any]:
    """Without digests, and with the task as a document of its own without what is held elsewhere."""
    name = document["metadata"]["name"]
    text = json.dumps(document).replace(name, f"{name.rpartition('-')[0]}-DIGEST").replace(version, "VERSION")
    found: dict[str, Any] = json.loads(text)
    if "data" in found:
        (key,) = found["data"]
        task = json.loads(found["data"][key])
        for held in ("artifacts", "recipes", "taskSets", "indices", "run"):
            if held in task:
                task[held] = f"{len(task[held])} of them"
        task["lmEval"] = [[one["field"], one["metric"]] for one in task.get("lmEval", [])]
        found["data"] = {key: {name: value for name, value in task.items() if value not in (None, [], {}, "")}}
    predictor = found.get("spec", {}).get("predictor", {})
    if FETCH in predictor.get("annotations", {}):
        fetch = json.loads(predictor["annotations"][FETCH])
        key, fetch["model"]["key"] = fetch["model"]["key"], "KEY"
        predictor["annotations"][FETCH] = fetch
        predictor["model"]["storageUri"] = predictor["model"]["storageUri"].replace(key, "KEY")
    return found


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@pytest.mark.parametrize("name", VARIANTS)
def test_objects_are_as_they_were(name: str, request: pytest.FixtureRequest) -> None:
    make, settings = VARIANTS[name]
    found = list(objects(make(), settings))
    path = GOLDEN / f"{name}.yaml"
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            yaml.dump_all(found, Dumper=_Plain, sort_keys=False, width=120, default_flow_style=None), encoding="utf-8"
        )
    expected = list(yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader))
    assert [title(one) for one in found] == [title(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == other, title(one)


def title(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"
