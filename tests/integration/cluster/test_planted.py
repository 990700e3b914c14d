"""Pods to which somebody has given our labels change nothing: neither status, room, deadlines nor what is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest
import yaml

from support.arena import SMALL, Arena, begun, condition
from support.waiting import until
from tiltyard.observe.kinds import JOBS, PODS, Kind, Object
from tiltyard.render.names import service_name

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

DEPLOYMENTS = Kind("apps/v1", "Deployment", "deployments")
LABELS = {"app.kubernetes.io/managed-by": "tiltyard", "tiltyard.dev/tournament": "test"}
WAITS = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
ENDED = {"exitCode": 3, "message": "planted", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
FAILED = {"name": "worker", "image": "any", "imageID": "", "ready": False, "restartCount": 0,
          "state": {"terminated": ENDED}}  # fmt: skip


async def plant(
    arena: Arena, kind: Kind, name: str, spec: dict[str, Any], labels: dict[str, str], owners: Iterable[Object] = ()
) -> None:
    meta = {
        "name": name, "namespace": arena.namespace, "labels": {**LABELS, **labels}, "ownerReferences": list(owners),
    }  # fmt: skip
    await arena.kube.apply(kind, {"apiVersion": kind.api, "kind": kind.kind, "metadata": meta, "spec": spec})


async def is_gone(arena: Arena, pod: str) -> bool:
    """Whether the garbage collector has deleted a pod, whose owner does not exist."""
    return pod not in {one["metadata"]["name"] for one in await arena.children(PODS)}


async def test_pods_with_our_labels_change_nothing(arena: Arena) -> None:
    arena.player.never_starts(
        lambda pod: pod["metadata"]["name"].startswith("planted-job"),
        {"phase": "Failed", "containerStatuses": [FAILED]},
    )
    arena.player.never_starts(lambda pod: pod["metadata"]["name"] == "planted-owner", {"phase": "Pending"})
    arena.player.never_starts(
        lambda pod: pod["metadata"]["name"].startswith("planted"), {"phase": "Pending", "conditions": [WAITS]}
    )
    pod = {"containers": [{"name": "worker", "image": "any"}]}
    its_model = {"tiltyard.dev/model": "m0"}
    await plant(arena, PODS, "planted-pod", pod, its_model)
    template = {"metadata": {"labels": {**LABELS, **its_model}}, "spec": pod}
    await plant(
        arena, DEPLOYMENTS, "planted-set", {"selector": {"matchLabels": its_model}, "template": template}, its_model
    )
    await arena.apply(arena.manifest(2, **SMALL))
    (job, *_) = await until(lambda: arena.children(JOBS))
    its_job = {"batch.kubernetes.io/job-name": job["metadata"]["name"], "batch.kubernetes.io/job-completion-index": "0"}
    await plant(arena, PODS, "planted-job", pod, its_job)
    maker = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{service_name('test', 'm0')}-predictor-x"}
    await plant(arena, PODS, "planted-owner", pod, its_model, [{**maker, "uid": str(uuid4()), "controller": True}])
    await until(lambda: is_gone(arena, "planted-owner"))
    await begun(arena, "mine")

    async def planted() -> dict[str, str]:
        pods = {one["metadata"]["name"]: one["status"]["phase"] for one in await arena.children(PODS)}
        found = {name: phase for name, phase in pods.items() if name.startswith("planted")}
        return found if len(found) == 3 else {}

    assert sorted((await until(planted)).values()) == ["Failed", "Pending", "Pending"]
    # What stops waits until its own pods are gone, and for no other.
    await arena.patch(suspend=True)
    rests = await arena.wait(lambda one: condition(one, "Suspended").get("status") == "True")
    rests = await arena.wait(
        lambda one: all(model["state"] == "Stopped" for model in one["status"]["models"]), limit=30
    )
    assert condition(rests, "Waiting")["reason"] == "NothingWaits"
    assert "planted" not in yaml.safe_dump(rests["status"])
    assert [note for _, reason, note in await arena.events() if "planted" in note or reason == "Waiting"] == []
    assert await planted(), "they are left alone"
