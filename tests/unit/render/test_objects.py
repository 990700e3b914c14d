"""What is applied: names, labels, security, secrets."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cluster_objects import SETTINGS, Cluster, cluster_tournament
from support.rendered import TOURNAMENT, all_objects, objects_of, pod_of
from tiltyard.plan.planner import JobOrder
from tiltyard.render.cluster import ChildrenSettings
from tiltyard.render.jobs import bundle_objects, cluster_preflight_task, indices_of, parts_annotation, preflight_objects
from tiltyard.render.names import (
    JOB_NAME_LENGTH,
    MAX_TIME,
    MIN_PARALLELISM,
    PRIORITY,
    QUEUE,
    child_name,
    job_name,
    service_name,
)
from tiltyard.render.preflight import preflight_task
from tiltyard.render.serving import inference_service, with_service_urls
from tiltyard.render.tasks import bundle_task, trainer_ref
from tiltyard.render.worker_pod import store_ref
from tiltyard_jobs.contracts.solo_tasks import FetchTask
from tiltyard_jobs.contracts.tasks import BundleTask
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.shard.loading import load_bundle

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABELS = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


@given(LABELS, st.lists(LABELS, min_size=1, max_size=4))
def test_names_are_labels_with_room_for_what_kubernetes_adds(tournament: str, parts: list[str]) -> None:
    name = child_name(tournament, *parts, length=JOB_NAME_LENGTH)
    assert LABEL.fullmatch(name)
    assert len(name) <= JOB_NAME_LENGTH
    assert LABEL.fullmatch(service_name(tournament, parts[0]) + "-predictor")
    assert len(service_name(tournament, parts[0]) + "-predictor") <= 63


def test_names_that_read_alike_differ() -> None:
    assert child_name("a-b", "c", length=50) != child_name("a", "b-c", length=50)
    assert job_name("t", "judge/a/b", "1") != job_name("t", "judge/a/b", "2")
    assert job_name("x" * 63, "judge/a/b", "1") != job_name("x" * 63, "judge/a/c", "1")


@given(st.data())
def test_a_jobs_parts_survive_their_annotation(data: st.DataObject) -> None:
    bundle = Cluster(TOURNAMENT).graph.by_name["judge/m0/m1"]
    done = {
        ref.key: frozenset(data.draw(st.sets(st.integers(0, ref.shards - 1), max_size=ref.shards)))
        for ref in bundle.makes
    }
    indices = bundle.missing(done)
    assert indices_of(bundle, parts_annotation(bundle, indices)) == indices


def test_children_belong_to_the_tournament_and_carry_its_labels() -> None:
    for document in all_objects(Cluster(TOURNAMENT)):
        meta = document["metadata"]
        (owner,) = meta["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Tournament", "u-1", True)
        assert "blockOwnerDeletion" not in owner
        assert "finalizers" not in meta
        assert meta["labels"]["tiltyard.dev/tournament"] == "test"
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "tiltyard"


def test_pods_meet_the_restricted_standard() -> None:
    pods = [pod_of(d) for d in all_objects(Cluster(TOURNAMENT)) if d["kind"] == "Job"]
    pods += [d["spec"]["predictor"] for d in all_objects(Cluster(TOURNAMENT)) if d["kind"] == "InferenceService"]
    for pod in pods:
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_a_bundles_task_is_an_immutable_config_map_that_its_pods_mount() -> None:
    config_map, job = objects_of(Cluster(TOURNAMENT), "judge/m0/m1")
    assert config_map["immutable"] is True
    assert config_map["metadata"]["name"] == job["metadata"]["name"]
    task = BundleTask.model_validate_json(config_map["data"]["task.json"])
    assert task.stage == "judge"
    assert len(task.indices) == job["spec"]["completions"]
    pod = pod_of(job)
    assert {"name": "task", "configMap": {"name": job["metadata"]["name"]}} in pod["volumes"]
    assert pod["containers"][0]["command"] == [
        "python", "-m", "tiltyard_jobs", "judge", "--task", "/etc/tiltyard/task.json"
    ]  # fmt: skip


def test_a_task_that_is_too_large_to_be_read_goes_compressed(tmp_path: Path) -> None:
    cluster = Cluster(cluster_tournament(16, per_competitor=2800, jobs={"shardSize": 512}))
    config_map, job = objects_of(cluster, "report")
    ((key, packed),) = config_map["binaryData"].items()
    assert len(packed) < 1024 * 1024
    assert pod_of(job)["containers"][0]["command"][-1] == f"/etc/tiltyard/{key}"
    file = tmp_path / key
    file.write_bytes(base64.b64decode(packed))
    assert load_bundle(file, "report", 0).recipes == cluster.graph.by_name["report"].recipes
    file.write_bytes(base64.b64decode(packed)[:-9])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_bundle(file, "report", 0)


def test_with_a_queue_the_queue_starts_the_jobs() -> None:
    tournament = cluster_tournament(3)
    labelled = tournament.model_copy(
        update={"metadata": tournament.metadata.model_copy(update={"labels": {"kueue.x-k8s.io/queue-name": "q"}})}
    )
    _, job = objects_of(Cluster(labelled), "rate")
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert "suspend" not in objects_of(Cluster(tournament), "rate")[1]["spec"]


def test_a_queue_gets_the_labels_that_it_goes_by() -> None:
    asked = {QUEUE: "q", PRIORITY: "low", MAX_TIME: "3600"}
    tournament = cluster_tournament(3, jobs={"shardSize": 5, "parallelism": 4})

    def rendered(**labels: str) -> tuple[dict[str, Any], dict[str, Any]]:
        metadata = tournament.metadata.model_copy(update={"labels": labels})
        cluster = Cluster(tournament.model_copy(update={"metadata": metadata}))
        service = inference_service(cluster.tournament, cluster.graph.model["m1"], SETTINGS, loads=1, started="now")
        return objects_of(cluster, "mine/m1")[1]["metadata"], service

    job, service = rendered(**asked)
    assert asked.items() <= job["labels"].items()
    assert job["annotations"][MIN_PARALLELISM] == "1"
    # How long a model runs is bounded by its Jobs.
    pods = service["spec"]["predictor"]["labels"]
    assert (pods[QUEUE], pods[PRIORITY]) == ("q", "low")
    assert MAX_TIME not in pods
    assert not asked.keys() & service["metadata"]["labels"].keys()
    del asked[QUEUE]
    job, service = rendered(**asked)
    assert not asked.keys() & {**job["labels"], **service["spec"]["predictor"]["labels"]}.keys()
    assert MIN_PARALLELISM not in job["annotations"]


def test_a_model_of_weights_is_served_by_its_runtime() -> None:
    players = [
        {
            "name": name,
            "model": {"uri": f"hf://org/{name}", "revision": "abc"},
            "serving": {
                "runtime": "my-vllm",
                "replicas": 2,
                "args": ["--max-model-len=4096"],
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
                "pod": {"nodeSelector": {"gpu": "a"}, "env": [{"name": "A", "value": "1"}]},
            },
        }
        for name in ("a", "b", "c")
    ]
    cluster = Cluster(cluster_tournament(3, players=players))
    service = inference_service(cluster.tournament, cluster.graph.model["a"], SETTINGS, loads=3, started="x")
    predictor = service["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 2)
    assert predictor["nodeSelector"] == {"gpu": "a"}
    assert predictor["model"] == {
        "modelFormat": {"name": "vLLM"},
        "runtime": "my-vllm",
        "storageUri": "hf://org/a:abc",
        "args": ["--enable-prompt-tokens-details", "--max-model-len=4096"],
        "env": [{"name": "A", "value": "1"}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    notes = service["metadata"]["annotations"]
    assert notes["serving.kserve.io/stop"] == "false"
    assert notes["tiltyard.dev/loads"] == "3"


@pytest.mark.parametrize(
    ("serving", "runtime"),
    [
        ({}, "vllm-cpu"),
        ({"resources": {"limits": {"cpu": "8", "hugepages-2Mi": "1Gi"}}}, "vllm-cpu"),
        ({"resources": {"limits": {"google.com/tpu": "0"}}}, "vllm-cpu"),
        *(({"resources": {"limits": {name: "1"}}}, "vllm") for name in ("nvidia.com/gpu", "amd.com/gpu",
          "nvidia.com/mig-3g.40gb", "habana.ai/gaudi", "gpu.intel.com/i915", "google.com/tpu", "aws.amazon.com/neuron",
          "aws.amazon.com/neuroncore", "huawei.com/Ascend910", "example.com/npu")),
        ({"pod": {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]}}, "vllm"),
    ],
)  # fmt: skip
def test_a_model_with_a_device_of_any_kind_is_not_served_by_the_runtime_for_cpus(
    serving: dict[str, Any], runtime: str
) -> None:
    players = [{"name": name, "model": {"uri": f"hf://org/{name}"}, "serving": serving} for name in "abc"]
    cluster = Cluster(cluster_tournament(3, players=players))
    settings = replace(SETTINGS, runtime="vllm", cpu_runtime="vllm-cpu")
    service = inference_service(cluster.tournament, cluster.graph.model["a"], settings, loads=1, started="x")
    assert service["spec"]["predictor"]["model"]["runtime"] == runtime


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("kserve://m1", "http://m1-predictor.arena.svc.cluster.local/v1"),
        ("kserve://team/m1", "http://m1-predictor.team.svc.cluster.local/v1"),
        ("kserve://m1?path=/openai/v1", "http://m1-predictor.arena.svc.cluster.local/openai/v1"),
        ("https://elsewhere/v1", "https://elsewhere/v1"),
    ],
)
def test_an_inference_service_that_runs_already_is_found_by_its_name(given: str, url: str) -> None:
    endpoint = {"url": given, "model": "m"}
    embedder = {"method": "Endpoint", "endpoint": endpoint}
    tournament = cluster_tournament(
        players=[
            *({"name": name, "model": {"uri": f"sim://{name}"}} for name in "ab"),
            {"name": "c", "endpoint": endpoint},
        ],
        curation={"decontaminate": [], "diversity": {"embedder": embedder}},
    )
    graph = Cluster(tournament).graph
    task = preflight_task(with_service_urls(tournament, SETTINGS, {}), graph, store_ref(tournament))
    assert [(one.name, one.endpoint.url) for one in task.endpoints] == [("c", url), ("embedder", url)]
    assert tournament.spec.competitors[2].identity().uri == f"{given}#m"


TARGET = cluster_tournament(
    3,
    training={
        "baseModel": {"uri": "pvc://models/base"},
        "resources": {"limits": {"nvidia.com/gpu": "2"}},
        "trainer": {"deviceBatchSize": 4},
    },
    evaluation={"benchmarks": ["humaneval"], "allowCodeExecution": True},
    curation={"decontaminate": []},
)


def test_what_trains_has_its_own_resources_its_own_image_and_the_base_model() -> None:
    settings = replace(SETTINGS, trainer_image="tiltyard/trainer:test")
    cluster = Cluster(TARGET)
    bundle = cluster.graph.by_name["train"]
    task = bundle_task(TARGET, JobOrder(bundle, bundle.missing({})), store_ref(TARGET), None)
    _, job = bundle_objects(TARGET, JobOrder(bundle, bundle.missing({})), task, settings)
    pod = pod_of(job)
    (container,) = pod["containers"]
    assert container["image"] == "tiltyard/trainer:test"
    assert container["resources"] == {
        "limits": {"cpu": "32", "memory": "128Gi", "nvidia.com/gpu": "2"},
        "requests": {"cpu": "500m", "memory": "512Mi", "nvidia.com/gpu": "2"},
    }
    assert {"name": "base", "mountPath": "/base", "readOnly": True} in container["volumeMounts"]
    assert {"name": "base", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}} in pod["volumes"]
    trainer = trainer_ref(TARGET, None)
    assert (trainer.base, trainer.devices, trainer.device_batch) == ("/base/base", 2, 4)


def test_what_runs_programs_has_no_key_and_no_task() -> None:
    _, job = objects_of(Cluster(TARGET), "score/trained-model/humaneval")
    pod = pod_of(job)
    (sandbox,) = pod["initContainers"]
    assert sandbox["restartPolicy"] == "Always"
    assert "env" not in sandbox
    assert {mount["name"] for mount in sandbox["volumeMounts"]} == {"programs", "tmp"}
    assert "initContainers" not in pod_of(objects_of(Cluster(TARGET), "solve/base-model/humaneval")[1])


def test_programs_with_libraries_run_in_the_image_that_has_them() -> None:
    environment = {"benchmark": "ds1000", "image": "registry.example/science:1", "python": "/opt/bin/python"}
    tournament = cluster_tournament(
        3,
        evaluation={
            "competitors": True, "benchmarks": ["humaneval", "ds1000"], "environments": [environment],
            "allowCodeExecution": True,
        },
        curation={"decontaminate": []},
    )  # fmt: skip
    cluster = Cluster(tournament)
    for name in ("references/ds1000", "score/m0/ds1000"):
        config_map, job = objects_of(cluster, name)
        pod = pod_of(job)
        file, sandbox = pod["initContainers"]
        assert pod["containers"][0]["image"] == file["image"] == SETTINGS.worker_image
        assert "restartPolicy" not in file  # it ends before the sandbox begins
        assert sandbox["image"] == "registry.example/science:1"
        assert sandbox["command"][:3] == ["/opt/bin/python", "-I", file["command"][-1]]
        assert sandbox["restartPolicy"] == "Always"
        assert "env" not in sandbox
        assert sandbox["securityContext"].items() > pod["containers"][0]["securityContext"].items()
        assert sandbox["securityContext"]["runAsUser"] > 0  # whoever the image is made for
        assert json.loads(config_map["data"]["task.json"])["programsPython"] is None
    (sandbox,) = pod_of(objects_of(cluster, "score/m0/humaneval")[1])["initContainers"]
    assert sandbox["image"] == SETTINGS.worker_image
    # A cluster that assigns users refuses pods that name another one.
    assigned = replace(SETTINGS, children=ChildrenSettings(assigned_users=True))
    assert "runAsUser" not in json.dumps(objects_of(cluster, "score/m0/ds1000", assigned)[1])


def test_tasks_of_the_harness_have_its_image_and_no_sandbox() -> None:
    tournament = cluster_tournament(
        3,
        evaluation={"competitors": True, "benchmarks": [], "lmEval": [{"name": "gsm8k", "metric": "exact_match"}]},
        curation={"decontaminate": []},
    )
    settings = replace(SETTINGS, lm_eval_image="tiltyard/lm-eval:test", lm_eval_python="/opt/lm-eval/bin/python")
    cluster = Cluster(tournament)
    made = [objects_of(cluster, name, settings) for name in ("questions/gsm8k/chat", "score/m0/gsm8k")]
    task = cluster_preflight_task(tournament, cluster.graph)
    (looked,) = task.lm_eval
    assert (looked.field, looked.metric) == ("spec.evaluation.lmEval[0]", "exact_match")
    for config_map, job in (*made, preflight_objects(tournament, task, settings)):
        pod = pod_of(job)
        assert pod["containers"][0]["image"] == SETTINGS.worker_image
        (beside,) = pod["initContainers"]
        assert beside["image"] == "tiltyard/lm-eval:test"
        assert beside["restartPolicy"] == "Always"  # it ends with the worker
        assert beside["env"] == [{"name": "TILTYARD_IMAGE", "value": "tiltyard/lm-eval:test"}]
        assert {"name": "TILTYARD_LM_EVAL", "value": beside["command"][-1]} in pod["containers"][0]["env"]
        assert json.loads(config_map["data"]["task.json"])["lmEvalPython"] == "/opt/lm-eval/bin/python"
    for name in ("rate", "solve/m0/gsm8k"):
        config_map, job = objects_of(cluster, name, settings)
        assert pod_of(job)["containers"][0]["image"] == SETTINGS.worker_image
        assert json.loads(config_map["data"]["task.json"])["lmEvalPython"] is None


def test_the_trained_model_is_brought_by_an_init_container_that_alone_has_the_keys() -> None:
    cluster = Cluster(TARGET)
    service = inference_service(TARGET, cluster.graph.model["trained-model"], SETTINGS, loads=1, started="now")
    predictor = service["spec"]["predictor"]
    made = cluster.graph.by_name["train"].makes[0]
    assert predictor["model"]["storageUri"] == f"s3://bucket/train/{made.key}/"
    assert "env" not in predictor["model"]
    assert predictor["model"]["volumeMounts"][-1]["mountPath"] == "/mnt/models"
    (fetch,) = predictor["initContainers"]
    assert fetch["name"] == "storage-initializer"
    assert {entry["name"] for entry in fetch["env"]} == {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    }  # fmt: skip
    task = FetchTask.model_validate_json(predictor["annotations"]["tiltyard.dev/fetch"])
    assert task.model == made
    base = inference_service(TARGET, cluster.graph.model["base-model"], SETTINGS, loads=1, started="now")
    assert base["spec"]["predictor"]["model"]["storageUri"] == "pvc://models/base"
    assert "initContainers" not in base["spec"]["predictor"]
