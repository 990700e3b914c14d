"""What `tiltyard render` prints, beside what the operator applies, and before a real API server's strict eyes."""

from __future__ import annotations

import json
import subprocess
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from support.arena import Arena
from support.examples import EXAMPLES, FOLDER, S3, for_cluster
from support.manifests import manifest
from tiltyard.cli import main
from tiltyard.observe.kinds import CLAIMS, CONFIG_MAPS, JOBS, SERVICES, TRAIN_JOBS
from tiltyard.render.names import GENERATION, LOADS, MANAGER, STARTED, STOP

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

KINDS = {kind.kind: kind for kind in (CLAIMS, CONFIG_MAPS, JOBS, SERVICES, TRAIN_JOBS)}
POD: dict[str, Any] = {
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}],
    "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}],
    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    "imagePullSecrets": [{"name": "mirror"}],
    "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
}
GPU = {"limits": {"nvidia.com/gpu": "1"}}
Render = Callable[..., list[str]]


@pytest.fixture
def render(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Render:
    """The documents that `tiltyard render` prints for a manifest."""

    def run(document: dict[str, Any], *options: str) -> list[str]:
        file = tmp_path / "tournament.yaml"
        file.write_text(yaml.safe_dump(document))
        assert main(["render", str(file), *options]) == 0
        first, *documents = capsys.readouterr().out.split("---\n")
        assert first == ""
        return documents

    return run


def dry_run(plane: ControlPlane, document: str, manager: str = MANAGER) -> dict[str, Any]:
    """Server-side apply of a document as it was printed, refusing unknown fields; nothing is stored."""
    body = yaml.safe_load(document)
    path = KINDS[body["kind"]].path(body["metadata"]["namespace"], body["metadata"]["name"])
    query = f"dryRun=All&force=true&fieldValidation=Strict&fieldManager={manager}"
    try:
        result: dict[str, Any] = plane.request(
            "PATCH", f"{path}?{query}", document.encode(), "application/apply-patch+yaml"
        )
    except urllib.error.HTTPError as error:
        message = json.loads(error.read())["message"]
        raise AssertionError(f"{body['kind']} {body['metadata']['name']}: {message}") from None
    return result


def without_server_fields(body: Any) -> dict[str, Any]:
    """What the API server counts for itself left out."""
    meta = {name: value for name, value in body["metadata"].items() if name not in ("managedFields", "resourceVersion")}
    return {**body, "metadata": meta}


def as_in_the_cluster(document: str, live: Any) -> tuple[str, Any]:
    """A printed document with what only the cluster knows, taken from the live object; and its task, if it has one."""
    body = yaml.safe_load(document)
    body["metadata"]["ownerReferences"][0]["uid"] = live["metadata"]["ownerReferences"][0]["uid"]
    if body["kind"] == "InferenceService":
        for name in (STARTED, LOADS, STOP):
            body["metadata"]["annotations"][name] = live["metadata"]["annotations"][name]
    if body["kind"] == "Job":
        body["metadata"]["annotations"][GENERATION] = live["metadata"]["annotations"][GENERATION]
    task = None
    if body["kind"] == "ConfigMap":
        task = json.loads(body["data"]["task.json"])
        in_cluster = json.loads(live["data"]["task.json"])
        for name in ("ledger", "spending"):  # what the run has cost
            task[name] = in_cluster.get(name)
        assert task == {"ledger": None, "spending": None, **in_cluster}
        body["data"] = live["data"]
    return yaml.safe_dump(body), task


async def test_the_operator_makes_what_is_printed_and_nothing_else(
    arena: Arena, plane: ControlPlane, render: Render, tmp_path: Path
) -> None:
    document = arena.manifest(
        2,
        per_competitor=12,
        judges=1,
        curation={"decontaminate": [], "diversity": {"perCompetitor": 4}},
        jobs={"shardSize": 12},
        serving={"maxActive": 1},
    )
    await arena.apply(document)
    assert (await arena.wait_for_phase("Complete", "Failed", limit=200))["status"]["phase"] == "Complete"
    values = tmp_path / "values.yaml"
    # The test's operator is given an image without a tag, which no chart's values make.
    values.write_text(yaml.safe_dump({"worker": {"image": {"repository": "tiltyard/worker", "tag": "none"}}}))
    documents = [
        text.replace("tiltyard/worker:none", "tiltyard/worker") for text in render(document, "-f", str(values))
    ]
    live = {
        (kind.kind, one["metadata"]["name"]): one
        for kind in (CONFIG_MAPS, JOBS, SERVICES)
        for one in await arena.children(kind)
    }
    printed = [yaml.safe_load(text) for text in documents]
    assert sorted(live) == sorted((body["kind"], body["metadata"]["name"]) for body in printed)
    ledgers = 0
    for text, body in zip(documents, printed, strict=True):
        there = live[body["kind"], body["metadata"]["name"]]
        there = {"kind": body["kind"], "apiVersion": body["apiVersion"], **there}  # a list leaves them out
        placed, task = as_in_the_cluster(text, there)
        # Applied once more it would change nothing: no field is missing, none is too many, none is different.
        assert without_server_fields(dry_run(plane, placed)) == without_server_fields(there)
        ledgers += bool(task and task["ledger"])
    assert ledgers == 1

    # A field more, less or otherwise is seen.
    service = next(body for body in printed if body["kind"] == "InferenceService")
    there = {"kind": "InferenceService", "apiVersion": service["apiVersion"]}
    there |= live["InferenceService", service["metadata"]["name"]]
    for change in ({"maxReplicas": 2}, {"automountServiceAccountToken": None}, {"hostname": "x"}):
        predictor = {**service["spec"]["predictor"], **change}
        text = yaml.safe_dump({**service, "spec": {"predictor": {k: v for k, v in predictor.items() if v is not None}}})
        placed, _ = as_in_the_cluster(text, there)
        assert without_server_fields(dry_run(plane, placed)) != without_server_fields(there)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_passes_the_strict_dry_run(
    example: Path, plane: ControlPlane, namespace: str, render: Render
) -> None:
    for text in render(for_cluster(example), "-n", namespace):
        dry_run(plane, text)


@pytest.mark.parametrize("overlay", ["small", "full"])
def test_every_overlay_passes_the_strict_dry_run(
    overlay: str, kubectl: Path, plane: ControlPlane, namespace: str, render: Render
) -> None:
    command = [str(kubectl), "kustomize", str(FOLDER / "gitops" / overlay)]
    document = yaml.safe_load(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for text in render(document, "-n", namespace):
        dry_run(plane, text)


def everything() -> dict[str, Any]:
    """A manifest with all kinds of objects and all fields of pods."""
    serving = {"args": ["--max-model-len=4096"], "replicas": 2, "resources": GPU, "pod": POD}
    document = manifest(
        1,
        judges=1,
        serving={"weights": {"claim": {"size": "1Gi", "accessMode": "ReadWriteMany"}}},
        jobs={"pod": {**POD, "priorityClassName": "high", "serviceAccountName": "workers"}},
        training={
            "baseModel": {"uri": "pvc://models/base"},
            "resources": GPU,
            "pod": {name: value for name, value in POD.items() if name != "resourceClaims"},  # a runtime sets them
            "trainer": {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2},
        },
        evaluation={
            "benchmarks": ["humaneval", "ds1000"],
            "allowCodeExecution": True,
            "serving": serving,
            "environments": [{"benchmark": "ds1000", "image": "registry.example/ds1000:1", "python": "/bin/python"}],
            "lmEval": [{"name": "gsm8k"}],
        },
        output={"s3": S3},
    )
    document["spec"]["competitors"] += [
        {"name": "sim", "model": {"uri": "sim://sim"}, "serving": {"pod": POD}},
        {"name": "hub", "model": {"uri": "hf://org/name", "revision": "main"}, "serving": serving},
        {"name": "claim", "model": {"uri": "pvc://models/claim"}},
    ]
    document["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "gpus"}
    return document


def test_all_kinds_pass_the_strict_dry_run(trainer: None, plane: ControlPlane, namespace: str, render: Render) -> None:
    documents = render(everything(), "-n", namespace)
    kinds = {dry_run(plane, text)["kind"] for text in documents}
    assert kinds == set(KINDS)
    trained_by_a_job = everything()
    trained_by_a_job["spec"]["training"] |= {"trainer": {"kind": "Job"}, "pod": POD}
    for text in render(trained_by_a_job, "-n", namespace):
        dry_run(plane, text)
    planted = {
        "ConfigMap": ("immutable: true", "immutable: true\nimutable: true", "imutable"),
        "Job": (
            "    spec:\n      restartPolicy",
            "    spec:\n      restartPolici: x\n      restartPolicy",
            "restartPolici",
        ),
        "PersistentVolumeClaim": ("accessModes:", "accesModes: x\n  accessModes:", "accesModes"),
        "InferenceService": ("minReplicas: 1", "minReplicas: one", "minReplicas"),
        "TrainJob": ("numNodes: 2", "numNodes: two", "numNodes"),
    }
    for kind, (right, wrong, word) in planted.items():
        text = next(text for text in documents if f"\nkind: {kind}\n" in text and right in text)
        with pytest.raises(AssertionError, match=word):
            dry_run(plane, text.replace(right, wrong))
