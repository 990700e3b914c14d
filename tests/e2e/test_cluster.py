"""Whole tournaments on a real node: the chart's operator, KServe, the worker's image, DNS, S3."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import kserve
from e2e.conftest import LM_EVAL, ROOT, TRAINER, Arena, bucket_block, environment_in_pod, kill_s3, kubectl, wait_for_s3
from support.arena import condition
from support.benchmarks import small_benchmark, snippet_benchmark
from support.injected import CONTAINER, is_in_force, staying_container
from support.local_runs import LocalRun, contents
from support.manifests import manifest
from support.network_policy import End
from support.run_connections import scene_of
from support.tiny_model import tiny_model
from support.vllm_server import vllm_python
from support.waiting import until
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import Store, open_store

pytestmark = pytest.mark.timeout(1800)

SMALL: dict[str, Any] = {
    "per_competitor": 24,
    "judges": 1,
    "curation": {"decontaminate": [], "diversity": {"perCompetitor": 12}},
    "jobs": {"shardSize": 12, "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}},
}
"""Two players and a judge: every stage, none of much work."""


async def test_the_quick_start_from_apply_to_the_report_in_s3(arena: Arena) -> None:
    document = yaml.safe_load((ROOT / "examples" / "cluster.yaml").read_text())
    document["spec"]["instructions"] = {"mine": {"perCompetitor": 60}}
    document["spec"]["curation"] = {"diversity": {"perCompetitor": 10}, "decontaminate": []}
    document["spec"]["jobs"] = SMALL["jobs"] | {"shardSize": 256}
    if kserve.chosen().llms:
        for player in document["spec"]["competitors"]:
            player["serving"] = {**player.get("serving", {}), "kind": "LLMInferenceService"}
    await arena.apply(document)
    done = await arena.complete("quickstart")
    table = kubectl("-n", arena.namespace, "get", "tournaments")
    assert "Complete" in table
    assert "100%" in table
    assert done["status"]["leaderboard"][0]["name"] in table
    stored = arena.contents()
    assert f"runs/{done['status']['run']}/report.html" in stored
    story = kubectl("-n", arena.namespace, "describe", "tournament", "quickstart")
    assert "PreflightPassed" in story
    kubectl("-n", arena.namespace, "wait", "--for=condition=Complete", "tournament/quickstart", "--timeout=5s")
    kubectl("-n", arena.namespace, "delete", "tournament", "quickstart")
    for _ in range(300):
        left = kubectl("-n", arena.namespace, "get", "jobs,inferenceservices,pods", "--output=name")
        if not left:
            break
        await asyncio.sleep(0.2)
    assert left == ""
    assert arena.contents() == stored


def check_policies(arena: Arena) -> None:
    """Check that the chart's NetworkPolicies let through what a run connects to, and nothing else."""

    def found(namespace: str, *what: str) -> Any:
        return json.loads(kubectl("-n", namespace, "get", *what, "--output=json"))["items"]

    operator = found("tiltyard", "pods", "--selector=app.kubernetes.io/name=tiltyard")[0]
    scene = scene_of(
        found(arena.namespace, "pods", "--selector=app.kubernetes.io/managed-by=tiltyard"),
        operator=End(operator["status"]["podIP"], "tiltyard", operator["metadata"]["labels"]),
        dns=End("10.96.0.10"),
        bucket=End(bucket_block(arena.cluster)["ipBlock"]["cidr"].removesuffix("/32")),
    )
    policies = found(arena.namespace, "networkpolicies")
    assert len(policies) == 4
    assert scene.mistakes(policies) == []


async def test_records_are_counted_while_their_shard_is_at_work(arena: Arena) -> None:
    document = manifest(2, **{**SMALL, "per_competitor": 1200, "jobs": {**SMALL["jobs"], "shardSize": 1200}})
    for player in document["spec"]["competitors"]:
        player["serving"] = {"args": ["--latency-ms=3000"]}
    await arena.apply(document)

    def mining(tournament: Any) -> Any:
        stages = tournament.get("status", {}).get("stages", ())
        return next((one for one in stages if one["name"] == "Mining"), {})

    seen = await arena.wait("test", lambda one: mining(one).get("records", {}).get("done", 0) > 0, 300)
    assert mining(seen)["shards"].get("succeeded", 0) == 0
    assert 0 < mining(seen)["records"]["done"] < mining(seen)["records"]["total"]
    row = kubectl("-n", arena.namespace, "get", "tournament", "test", "--no-headers")
    assert f"/{seen['status']['records'].partition('/')[2]}" in row
    check_policies(arena)
    kubectl("-n", arena.namespace, "delete", "tournament", "test")


