"""The pod as the cluster wants it: the manifest's fields over the chart's, what is copied, and bounded containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.api import PodPatch, Resources, Tournament
from tiltyard.api.pods import TRAINING_PATHS, TRAINING_VOLUMES, WORKER_PATHS, WORKER_VOLUMES
from tiltyard.render.children import in_order, one_of_each_kind, prepare
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings
from tiltyard.render.defaults import merged
from tiltyard.render.pods import resource_fields

POD: dict[str, Any] = {
    "labels": {"team": "nlp", "tiltyard.dev/tournament": "taken"},
    "annotations": {"example.com/note": "a\nb"},
    "runtimeClassName": "kata",
    "schedulerName": "volcano",
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "securityContext": {"runAsUser": 1000700000, "fsGroup": 1000700000},
    "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
}
WHOLE: dict[str, Any] = {
    "training": {"baseModel": {"uri": "hf://org/base"}},
    "evaluation": {
        "benchmarks": ["humaneval"], "allowCodeExecution": True,
        "environments": [{"benchmark": "humaneval", "image": "registry.example/env:1"}],
    },
}  # fmt: skip


OBJECTS = {"models": "InferenceService", "workers": "Job", "training": "Job"}


def patch(**fields: Any) -> PodPatch:
    return PodPatch.model_validate_json(json.dumps(fields))


def with_children(**children: Any) -> ClusterSettings:
    return replace(SETTINGS, children=ChildrenSettings.model_validate_json(json.dumps(children)))


def made(tournament: Tournament, settings: ClusterSettings = SETTINGS) -> list[dict[str, Any]]:
    return [child.body for child in in_order(prepare(tournament, settings, ""), settings)]


def pods(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Of each pod of an object: its metadata, its spec and its main container."""
    if body["kind"] == "InferenceService":
        spec = body["spec"]["predictor"]
        yield spec, spec, spec.get("model") or spec["containers"][0]
    elif body["kind"] == "Job":
        template = body["spec"]["template"]
        yield template["metadata"], template["spec"], template["spec"]["containers"][0]


def check_pod(meta: dict[str, Any], spec: dict[str, Any], container: dict[str, Any]) -> None:
    assert meta["labels"]["team"] == "nlp"
    assert meta["labels"]["tiltyard.dev/tournament"] == "test"
    assert meta["annotations"]["example.com/note"] == "a\nb"
    assert "labels" not in spec or spec is meta
    assert {name: spec[name] for name in POD if name not in ("labels", "annotations", "securityContext")} == {
        name: POD[name] for name in POD if name not in ("labels", "annotations", "securityContext")
    }
    assert spec["securityContext"].items() >= POD["securityContext"].items()
    assert container["resources"]["claims"] == [{"name": "gpu"}]


def test_a_pod_has_what_its_part_of_the_manifest_says() -> None:
    players = [{"name": name, "model": {"uri": f"hf://org/{name}"}, "serving": {"pod": POD}} for name in "abc"]
    whole = WHOLE | {"training": {**WHOLE["training"], "pod": POD}, "jobs": {"pod": POD}}
    whole["evaluation"] = {**WHOLE["evaluation"], "serving": {"pod": POD}}
    found = [pod for body in made(cluster_tournament(3, players=players, **whole)) for pod in pods(body)]
    assert len(found) > 10
    for pod in found:
        check_pod(*pod)


def test_the_charts_defaults_are_in_the_pods_of_their_kind_alone() -> None:
    for kind, body_kind in OBJECTS.items():
        for body in made(cluster_tournament(3, **WHOLE), with_children(pods={kind: POD})):
            for meta, spec, container in pods(body):
                is_training = "train" in meta["labels"].get("tiltyard.dev/stage", "")
                if body["kind"] == body_kind and is_training == (kind == "training"):
                    check_pod(meta, spec, container)
                else:
                    assert "team" not in meta["labels"]
                    assert "runtimeClassName" not in spec


def test_the_manifest_takes_precedence_over_the_chart() -> None:
    low = patch(
        labels={"a": "1", "b": "1"}, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
        volumes=[{"name": "v", "emptyDir": {}}], volumeMounts=[{"name": "v", "mountPath": "/v"}],
        tolerations=[{"key": "k", "operator": "Exists"}], securityContext={"runAsUser": 1, "fsGroup": 2},
        schedulerName="low", runtimeClassName="low",
    )  # fmt: skip
    high = patch(
        labels={"b": "2"}, env=[{"name": "B", "value": "2"}], volumes=[{"name": "w", "emptyDir": {}}],
        volumeMounts=[{"name": "w", "mountPath": "/v"}], tolerations=[{"key": "k", "operator": "Exists"}],
        securityContext={"fsGroup": 3}, schedulerName="high",
    )  # fmt: skip
    assert merged(low, high) == patch(
        labels={"a": "1", "b": "2"}, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
        volumeMounts=[{"name": "w", "mountPath": "/v"}], tolerations=[{"key": "k", "operator": "Exists"}] * 2,
        securityContext={"runAsUser": 1, "fsGroup": 3}, schedulerName="high", runtimeClassName="low",
    )  # fmt: skip
    assert merged(low, patch()) == low
    assert merged(patch(), high) == high


