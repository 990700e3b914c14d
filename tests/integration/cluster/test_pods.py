"""Pods as the manifest and the cluster want them, accepted by the real API server and by KServe."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from support.arena import SMALL, Arena, condition
from support.injected import CONTAINER, is_in_force, staying_container
from support.waiting import wait_until
from tiltyard.observe.kinds import CONFIG_MAPS, JOBS, PODS, SERVICES

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

RUNTIME_CLASS = "confined"
SPREAD = {
    "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": {"team": "nlp"}},
}  # fmt: skip
POD: dict[str, Any] = {
    "labels": {"team": "nlp"},
    "annotations": {"example.com/note": "of a pod"},
    "runtimeClassName": RUNTIME_CLASS,
    "schedulerName": "volcano",
    "topologySpreadConstraints": [SPREAD],
    "securityContext": {"fsGroup": 1000700000, "supplementalGroups": [1000700001]},
}


async def test_all_that_a_pod_may_have_reaches_it(arena: Arena, plane: ControlPlane) -> None:
    kind = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "runc"}
    plane.apply(f"/apis/node.k8s.io/v1/runtimeclasses/{RUNTIME_CLASS}", kind | {"metadata": {"name": RUNTIME_CLASS}})
    document = arena.manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "pod": POD}})
    for one in (*document["spec"]["competitors"], *document["spec"]["judges"]):
        one["serving"] = {"pod": POD}
    document["metadata"]["labels"] = {"example.com/cost": "4711", "other": "x"}
    await arena.apply(document)
    await arena.wait_for_phase("Answering", "Failed")
    pods = await arena.children(PODS)
    assert {bool(pod["metadata"]["labels"].get("tiltyard.dev/model")) for pod in pods} == {True, False}
    for pod in pods:
        meta, spec = pod["metadata"], pod["spec"]
        assert meta["labels"].items() >= {"team": "nlp", "example.com/cost": "4711"}.items()
        assert meta["annotations"]["example.com/note"] == "of a pod"
        assert (spec["runtimeClassName"], spec["schedulerName"]) == (RUNTIME_CLASS, "volcano")
        assert spec["topologySpreadConstraints"] == [SPREAD]
        assert spec["securityContext"].items() >= {**POD["securityContext"], "runAsNonRoot": True}.items()
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    for kind_of_child in (CONFIG_MAPS, JOBS, SERVICES):
        for child in await arena.children(kind_of_child):
            assert child["metadata"]["labels"]["example.com/cost"] == "4711"
            assert "other" not in child["metadata"]["labels"]
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])


async def test_what_kubernetes_does_not_know_is_told_before_anything_starts(arena: Arena) -> None:
    pod = {"securityContext": {"runAsUsr": 1}, "topologySpreadConstraints": [{"maxSkew": 0}]}
    await arena.apply(arena.manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "pod": pod}}))
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=30)
    message = condition(told, "Waiting")["message"]
    assert message.startswith("preflight: Job test-preflight-")
    assert "runAsUsr" in message
    assert await arena.children(PODS) == []


@pytest.fixture
def staying(plane: ControlPlane, namespace: str) -> Iterator[None]:
    """Workers' pods of the test's namespace get a second container, from a policy that is in force."""
    injecting = list(staying_container(namespace, "any"))
    for path, body in injecting:
        plane.apply(path, body)

    def dry_run(pod: dict[str, Any]) -> Any:
        try:
            return plane.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        except urllib.error.HTTPError as error:
            if error.code != 403:  # the namespace has no service account yet
                raise
            return None

    wait_until(lambda: is_in_force(namespace, dry_run), poll=0.2)
    yield
    for path, _ in injecting:
        plane.request("DELETE", path)


async def test_a_sidecar_that_outlives_the_worker_is_told(staying: None, arena: Arena) -> None:
    ended = {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    common = {"image": "any", "imageID": "", "restartCount": 0, "ready": False}
    statuses = [
        {"name": "worker", **common, "state": {"terminated": ended}},
        {"name": CONTAINER, **common, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
    ]
    arena.player.never_starts(
        lambda pod: "-preflight-" in pod["metadata"]["name"], {"phase": "Running", "containerStatuses": statuses}
    )
    await arena.apply(arena.manifest(2, **SMALL))
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "NotEnding", limit=30)
    message = condition(told, "Waiting")["message"]
    assert message.startswith("preflight: pod test-preflight-")
    assert "is still there although its worker has ended: container stays is still running" in message
    assert condition(told, "Failed")["status"] == "False"
    assert len(await arena.notes("Waiting")) == 1
    # It is gone, and the tournament goes on.
    arena.player.rules.clear()
    (pod,) = await arena.children(PODS)
    assert [one["name"] for one in pod["spec"]["containers"]] == ["worker", CONTAINER]
    await arena.kube.delete(PODS, arena.namespace, pod["metadata"]["name"])
    await arena.wait(lambda one: condition(one, "Preflighted").get("status") == "True", limit=60)