@pytest.fixture
async def injected(arena: Arena, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Workers' pods get a container that stays; by the parameter a native sidecar."""
    served = kubectl("api-resources", "--api-group=admissionregistration.k8s.io", "--output=name")
    if "mutatingadmissionpolicies" not in served:
        pytest.skip("mutating admission policies are served by Kubernetes 1.36 and later")
    image = arena.cluster.images["worker"]
    bodies = [body for _, body in staying_container(arena.namespace, image, native=request.param)]
    try:
        for body in bodies:
            kubectl("apply", "-f", "-", stdin=json.dumps(body))
        kubectl("-n", arena.namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        create = ("create", "--dry-run=server", "--output=json", "-f", "-")
        await until(
            lambda: is_in_force(arena.namespace, lambda pod: json.loads(kubectl(*create, stdin=json.dumps(pod))))
        )
        yield
    finally:
        for body in bodies:
            kubectl("delete", "--ignore-not-found", body["kind"], body["metadata"]["name"])


def workers(arena: Arena) -> list[Any]:
    """Pods of workers."""
    selector = "--selector=app.kubernetes.io/component=worker"
    pods: list[Any] = json.loads(kubectl("-n", arena.namespace, "get", "pods", selector, "--output=json"))["items"]
    return pods


@pytest.mark.parametrize("injected", [False], indirect=True)
async def test_a_container_that_outlives_the_worker_is_told_within_30_seconds(arena: Arena, injected: None) -> None:
    await arena.apply(manifest(2, **SMALL))
    seen = await arena.wait("test", lambda one: condition(one, "Waiting").get("reason") == "NotEnding", 120)
    now = datetime.now(UTC)
    message = condition(seen, "Waiting")["message"]
    assert f"container {CONTAINER} is still running, so the Job cannot end" in message
    (pod,) = workers(arena)
    (worker,) = (one for one in pod["status"]["containerStatuses"] if one["name"] == "worker")
    ended = datetime.fromisoformat(worker["state"]["terminated"]["finishedAt"])
    assert (now - ended).total_seconds() <= 30  # the condition may be older than what it says
    kubectl("-n", arena.namespace, "delete", "tournament", "test")


@pytest.mark.parametrize("injected", [True], indirect=True)
async def test_a_native_sidecar_of_a_mesh_keeps_no_job_from_its_end(arena: Arena, injected: None) -> None:
    await arena.apply(manifest(2, **SMALL))
    seen = await arena.wait("test", lambda one: condition(one, "Preflighted").get("status") == "True", 120)
    assert condition(seen, "Waiting")["reason"] == "NothingWaits"
    (pod,) = (one for one in workers(arena) if "-preflight-" in one["metadata"]["name"])
    assert [one["name"] for one in pod["spec"]["containers"]] == ["worker"]
    (sidecar,) = (one for one in pod["status"]["initContainerStatuses"] if one["name"] == CONTAINER)
    (worker,) = pod["status"]["containerStatuses"]
    assert pod["status"]["phase"] == "Succeeded"
    ended = [one["state"]["terminated"]["finishedAt"] for one in (worker, sidecar)]
    assert ended == sorted(ended)
    kubectl("-n", arena.namespace, "delete", "tournament", "test")


async def test_a_volume_that_its_node_cannot_mount_is_told_within_30_seconds(arena: Arena) -> None:
    volume, mount = {"name": "mine", "configMap": {"name": "nowhere"}}, {"name": "mine", "mountPath": "/mine"}
    pod = {"volumes": [volume], "volumeMounts": [mount]}
    await arena.apply(manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "pod": pod}}))

    seen = await arena.wait("test", lambda one: "nowhere" in condition(one, "Waiting").get("message", ""), 120)
    now = datetime.now(UTC)
    waiting = condition(seen, "Waiting")
    assert waiting["reason"] == "NotStarting"
    assert 'configmap "nowhere" not found; create what it names' in waiting["message"]
    events = json.loads(kubectl("-n", arena.namespace, "get", "events", "--output=json"))["items"]
    failed = [one for one in events if one["reason"] == "FailedMount"]
    first = min(datetime.fromisoformat(one["metadata"]["creationTimestamp"]) for one in failed)
    assert (now - first).total_seconds() <= 30
    kubectl("-n", arena.namespace, "delete", "tournament", "test")


