"""Who can read the bucket: the worker and what fetches a model; no program, software or model of other people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.render.children import in_order, prepare
from tiltyard_jobs.contracts.stores import STORES

CREDENTIALS = {name for facts in STORES.values() for name in facts.credentials}
IMAGES = replace(SETTINGS, lm_eval_image="registry.example/lm-eval:1", trainer_image="registry.example/trainer:1")
EVALUATION = {
    "benchmarks": ["humaneval", "mbpp"],
    "competitors": True,
    "allowCodeExecution": True,
    "environments": [{"benchmark": "humaneval", "image": "registry.example/env:1"}],
    "lmEval": [{"name": "gsm8k", "metric": "exact_match"}],
}
JOB = {"kind": "Job"}
TRAIN_JOB = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}}


def pods_of(trainer: dict[str, Any], **bucket: Any) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Of each pod of a tournament: what it is for, its annotations and its spec, as its controller makes them."""
    tournament = cluster_tournament(
        3,
        players=[{"name": name, "model": {"uri": f"hf://org/{name}"}} for name in "abc"],
        training={"baseModel": {"uri": "hf://org/base"}, "trainer": trainer},
        evaluation=EVALUATION,
        output={"s3": {"uri": "s3://bucket/prefix", **bucket}},
    )
    for purpose, body in in_order(prepare(tournament, IMAGES, ""), IMAGES):
        spec = body.get("spec", {})
        match body["kind"]:
            case "Job":
                pod = spec["template"]
                yield purpose, pod["metadata"]["annotations"], pod["spec"]
            case "InferenceService":
                pod = spec["predictor"]
                model = {"name": "kserve-container", **pod["model"]}
                yield purpose, pod.get("annotations", {}), {**pod, "containers": [model]}
            case "TrainJob":
                (pod,) = spec["podTemplateOverrides"]
                (node,) = pod["spec"]["containers"]
                node = {**node, "image": spec["trainer"]["image"], "env": spec["trainer"]["env"]}
                yield purpose, pod["metadata"]["annotations"], {**pod["spec"], "containers": [node]}
            case other:
                assert other == "ConfigMap"


def with_role(annotations: dict[str, Any], pod: dict[str, Any], account: str) -> set[str]:
    """Names of the containers that the webhook of EKS gives the role of a service account, if the account has one."""
    if pod.get("serviceAccountName") != account:
        return set()
    skipped = {name.strip() for name in annotations.get("eks.amazonaws.com/skip-containers", "").split(",")}
    return {one["name"] for one in (*pod.get("initContainers", ()), *pod["containers"])} - skipped


def with_keys(pod: dict[str, Any]) -> set[str]:
    """Names of the containers that have the bucket's keys in their environment."""
    containers = (*pod.get("initContainers", ()), *pod["containers"])
    return {one["name"] for one in containers if CREDENTIALS & {entry["name"] for entry in one.get("env", ())}}


@pytest.mark.parametrize("trainer", [JOB, TRAIN_JOB], ids=["Job", "TrainJob"])
@pytest.mark.parametrize("identity", ["role", "keys"])
def test_the_bucket_is_the_workers_alone(trainer: dict[str, Any], identity: str) -> None:
    by_role = identity == "role"
    bucket: dict[str, Any] = {"serviceAccountName": "bucket"} if by_role else {"secretRef": {"name": "bucket"}}
    seen: set[str] = set()
    for purpose, notes, pod in pods_of(trainer, **bucket):
        everyone = {one["name"] for one in (*pod.get("initContainers", ()), *pod["containers"])}
        able = with_role(notes, pod, "bucket") if by_role else with_keys(pod)
        if purpose.startswith("model"):
            assert able == everyone - {"kserve-container"}
        else:
            assert able == everyone & {"worker", "node"}
        seen |= everyone
        images = {one.get("image") for one in pod["containers"]}
        assert "registry.example/lm-eval:1" not in images
        if "initContainers" in pod or purpose.startswith("model"):
            assert pod["automountServiceAccountToken"] is False
    assert seen >= {"worker", "sandbox", "sandbox-file", "lm-eval", "kserve-container", "storage-initializer"}
    assert ("node" in seen) is (trainer is TRAIN_JOB)


def test_what_workers_are_given_does_not_bring_the_harness_a_key() -> None:
    keys = [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}, {"name": "HF_HOME", "value": "/cache"}]
    tournament = cluster_tournament(
        3,
        evaluation={"competitors": True, "benchmarks": [], "lmEval": [{"name": "gsm8k", "metric": "exact_match"}]},
        jobs={"pod": {"env": keys, "volumes": [{"name": "cache", "emptyDir": {}}],
                      "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}},
    )  # fmt: skip
    pods = [child.body["spec"]["template"]["spec"] for child in in_order(prepare(tournament, IMAGES, ""), IMAGES)
            if child.body["kind"] == "Job"]  # fmt: skip
    beside = [one for pod in pods for one in pod.get("initContainers", ()) if one["name"] == "lm-eval"]
    assert len(beside) > 2
    for one in beside:
        assert one["env"] == [{"name": "TILTYARD_IMAGE", "value": one["image"]}, *keys[1:]]
        assert one["volumeMounts"][-1]["mountPath"] == "/cache"
