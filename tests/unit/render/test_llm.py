"""A model as an LLMInferenceService: what is KServe's own of it, and what the manifest adds."""

from __future__ import annotations

from typing import Any

from support.cluster_objects import CREATED, SETTINGS, Cluster, cluster_tournament
from tiltyard.observe.records import ServiceRecord
from tiltyard.render.children import one_of_each_kind
from tiltyard.render.names import LLM_NAME_LENGTH
from tiltyard.render.serving import inference_service, served_as, service_url
from tiltyard.render.weights import held_name

LARGE: dict[str, Any] = {
    "kind": "LLMInferenceService",
    "parallelism": {"tensor": 8, "data": 16, "dataLocal": 8, "expert": True},
    "replicas": 2,
    "args": ["--max-model-len=4096", '--override-generation-config={"temperature": 0}'],
    "resources": {"limits": {"nvidia.com/gpu": "8", "memory": "512Gi"}},
    "pod": {"nodeSelector": {"gpu": "h200"}, "labels": {"team": "a"}},
}


def served(own: dict[str, Any], uri: str = "hf://org/{}", **more: Any) -> tuple[Cluster, dict[str, Any]]:
    """A cluster whose players are all served so, and the object of the first."""
    players = [{"name": name, "model": {"uri": uri.format(name)}, "serving": own} for name in ("a", "b", "c")]
    cluster = Cluster(cluster_tournament(3, players=players, **more))
    return cluster, inference_service(cluster.tournament, cluster.graph.model["a"], SETTINGS, loads=2, started="x")


def test_one_that_spans_nodes_has_workers_as_its_first_pod() -> None:
    cluster, service = served(LARGE)
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1alpha2", "LLMInferenceService")
    spec = service["spec"]
    name = service["metadata"]["name"]
    assert spec["model"] == {"uri": "hf://org/a", "name": name}
    assert spec["replicas"] == 2
    assert spec["parallelism"] == {"tensor": 8, "data": 16, "dataLocal": 8, "expert": True}
    (container,) = spec["template"]["containers"]
    assert container == {
        "name": "main",
        "args": [
            "--enable-prompt-tokens-details",
            "--max-model-len=4096",
            # KServe's configurations have a shell read it once more.
            """'--override-generation-config={"temperature": 0}'""",
        ],
        "resources": {
            "limits": {"nvidia.com/gpu": "8", "memory": "512Gi"},
            "requests": {"nvidia.com/gpu": "8", "memory": "512Gi"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    assert spec["template"]["nodeSelector"] == {"gpu": "h200"}
    assert spec["worker"] == spec["template"]
    assert spec["labels"]["team"] == "a"
    assert spec["labels"]["tiltyard.dev/model"] == "a"  # by it the operator finds the pods
    notes = service["metadata"]["annotations"]
    assert notes["serving.kserve.io/stop"] == "false"
    assert notes["tiltyard.dev/loads"] == "2"
    assert "serving.kserve.io/deploymentMode" not in notes
    # What it takes of a budget are all its pods.
    assert cluster.graph.model["a"].resources["nvidia.com/gpu"] == 2 * 2 * 8


def test_its_names_have_room_for_what_kserve_appends() -> None:
    serving = {"kind": "LLMInferenceService"}
    player = {"name": "a" * 32, "model": {"uri": "hf://org/a"}, "serving": serving}
    others = [{"name": name, "model": {"uri": f"hf://org/{name}"}} for name in ("b", "c")]
    tournament = cluster_tournament(3, name="t" * 63, players=[player, *others])
    name = served_as(tournament, "a" * 32)
    assert len(name) <= LLM_NAME_LENGTH
    # A pod's label of the StatefulSet of the last replica.
    assert len(f"{name}-kserve-mn-63-{'x' * 10}") <= 63
    url = service_url(tournament, "a" * 32, SETTINGS)
    assert url == f"http://{name}-kserve-workload-svc.arena.svc.cluster.local:8000/v1"
    assert len(url.partition("//")[2].partition(".")[0]) <= 63


def test_what_kserve_has_itself_is_passed_on() -> None:
    router: dict[str, Any] = {"scheduler": {}, "route": {}, "gateway": {}}
    worker = {"containers": [{"name": "main", "image": "own"}]}
    given = {**LARGE, "router": router, "worker": worker, "baseRefs": [{"name": "own-vllm"}]}
    _, service = served(given)
    assert service["spec"]["router"] == router
    assert service["spec"]["worker"] == worker
    assert service["spec"]["baseRefs"] == [{"name": "own-vllm"}]
    _, plain = served({"kind": "LLMInferenceService"})
    assert not {"router", "worker", "baseRefs", "parallelism"} & set(plain["spec"])


def test_a_simulated_expert_is_brought_by_nobody() -> None:
    _, service = served({"kind": "LLMInferenceService"}, uri="sim://{}")
    spec = service["spec"]
    (container,) = spec["template"]["containers"]
    assert spec["storageInitializer"] == {"enabled": False}
    assert container["command"][:3] == ["python", "-m", "tiltyard_jobs.sim"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v1/models", "port": 8000}
    assert container["args"][-2:] == ["--port", "8000"]
    assert spec["template"]["securityContext"]["runAsNonRoot"] is True


def test_it_is_tried_before_anything_starts() -> None:
    cluster, service = served(LARGE)
    tried = [body["kind"] for body in one_of_each_kind(cluster.tournament, cluster.graph, cluster.task, SETTINGS)]
    assert tried.count("LLMInferenceService") == 1
    assert service["kind"] in tried


def test_an_init_container_of_ours_brings_weights_to_each_node() -> None:
    claim = {"weights": {"claim": {"size": "1Ti", "accessMode": "ReadWriteMany"}}}
    _, service = served(LARGE, serving=claim)
    spec = service["spec"]
    assert spec["storageInitializer"] == {"enabled": False}
    assert spec["worker"] == spec["template"]
    (filler,), (container,) = spec["template"]["initContainers"], spec["template"]["containers"]
    assert filler["command"] == ["python", "-m", "tiltyard_jobs.weights", "hf://org/a"]
    (mount,) = container["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/mnt/models", True)  # where KServe's configurations serve from
    assert filler["args"][:2] == ["--folder", f"/weights/{mount['subPath']}"]
    held = spec["template"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    record = ServiceRecord.of_llm(
        {**service, "metadata": {**service["metadata"], "creationTimestamp": CREATED, "annotations": {}}}
    )
    assert record is not None
    assert record.claim == held == held_name("test", "a")
