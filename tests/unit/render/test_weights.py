"""Where the weights of served models come from: claims, KServe's cache, mirrors, tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.api import Tournament
from tiltyard.plan.build import build_graph
from tiltyard.render.children import in_order, model_objects, one_of_each_kind, prepare
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings

TOKEN = {"name": "hub", "key": "token"}
ENV = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {**TOKEN, "optional": True}}}


def arena(model: dict[str, Any], weights: dict[str, Any] | None = None, **serving: Any) -> Tournament:
    players = [
        {"name": "a", "model": {"uri": "hf://org/a", **model}, **({"serving": serving} if serving else {})},
        {"name": "b", "model": {"uri": "sim://b"}},
    ]
    return cluster_tournament(players=players, judges=1, serving={"weights": weights} if weights else {})


def objects_of(tournament: Tournament, name: str = "a", settings: ClusterSettings = SETTINGS) -> list[dict[str, Any]]:
    return model_objects(
        tournament, build_graph(tournament).model[name], settings, loads=1, started="2026-01-01T00:00:00Z"
    )


def predictor_of(tournament: Tournament, name: str = "a") -> dict[str, Any]:
    predictor: dict[str, Any] = objects_of(tournament, name)[-1]["spec"]["predictor"]
    return predictor


def test_kserve_downloads_what_asks_for_nothing_more() -> None:
    predictor = predictor_of(arena({"revision": "v1"}))
    assert predictor["model"]["storageUri"] == "hf://org/a:v1"
    assert "initContainers" not in predictor


def test_a_claim_is_made_filled_once_and_mounted_by_each_load() -> None:
    tournament = arena(
        {"revision": "v1", "tokenSecretRef": TOKEN}, {"claim": {"size": "20Gi", "storageClassName": "fast"}}
    )
    claim, service = objects_of(tournament)
    assert (claim["kind"], claim["metadata"]["ownerReferences"][0]["uid"]) == ("PersistentVolumeClaim", "u-1")
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast",
    }  # fmt: skip
    predictor = service["spec"]["predictor"]
    volume = predictor["volumes"][0]
    assert volume == {"name": "weights", "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    (filler,) = predictor["initContainers"]
    assert filler["name"] == "storage-initializer"  # KServe's own stays away
    assert filler["command"] == ["python", "-m", "tiltyard_jobs.weights", "hf://org/a", "--revision", "v1"]
    assert filler["env"] == [ENV]
    (mount,) = predictor["model"]["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/mnt/models", True)
    assert filler["args"][:2] == ["--folder", f"/weights/{mount['subPath']}"]
    assert predictor["securityContext"] == {"fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch"}
    assert service["metadata"]["annotations"]["serving.kserve.io/disable-localmodel"] == "true"
    # The server needs no token, and no argument holds one.
    assert "HF_TOKEN" not in json.dumps(predictor["model"])
    assert objects_of(tournament) == objects_of(tournament)


def test_no_group_is_named_where_the_cluster_assigns_them() -> None:
    settings = replace(SETTINGS, children=ChildrenSettings(assigned_users=True))
    (_, service) = objects_of(arena({}, {"claim": {"size": "20Gi"}}), settings=settings)
    assert service["spec"]["predictor"]["securityContext"] == {"fsGroupChangePolicy": "OnRootMismatch"}


def test_a_claim_that_is_there_holds_the_models_of_many() -> None:
    weights = {"claim": {"name": "shared"}}
    (service,) = objects_of(arena({}, weights))
    predictor = service["spec"]["predictor"]
    assert predictor["volumes"][0]["persistentVolumeClaim"] == {"claimName": "shared"}
    folders = {
        predictor_of(arena(model, weights))["model"]["volumeMounts"][0]["subPath"]
        for model in ({}, {"revision": "v1"}, {"servedFrom": "hf://copies/a"}, {"servedFrom": "hf://org/a"})
    }
    assert len(folders) == 3  # the last one is the same as the first


def test_a_token_or_a_mirror_reaches_whoever_downloads() -> None:
    predictor = predictor_of(
        arena({"tokenSecretRef": TOKEN, "servedFrom": "hf://org/a?endpoint=https://mirror.example"})
    )
    (filler,) = predictor["initContainers"]
    assert filler["env"] == [ENV, {"name": "HF_ENDPOINT", "value": "https://mirror.example"}]
    assert predictor["volumes"][0] == {"name": "weights", "emptyDir": {}}
    assert "securityContext" not in predictor


def test_what_a_download_needs_of_the_pods_variables_it_gets_too() -> None:
    env = [{"name": name, "value": "x"} for name in ("HTTPS_PROXY", "no_proxy", "HF_TOKEN", "VLLM_X", "SSL_CERT_FILE")]
    pod = {
        "env": env,
        "volumes": [{"name": "ca", "emptyDir": {}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    }
    predictor = predictor_of(arena({"tokenSecretRef": TOKEN}, {"claim": {"size": "1Gi"}}, pod=pod))
    (filler,) = predictor["initContainers"]
    assert [one["name"] for one in filler["env"]] == ["HF_TOKEN", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE"]
    assert filler["env"][0] == ENV
    assert "/ca" in [mount["mountPath"] for mount in filler["volumeMounts"]]


@pytest.mark.parametrize("served_from", ["pvc://models/a", "oci://registry.example/a:1", "s3://bucket/a"])
def test_weights_from_elsewhere_are_kserves_to_bring_and_the_same_model(served_from: str) -> None:
    tournament = arena({"servedFrom": served_from, "revision": "v1"}, {"claim": {"size": "1Gi"}})
    (service,) = objects_of(tournament)
    assert service["spec"]["predictor"]["model"]["storageUri"] == served_from
    assert "initContainers" not in service["spec"]["predictor"]
    assert build_graph(tournament).run == build_graph(arena({"revision": "v1"})).run


def test_kserves_cache_holds_the_revision_that_the_service_names() -> None:
    weights = {"cache": {"nodeGroup": "gpus", "size": "20Gi", "serviceAccountName": "hub"}}
    cache, service = objects_of(arena({"revision": "v1"}, weights))
    assert cache["kind"] == "LocalModelNamespaceCache"
    assert cache["spec"] == {
        "sourceModelUri": "hf://org/a:v1", "modelSize": "20Gi", "nodeGroups": ["gpus"], "serviceAccountName": "hub",
    }  # fmt: skip
    assert service["spec"]["predictor"]["model"]["storageUri"] == cache["spec"]["sourceModelUri"]
    assert service["metadata"]["annotations"]["serving.kserve.io/nodegroup"] == "gpus"
    assert "initContainers" not in service["spec"]["predictor"]


def test_simulated_experts_have_no_weights() -> None:
    (service,) = objects_of(arena({}, {"claim": {"size": "1Gi"}}), "b")
    assert "volumes" not in service["spec"]["predictor"]
    assert "serving.kserve.io/disable-localmodel" not in service["metadata"]["annotations"]


def test_a_claim_is_tried_and_applied_before_its_model() -> None:
    tournament = arena({}, {"claim": {"size": "1Gi"}})
    prepared = prepare(tournament, SETTINGS, "test")
    kinds = [child.body["kind"] for child in in_order(prepared, SETTINGS) if child.purpose == "model a"]
    assert kinds == ["PersistentVolumeClaim", "InferenceService"]
    tried = one_of_each_kind(prepared.tournament, prepared.graph, prepared.preflight, SETTINGS)
    assert "PersistentVolumeClaim" in [body["kind"] for body in tried]


def test_preflight_looks_for_the_token_and_the_trainer_downloads_with_it() -> None:
    base = {
        "uri": "hf://org/base",
        "tokenSecretRef": TOKEN,
        "servedFrom": "hf://org/base?endpoint=https://mirror.example",
    }
    tournament = cluster_tournament(
        3, training={"baseModel": base, "pod": {"env": [{"name": "HF_ENDPOINT", "value": "x"}]}}
    )
    children = {child.purpose: child.body for child in in_order(prepare(tournament, SETTINGS, "test"), SETTINGS)}
    preflight = prepare(tournament, SETTINGS, "test").preflight
    assert preflight.secrets["spec.training.baseModel.tokenSecretRef"] == "TILTYARD_SECRET_HUB_TOKEN"
    assert preflight.secret_places["TILTYARD_SECRET_HUB_TOKEN"].startswith("the key token of the Secret hub")

    def env_of(purpose: str) -> list[dict[str, Any]]:
        (container,) = children[purpose]["spec"]["template"]["spec"]["containers"]
        env: list[dict[str, Any]] = container["env"]
        return env

    assert ENV | {"name": "TILTYARD_SECRET_HUB_TOKEN"} in env_of("preflight")
    trainer = env_of("bundle train")
    assert ENV in trainer
    assert [one["value"] for one in trainer if one["name"] == "HF_ENDPOINT"] == ["x"]  # the pod's own comes first
    assert "HF_TOKEN" not in [one["name"] for one in env_of("bundle dataset")]


def test_the_models_own_mounts_never_meet_those_of_the_download() -> None:
    pod = {
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "volumeMounts": [{"name": "scratch", "mountPath": path} for path in ("/tmp/", "/weights", "/extra")],
    }
    predictor = predictor_of(arena({}, {"claim": {"size": "1Gi"}}, pod=pod))
    (filler,) = predictor["initContainers"]
    assert [mount["mountPath"] for mount in filler["volumeMounts"]] == ["/weights", "/tmp", "/extra"]
    assert {"/tmp/", "/weights", "/extra"} < {mount["mountPath"] for mount in predictor["model"]["volumeMounts"]}