async def test_more_gpus_than_any_node_has_are_told_of_before_a_model_starts(arena: Arena) -> None:
    training = {
        "baseModel": {"uri": "hf://org/base"},
        "resources": {"limits": {"nvidia.com/gpu": "64", "memory": "1Gi"}},
    }
    await arena.apply(manifest(2, **SMALL, training=training, suspend=True))
    told = (
        "the manifest is valid; spec.training.resources requests 64 nvidia.com/gpu, but no node has any:"
        " such a pod stays pending until a larger node is added"
    )
    seen = await arena.wait("test", lambda one: bool(one.get("status", {}).get("conditions")), 60)
    (accepted,) = (one for one in seen["status"]["conditions"] if one["type"] == "Accepted")
    assert (accepted["status"], accepted["message"]) == ("True", told)
    assert "TooLarge" in kubectl("-n", arena.namespace, "describe", "tournament", "test")


async def test_faults_cost_no_byte(arena: Arena, machine: str, tmp_path: Path) -> None:
    document = manifest(2, **SMALL)
    await arena.apply(document)

    async def strike(stage: str) -> None:
        for _ in range(600):
            if names := running_pods(arena, f"test-{stage}"):
                kubectl("-n", arena.namespace, "delete", "pod", names[0], "--grace-period=0", "--force")
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"no pod of {stage} was seen")

    await strike("mine")
    await strike("m0")
    kubectl("-n", "tiltyard", "delete", "pod", "--all", "--grace-period=0", "--force")
    await strike("answer")
    kill_s3()
    await strike("judge")
    await arena.complete("test")
    kill_s3()  # it had come up again
    await asyncio.to_thread(wait_for_s3, arena.cluster.endpoint)
    local = LocalRun(tmp_path, document)
    local.complete()
    assert local.out is not None
    assert arena.contents() == contents(open_store(StoreRef(uri=local.out.as_uri())))


