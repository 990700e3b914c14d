"""What an LLMInferenceService says: its address, why it has no pods, how long it may start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, made_by_replica_set
from tiltyard.observe.kserve import is_llm_supported
from tiltyard.observe.llm import llm_address, llm_refusal
from tiltyard.observe.observation import observe
from tiltyard.observe.records import ServiceRecord
from tiltyard.observe.refusal import of_llm
from tiltyard.observe.snapshot import models_without_pods, stale_services
from tiltyard.plan.observed import ModelPhase, WaitReason
from tiltyard.render.names import service_name
from tiltyard.render.serving import inference_service

MISSING = 'no matches for kind "LeaderWorkerSet" in version "leaderworkerset.x-k8s.io/v1"'


def service(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "m", "namespace": "arena"}, "spec": spec, "status": status}


def condition(kind: str, reason: str, message: str = "", status: str = "False") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("urls", "spec", "address"),
    [
        ([], {}, None),
        # KServe writes its Service without the port at which it listens.
        (["http://m-kserve-workload-svc.arena.svc.cluster.local"], {},
         "http://m-kserve-workload-svc.arena.svc.cluster.local:8000"),
        # Through a gateway there is a path; one inside of the cluster comes first.
        (["http://models.example.com/arena/m", "http://gateway.infra.svc.cluster.local/arena/m/"],
         {"router": {"route": {}}}, "http://gateway.infra.svc.cluster.local/arena/m"),
        (["http://10.0.0.7/publishers/arena/models/m", "http://10.0.0.7/arena/m"],
         {"router": {"route": {}}}, "http://10.0.0.7/arena/m"),
    ],
)  # fmt: skip
def test_the_address(urls: list[str], spec: dict[str, Any], address: str | None) -> None:
    assert llm_address(service({"addresses": [{"url": url} for url in urls]}, **spec)) == address
    if address is not None and len(urls) == 1:
        assert llm_address(service({"url": urls[0]}, **spec)) == address


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([], ""),
        ([condition("WorkloadsReady", "MinimumReplicasUnavailable", "waits")], ""),
        ([condition("WorkloadsReady", "ReconcileMultiNodeWorkloadError", MISSING)],
         f"ReconcileMultiNodeWorkloadError: {MISSING}"),
        ([condition("PresetsCombined", "ConfigNotFound", "no config own")], "ConfigNotFound: no config own"),
        ([condition("GatewaysReady", "RefsInvalid", "no gateway g")], "RefsInvalid: no gateway g"),
        ([condition("WorkloadsReady", "ReconcileSingleNodeWorkloadError",
                    'failed to get current deployment: deployments.apps "m-kserve" not found')], ""),
        ([condition("WorkloadsReady", "ReconcileSingleNodeWorkloadError",
                    'Operation cannot be fulfilled on deployments.apps "m-kserve": the object has been modified; please'
                    " apply your changes to the latest version and try again")], ""),
        ([condition("PresetsCombined", "Old", "once"), condition("Ready", "", status="True")], ""),
    ],
)  # fmt: skip
def test_what_is_refused(conditions: list[dict[str, Any]], words: str) -> None:
    assert llm_refusal(service({"conditions": conditions})) == words


@pytest.fixture
def cluster() -> Cluster:
    """Of three players the first is served by an LLMInferenceService, and is up."""
    serving = {"kind": "LLMInferenceService", "parallelism": {"tensor": 1, "pipeline": 2}}
    players: list[dict[str, Any]] = [{"name": name, "model": {"uri": f"hf://org/{name}"}} for name in ("a", "b", "c")]
    players[0]["serving"] = serving
    found = Cluster(cluster_tournament(3, players=players))
    started = "2026-01-01T00:00:00+00:00"
    body = inference_service(found.tournament, found.graph.model["a"], SETTINGS, loads=1, started=started)
    body["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
    found.services["a"] = body
    return found


def test_a_refusal_is_a_wait_that_names_it_and_no_failure(cluster: Cluster) -> None:
    cluster.services["a"]["status"] = {
        "conditions": [condition("WorkloadsReady", "ReconcileMultiNodeWorkloadError", MISSING)]
    }
    seen = observe(cluster.snapshot(), SETTINGS, T0 + 100_000).models["a"]
    assert (seen.phase, seen.wait and seen.wait.reason) == (ModelPhase.STARTING, WaitReason.REFUSED)
    assert seen.wait is not None
    assert seen.wait.message == (
        f"KServe cannot set up LLMInferenceService {cluster.services['a']['metadata']['name']}:"
        f" ReconcileMultiNodeWorkloadError: {MISSING}; install what it names, the CRDs and their controller"
    )


def test_pods_that_a_quota_refuses_are_waited_for_and_told(cluster: Cluster) -> None:
    name = cluster.services["a"]["metadata"]["name"]
    assert [one.name for one in models_without_pods(cluster.snapshot(), T0 + 10)] == [name]
    assert models_without_pods(cluster.snapshot(), T0 + 9) == []
    refused = replace(
        cluster.snapshot(), refusals={name: 'pods "a-1" is forbidden: exceeded quota: team, requested: x'}
    )
    seen = observe(refused, SETTINGS, T0 + 100_000).models["a"]
    assert seen.phase is ModelPhase.STARTING
    assert seen.wait == (
        WaitReason.REFUSED,
        f"no pod of LLMInferenceService {name} can be created: exceeded quota: team, requested: x; raise the"
        " namespace's ResourceQuota, or lower serving.resources; it is retried automatically",
    )


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("ReplicaSet", "m-kserve-5d4f", True),
        ("StatefulSet", "m-kserve-mn-0", True),
        ("ReplicaSet", "m2-kserve-5d4f", False),
        ("Job", "m-kserve-5d4f", False),
    ],
)
def test_events_of_its_sets_of_pods(kind: str, name: str, told: bool) -> None:
    assert of_llm({"regarding": {"kind": kind, "name": name}}, "m") is told


def test_its_time_to_start_begins_when_its_last_pod_has_a_node(cluster: Cluster) -> None:
    def pod(name: str, **status: Any) -> dict[str, Any]:
        labels = {"tiltyard.dev/tournament": "test", "tiltyard.dev/model": "a"}
        meta: dict[str, Any] = {
            "name": name,
            "namespace": "arena",
            "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        meta["ownerReferences"] = made_by_replica_set(service_name("test", "a", llm=True))
        return {"metadata": meta, "spec": {}, "status": status}

    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    waits = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    cluster.pods = {"first": pod("first", phase="Running", conditions=[scheduled]),
                    "second": pod("second", phase="Pending", conditions=[waits])}  # fmt: skip
    late = T0 + 100_000
    assert observe(cluster.snapshot(), SETTINGS, late).models["a"].phase is ModelPhase.STARTING
    cluster.pods["second"]["status"] = {"phase": "Running", "conditions": [scheduled]}
    assert observe(cluster.snapshot(), SETTINGS, late).models["a"].phase is ModelPhase.FAILED


def test_of_two_objects_of_a_model_the_one_of_another_kind_goes_first(cluster: Cluster) -> None:
    cluster.services["a"]["status"] = {"conditions": [condition("Ready", "", status="True")], "observedGeneration": 1}
    assert observe(cluster.snapshot(), SETTINGS, T0).models["a"].phase is ModelPhase.READY
    before = inference_service(
        cluster_tournament(3), Cluster(cluster_tournament(3)).graph.model["m0"], SETTINGS, loads=1, started=""
    )
    before["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    before["metadata"]["labels"]["tiltyard.dev/model"] = "a"
    before["metadata"]["annotations"].pop("tiltyard.dev/started")
    cluster.services["before"] = before
    snapshot = cluster.snapshot()
    assert [one.kind.kind for one in stale_services(snapshot)] == ["InferenceService"]
    assert observe(snapshot, SETTINGS, T0).models["a"].phase is ModelPhase.STOPPING


def test_a_kserve_whose_llms_are_too_old_is_known_by_its_schema() -> None:
    def schema(*fields: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"properties": {field: {} for field in fields}}
        kind = {"group": "serving.kserve.io", "version": "v1alpha2", "kind": "LLMInferenceService"}
        return {"components": {"schemas": {"x": {"x-kubernetes-group-version-kind": [kind],
                                                 "properties": {"spec": spec}}}}}  # fmt: skip

    assert not is_llm_supported(schema("model", "router"))
    assert is_llm_supported(schema("model", "tracing"))
    assert is_llm_supported({})


def test_the_record_is_of_its_kind(cluster: Cluster) -> None:
    record = ServiceRecord.of_llm(cluster.services["a"])
    assert record is not None
    assert record.kind.plural == "llminferenceservices"
    assert record.model == "a"
