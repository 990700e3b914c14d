"""What is applied, read as KServe's and Kubernetes' own typed models: every field is one that they know."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster_objects import SETTINGS, cluster_tournament
from support.examples import EXAMPLES, S3, for_cluster
from support.manifests import manifest
from tiltyard.cli import main
from tiltyard.cli.typed_models import TypedModels
from tiltyard.render.children import Child, in_order, prepare

POD = {
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}],
    "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}],
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
    jobs={"pod": POD, "resources": {"limits": {"memory": "1Gi"}}},
    training={"baseModel": {"uri": "pvc://models/base"}, "resources": GPU, "pod": POD},
    evaluation={
        "benchmarks": ["humaneval", "ds1000"],
        "allowCodeExecution": True,
        "serving": SERVING,
        "environments": [{"benchmark": "ds1000", "image": "registry.example/ds1000:1", "python": "/bin/python"}],
        "lmEval": [{"name": "gsm8k"}],
    },
    output={"s3": S3},
)
CHILDREN = list(in_order(prepare(TOURNAMENT, SETTINGS, ""), SETTINGS))


@pytest.fixture(scope="module")
def models() -> TypedModels:
    return TypedModels()


@pytest.fixture
def values(tmp_path: Path) -> Path:
    """Values that name a release: the project is not installed here."""
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump({name: {"image": {"tag": "1"}} for name in ("worker", "trainer", "lmEval")}))
    return path


@pytest.mark.parametrize("kept", [{"cache": {"nodeGroup": "gpus", "size": "20Gi"}}, {"claim": {"size": "20Gi"}}])
def test_what_holds_weights_is_checked(kept: dict[str, Any], models: TypedModels) -> None:
    players = [{"name": name, "model": {"uri": f"hf://org/{name}", "revision": "main"}} for name in ("a", "b")]
    tournament = cluster_tournament(players=players, judges=1, serving={"weights": kept})
    bodies = [child.body for child in in_order(prepare(tournament, SETTINGS, ""), SETTINGS)]
    kind = "LocalModelNamespaceCache" if "cache" in kept else "PersistentVolumeClaim"
    held, _ = (body for body in bodies if body["kind"] == kind)
    assert {body["kind"] for body in bodies} <= set(models.kinds)
    assert [problem for body in bodies for problem in models.problems(body)] == []
    held["spec"]["accesModes"] = ["ReadWriteOnce"]
    (found,) = models.problems(held)
    assert str(found).startswith(f"{kind} {held['metadata']['name']}: spec.accesModes: is not a field of V1")


def first(kind: str, purpose: str = "") -> dict[str, Any]:
    found = next(child for child in CHILDREN if child.body["kind"] == kind and child.purpose.startswith(purpose))
    return copy.deepcopy(found.body)


@pytest.mark.parametrize("child", CHILDREN, ids=lambda child: f"{child.body['kind']} {child.purpose}")
def test_every_field_is_known(child: Child, models: TypedModels) -> None:
    assert list(models.problems(child.body)) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_passes(example: Path, values: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / example.name
    file.write_text(yaml.safe_dump(for_cluster(example)))
    assert main(["render", str(file), "--values", str(values), "--check"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    kinds = {document["kind"] for document in yaml.safe_load_all(out)}
    assert kinds == {"ConfigMap", "Job"} | ({"InferenceService"} if example.stem != "endpoints" else set())


@pytest.mark.parametrize(
    ("kind", "path", "value", "problem"),
    [
        ("ConfigMap", ["imutable"], True, 'imutable: is not a field of V1ConfigMap, did you mean "immutable"'),
        ("ConfigMap", ["data", "task.json"], 1, 'data["task.json"]: must be a text, given 1'),
        ("ConfigMap", ["data"], ["a"], "data: must be a mapping, given a list of 1"),
        ("ConfigMap", ["immutable"], "true", 'immutable: must be true or false, given "true"'),
        ("Job", ["spec", "backoffLimit"], "3", 'spec.backoffLimit: must be an integer, given "3"'),
        ("Job", ["spec", "backoffLimit"], True, "spec.backoffLimit: must be an integer, given true"),
        (
            "Job",
            ["spec", "template", "spec", "containers", 0, "imagePulPolicy"],
            "Always",
            "spec.template.spec.containers[0].imagePulPolicy: is not a field of V1Container, did you mean"
            ' "imagePullPolicy"',
        ),
        (
            "Job",
            ["spec", "template", "spec", "containers", 0, "name"],
            None,
            "spec.template.spec.containers[0].name: is missing",
        ),
        (
            "InferenceService",
            ["spec", "predictor", "replicas"],
            1,
            "spec.predictor.replicas: is not a field of V1beta1PredictorSpec",
        ),
        (
            "InferenceService",
            ["spec", "predictor", "containers", 0, "args"],
            "--port 8080",
            'spec.predictor.containers[0].args: must be a list, given "--port 8080"',
        ),
        (
            "InferenceService",
            ["spec", "predictor", "containers", 0, "resources", "limits"],
            {"nvidia.com/gpu": 1},
            'spec.predictor.containers[0].resources.limits["nvidia.com/gpu"]: must be a text, given 1',
        ),
        (
            "InferenceService",
            ["spec", "predictor"],
            None,
            "spec: is not a valid V1beta1InferenceServiceSpec: Invalid value for",
        ),
    ],
)
def test_a_planted_mistake_is_told_by_its_path(
    kind: str, path: list[str | int], value: Any, problem: str, models: TypedModels
) -> None:
    body = first(kind, "model sim" if kind == "InferenceService" else "")
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (found,) = models.problems(body)
    assert str(found).startswith(f"{kind} {body['metadata']['name']}: {problem}")


def test_all_mistakes_are_told(models: TypedModels) -> None:
    body = first("Job")
    body["spec"] |= {"a": 1, "completions": "x"}
    body["metadata"]["nmae"] = "x"
    assert len(list(models.problems(body))) == 3


def test_what_the_manifest_leaves_to_kubernetes_is_checked(
    values: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pod = {"volumes": [{"name": "cache", "emptydir": {}}]}
    file = tmp_path / "tournament.yaml"
    file.write_text(yaml.safe_dump(manifest(2, judges=1, jobs={"pod": pod}, output={"s3": {"uri": "s3://bucket"}})))
    command = ["render", str(file), "--values", str(values)]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--check"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    place = 'spec.template.spec.volumes[3].emptydir: is not a field of V1Volume, did you mean "emptyDir"'
    assert all(line.startswith(f"{file}: Job test-") and line.endswith(place) for line in err.splitlines())
    assert len(err.splitlines()) > 1


def test_a_kind_without_a_model_is_told(values: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}}
    training = {"baseModel": {"uri": "hf://org/base"}, "trainer": trainer}
    file = tmp_path / "tournament.yaml"
    file.write_text(yaml.safe_dump(manifest(2, judges=1, training=training, output={"s3": {"uri": "s3://bucket"}})))
    assert main(["render", str(file), "--values", str(values), "--check"]) == 0
    said = f"{file}: TrainJob: not checked: neither kserve nor kubernetes has a model of it\n"
    assert capsys.readouterr().err == said