def test_listed_labels_and_annotations_reach_every_child_and_pod() -> None:
    tournament = cluster_tournament(3, **WHOLE)
    given = {"team": "nlp", "cost.example.com/center": "4711", "other": "x", "tiltyard.dev/stage": "taken"}
    meta = tournament.metadata.model_copy(update={"labels": given, "annotations": given})
    tournament = tournament.model_copy(update={"metadata": meta})
    listed = ["team", "cost.example.com/*", "tiltyard.dev/stage"]
    found = made(tournament, with_children(copiedLabels=listed, copiedAnnotations=listed))
    assert {body["kind"] for body in found} == {"ConfigMap", "Job", "InferenceService"}
    for body in found:
        for one in (body["metadata"], *(pod[0] for pod in pods(body))):
            for part in ("labels", "annotations"):
                assert one[part].items() >= {"team": "nlp", "cost.example.com/center": "4711"}.items()
                assert "other" not in one[part]
        if body["kind"] != "InferenceService":
            assert body["metadata"]["labels"]["tiltyard.dev/stage"] != "taken"
    assert all("team" not in body["metadata"]["labels"] for body in made(tournament))


def test_every_container_of_ours_has_requests_and_limits() -> None:
    counted = 0
    for body in made(cluster_tournament(3, **WHOLE)):
        for _, spec, main in pods(body):
            served = body["kind"] == "InferenceService"
            ours = [*([] if served and "model" in spec else [main]), *spec.get("initContainers", ())]
            for container in ours:
                for part in ("requests", "limits"):
                    assert container["resources"][part].keys() >= {"cpu", "memory"}, (body["kind"], container["name"])
                counted += 1
    assert counted > 20


@pytest.mark.parametrize(
    ("given", "limits", "requests"),
    [
        ({}, {"cpu": "4", "memory": "8Gi"}, {"cpu": "500m", "memory": "512Mi"}),
        ({"requests": {"memory": "16Gi"}}, {"cpu": "4", "memory": "16Gi"}, {"cpu": "500m", "memory": "16Gi"}),
        ({"requests": {"memory": "1Gi"}}, {"cpu": "4", "memory": "8Gi"}, {"cpu": "500m", "memory": "1Gi"}),
        ({"limits": {"memory": "256Mi"}}, {"cpu": "4", "memory": "256Mi"}, {"cpu": "500m", "memory": "256Mi"}),
        ({"limits": {"amd.com/gpu": "1"}}, {"cpu": "4", "memory": "8Gi", "amd.com/gpu": "1"},
         {"cpu": "500m", "memory": "512Mi", "amd.com/gpu": "1"}),
    ],
)  # fmt: skip
def test_what_has_a_request_has_a_limit(
    given: dict[str, Any], limits: dict[str, str], requests: dict[str, str]
) -> None:
    resources = Resources.model_validate_json(json.dumps(given))
    fields = resource_fields(
        resources, requests={"cpu": "500m", "memory": "512Mi"}, limits={"cpu": "4", "memory": "8Gi"}
    )
    assert fields == {"limits": limits, "requests": requests}


def test_a_model_is_tried_beforehand_with_each_pod_that_the_manifest_has() -> None:
    players = [
        {"name": "a", "model": {"uri": "hf://org/a"}},
        {"name": "b", "model": {"uri": "hf://org/b"}},
        {"name": "c", "model": {"uri": "hf://org/c"}, "serving": {"pod": {"runtimeClassName": "nvidia"}}},
    ]
    prepared = prepare(cluster_tournament(3, players=players, **WHOLE), SETTINGS, "")
    tried = list(one_of_each_kind(prepared.tournament, prepared.graph, prepared.preflight, SETTINGS))
    classes = [one["spec"]["predictor"].get("runtimeClassName") for one in tried if one["kind"] == "InferenceService"]
    assert classes == [None, "nvidia"]
    assert [one["metadata"]["labels"].get("tiltyard.dev/stage") for one in tried if one["kind"] == "Job"] == [
        "preflight", "train",
    ]  # fmt: skip


def test_the_user_of_foreign_images_is_the_one_that_the_manifest_gives() -> None:
    tournament = cluster_tournament(3, **WHOLE, jobs={"pod": {"securityContext": {"runAsUser": 1000700000}}})
    users = {
        container["securityContext"]["runAsUser"]
        for body in made(tournament)
        for _, spec, _ in pods(body)
        for container in spec.get("initContainers", ())
        if "runAsUser" in container["securityContext"]
    }
    assert users == {1000700000}


def test_what_a_patch_must_not_repeat_is_what_every_pod_of_a_kind_has() -> None:
    found: dict[bool, list[tuple[set[str], set[str]]]] = {False: [], True: []}
    for body in made(cluster_tournament(**WHOLE)):
        for _, spec, container in pods(body):
            if body["kind"] == "Job":
                paths = {mount["mountPath"] for mount in container["volumeMounts"]}
                volumes = {volume["name"] for volume in spec["volumes"]}
                found["shm" in volumes].append((paths, volumes))
                assert all(one["name"].startswith(("TILTYARD_", "AWS_")) for one in container["env"])
    for training, (all_paths, all_volumes) in {
        False: (WORKER_PATHS, WORKER_VOLUMES), True: (TRAINING_PATHS, TRAINING_VOLUMES),
    }.items():  # fmt: skip
        assert set.intersection(*(paths for paths, _ in found[training])) == set(all_paths)
        assert set.intersection(*(volumes for _, volumes in found[training])) == set(all_volumes)