def make_readable(folder: Path) -> None:
    """For whoever serves the models."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def claim_models(arena: Arena, machine: str, folder: Path) -> None:
    """A claim `models` on a folder of this machine, in a namespace where pods may mount such."""
    kubectl("label", "--overwrite", "namespace", arena.namespace, "pod-security.kubernetes.io/enforce=privileged")
    make_readable(folder)
    storage = {"accessModes": ["ReadOnlyMany"], "storageClassName": arena.namespace}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": arena.namespace},
        "spec": {**storage, "capacity": {"storage": "1Gi"}, "hostPath": {"path": f"{machine}{folder}"}},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models", "namespace": arena.namespace},
        "spec": {**storage, "resources": {"requests": {"storage": "1Gi"}}},
    }
    for body in (volume, claim):
        kubectl("apply", "-f", "-", stdin=json.dumps(body))


async def test_three_models_on_vllm_from_a_volume(arena: Arena, machine: str, tmp_path: Path) -> None:
    names = ("alpha", "beta", "gamma")
    for seed, name in enumerate(names, start=1):
        tiny_model(vllm_python(), tmp_path / name, seed)
    claim_models(arena, machine, tmp_path)
    document = manifest(
        list(names),
        per_competitor=6,
        serving={"maxActive": 2},
        curation={"decontaminate": [], "difficulty": {"keep": ["Excellent", "Good", "Average", "Poor"]}},
        battles={"answer": {"maxTokens": 16}, "verdict": {"method": "Choice"}},
        jobs=SMALL["jobs"] | {"maxVoidFraction": "1"},
    )
    for player in document["spec"]["competitors"]:
        player["model"] = {"uri": f"pvc://models/{player['name']}"}
    document["spec"]["instructions"]["mine"]["maxTokens"] = 32
    most = 0
    await arena.apply(document)

    def up_at_once(tournament: Any) -> bool:
        nonlocal most
        states = [model["state"] for model in tournament.get("status", {}).get("models", ())]
        most = max(most, len([state for state in states if state != "Stopped"]))
        return tournament.get("status", {}).get("phase") in ("Complete", "Failed")

    done = await arena.wait("test", up_at_once, 1200)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert most <= 2
    assert {row["name"] for row in done["status"]["leaderboard"]} == set(names)


def tiny_training(arena: Arena, machine: str, folder: Path) -> dict[str, Any]:
    """`spec.training` of a tiny model, on a claim `models`, by the environment of this machine that has TRL."""
    tiny_model(vllm_python(), folder / "models" / "base", 1)
    claim_models(arena, machine, folder / "models")
    return {
        "baseModel": {"uri": "pvc://models/base"},
        "hyperparameters": {
            "learningRate": "0.002", "epochs": 12, "globalBatchSize": 2, "maxLength": 512, "precision": "Float32",
        },
        "pod": environment_in_pod("train", TRAINER, folder / "trainer", machine),
    }  # fmt: skip


async def until_saved(store: Store) -> None:
    """Wait until something of a training is saved."""
    async with asyncio.timeout(600):
        while not any(info.key.endswith("latest.json") for info in store.list("checkpoints/train/")):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def running_pods(arena: Arena, part: str) -> list[str]:
    """Names of pods that run and have the part in their name."""
    found = json.loads(kubectl("-n", arena.namespace, "get", "pods", "--output=json"))["items"]
    running = [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] == "Running"]
    return [name for name in running if part in name]


async def test_from_mining_to_scores_before_and_after_in_one_apply(arena: Arena, machine: str, tmp_path: Path) -> None:
    training = tiny_training(arena, machine, tmp_path)
    store = arena.store()
    store.put("tasks.jsonl", small_benchmark(4).encode())
    store.put("snippets.jsonl", snippet_benchmark(3).encode())
    question = {"question": "What is 1 plus 1?", "answer": "Two.\n#### 2"}
    store.put("sums.jsonl", json.dumps(question).encode())
    harness = environment_in_pod("lm-eval", LM_EVAL, tmp_path / "lm-eval", machine)
    jobs = {**SMALL["jobs"], "shardSize": 256, "pod": harness}
    document = manifest(2, **{**SMALL, "jobs": jobs}, serving={"maxActive": 3}, training=training)
    document["spec"]["evaluation"] = {
        "benchmarks": ["humaneval_plus", "ds1000"],
        "files": [
            {"benchmark": "humaneval_plus", "uri": f"{arena.uri}/tasks.jsonl"},
            {"benchmark": "ds1000", "uri": f"{arena.uri}/snippets.jsonl"},
        ],
        # Somebody else's image: it is made for root, and has a Python without Tiltyard.
        "environments": [
            {"benchmark": "ds1000", "image": arena.cluster.images.get("python", arena.cluster.images["operator"])}
        ],
        "lmEval": [
            {
                "name": "gsm8k",
                "numFewshot": 0,
                "files": [{"split": split, "uri": f"{arena.uri}/sums.jsonl"} for split in ("train", "test")],
            }
        ],
        "allowCodeExecution": True,
        "maxTokens": 32,
    }
    await arena.apply(document)

    # The machine that trains is lost once something is saved: the next one goes on from there.
    await until_saved(store)
    for name in running_pods(arena, "test-train"):
        kubectl("-n", arena.namespace, "delete", "pod", name, "--grace-period=0", "--force")
    done = await arena.complete("test", 1200)
    told = {one["type"]: one["status"] for one in done["status"]["conditions"]}
    assert (told["Trained"], told["Evaluated"]) == ("True", "True")
    scores = json.loads(store.get(f"runs/{done['status']['run']}/benchmarks.json") or b"")
    assert [(one["model"], one["benchmark"], one["tasks"]) for one in scores["scores"]] == [
        (name, benchmark, tasks)
        for name in ("base-model", "trained-model")
        for benchmark, tasks in (("humaneval_plus", 4), ("ds1000", 3), ("gsm8k", 1))
    ]
    assert [one["tasks"] for one in scores["gains"]] == [4, 3, 1]
    assert done["status"]["outputs"]["model"].startswith(f"{arena.uri}/train/")
    assert list(store.list("checkpoints/train/")) == []
    store.close()


async def test_two_nodes_train_one_model_by_a_train_job(arena: Arena, machine: str, tmp_path: Path) -> None:
    training = tiny_training(arena, machine, tmp_path)
    training["trainer"] = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2}
    document = manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "shardSize": 256}}, training=training)
    store = arena.store()
    await arena.apply(document)
    await until_saved(store)
    # A node is lost: both begin again, from what the first has saved.
    lost = [name for name in running_pods(arena, "test-train") if "-node-0-1-" in name]
    assert len(lost) == 1
    kubectl("-n", arena.namespace, "delete", "pod", *lost, "--grace-period=0", "--force")
    done = await arena.complete("test", 900)
    assert done["status"]["outputs"]["model"].startswith(f"{arena.uri}/train/")
    (curve,) = (json.loads(store.get(info.key) or b"") for info in store.list("train/") if "curve" in info.key)
    losses = [point["loss"] for point in curve]
    assert losses[-1] < 0.9 * losses[0]
    assert [point["step"] for point in curve] == list(range(1, len(curve) + 1))
    assert list(store.list("checkpoints/train/")) == []
    store.close()
