"""What a Tournament says that cannot go on, and what to do: on a real API server, with the worker's real code."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from support.arena import KEY, SMALL, TOLD_SECONDS, Arena, bundles, condition
from support.waiting import until
from tiltyard.observe.kinds import EVENTS, JOBS, PODS, SERVICES, Kind
from tiltyard.status.events import Event
from tiltyard.status.objects import event_object

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


async def test_a_bucket_that_is_not_there_and_what_to_do(arena: Arena, server: Any) -> None:
    document = arena.manifest(2, **SMALL)
    document["spec"]["output"] = {
        "s3": {"uri": "s3://nowhere/x", "endpoint": server.endpoint, "secretRef": {"name": KEY}}
    }
    await arena.apply(document)
    failed = await arena.wait_for_phase("Failed")
    assert "spec.output" in condition(failed, "Failed")["message"]
    assert "nowhere" in condition(failed, "Failed")["message"]
    assert "edit the spec" in condition(failed, "Stalled")["message"]
    assert await arena.children(SERVICES) == []
    await asyncio.sleep(1)
    assert await bundles(arena) != {}  # it stays, with its pod's log
    document["spec"]["output"]["s3"]["uri"] = arena.s3_uri
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", limit=120)
    assert condition(done, "Failed")["status"] == "False"


async def test_a_secret_that_is_not_there(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    document["spec"]["output"]["s3"]["secretRef"] = {"name": "nope"}
    await arena.apply(document)
    failed = await arena.wait_for_phase("Failed")
    message = condition(failed, "Failed")["message"]
    assert "spec.output" in message
    assert "nope" in message


def said_of(pod: Any, words: str) -> dict[str, Any]:
    """An event as the cluster autoscaler writes it."""
    now, meta = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), pod["metadata"]
    return {
        "metadata": {"name": f"{meta['name']}.1", "namespace": meta["namespace"]},
        "involvedObject": {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "type": "Normal",
        "reason": "NotTriggerScaleUp",
        "message": words,
        "source": {"component": "cluster-autoscaler"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


async def test_a_model_that_fits_no_node_waits(arena: Arena) -> None:
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
    arena.player.never_starts(
        lambda pod: "m1-" in pod["metadata"]["name"],
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}]},
    )
    await arena.apply(arena.manifest(2, serving={"startupDeadlineSeconds": 14}, **SMALL))
    told = await arena.told(
        arena.unschedulable, lambda one: words in condition(one, "Waiting").get("message", ""), "Waiting"
    )
    assert condition(told, "Waiting")["reason"] == "Unschedulable"
    assert "once it fits a node: add nodes, or lower serving.resources" in condition(told, "Waiting")["message"]
    assert words in condition(told, "Reconciling")["message"]
    await asyncio.sleep(16)
    waiting = await arena.get()
    assert condition(waiting, "Failed")["status"] == "False"
    assert words in condition(waiting, "Waiting")["message"]
    (pod,) = (pod for pod in await arena.children(PODS) if "m1-" in pod["metadata"]["name"])
    await arena.kube.create(
        Kind("v1", "Event", "events"), said_of(pod, "pod didn't trigger scale-up: max size reached")
    )
    says = "; cluster-autoscaler says: pod didn't trigger scale-up: max size reached"
    await arena.wait(lambda one: condition(one, "Waiting")["message"].endswith(says), limit=TOLD_SECONDS)
    assert len(await arena.notes("Waiting")) == 1


async def test_a_pod_that_its_node_does_not_start_is_told(arena: Arena) -> None:
    creating = {"name": "worker", "image": "any", "imageID": "", "ready": False, "restartCount": 0}
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    arena.player.never_starts(
        lambda pod: "-preflight-" in pod["metadata"]["name"],
        {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": now}],
            "containerStatuses": [{**creating, "state": {"waiting": {"reason": "ContainerCreating"}}}],
        },
    )
    await arena.apply(arena.manifest(2, **SMALL))
    (pod,) = await until(lambda: arena.children(PODS))
    words = 'MountVolume.SetUp failed for volume "mine" : configmap "mine" not found'
    said = {**said_of(pod, words), "reason": "FailedMount", "type": "Warning", "source": {"component": "kubelet"}}
    await arena.kube.create(Kind("v1", "Event", "events"), said)
    told = await arena.wait(lambda one: words in condition(one, "Waiting").get("message", ""), limit=TOLD_SECONDS)
    assert condition(told, "Waiting")["reason"] == "NotStarting"
    advice = "; create what it names, or change the manifest's field that names it"
    assert condition(told, "Waiting")["message"].endswith(f"{words}{advice}")
    assert len(await arena.notes("Waiting")) == 1
    # It is there now, and the tournament goes on.
    arena.player.rules.clear()
    await arena.kube.delete(PODS, arena.namespace, pod["metadata"]["name"])
    await arena.wait(lambda one: condition(one, "Preflighted").get("status") == "True", limit=60)


async def test_a_model_that_crashes_says_why(arena: Arena) -> None:
    script = "import sys; print('starting'); print('OSError: org/model is not found (404)'); sys.exit(1)"
    arena.player.runs(lambda pod: "m0-" in pod["metadata"]["name"], ["python", "-c", script])
    await arena.apply(arena.manifest(2, serving={"startupDeadlineSeconds": 8}, **SMALL))
    failed = await arena.wait_for_phase("Failed")
    message = condition(failed, "Failed")["message"]
    assert "the model was not found: check its uri and revision" in message
    assert "org/model is not found (404)" in message


async def test_a_judge_that_cannot_vote_fails_the_tournament_before_anybody_grades_or_answers(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    document["spec"]["judges"][0]["model"]["uri"] = "sim://j0?judge.abstain=1"
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed")
    failed = condition(done, "Failed")
    assert failed["status"] == "True"
    assert "probe/j0: spec.judges[0]: http://" in failed["message"]
    assert "names no side in any of 4 verdicts" in failed["message"]
    assert [one["state"] for one in done["status"]["stages"] if one["name"] == "Probing"] == ["Failed"]
    begun = {bundle.partition("/")[0] for bundle in (await bundles(arena)).values()}
    assert "probe" in begun
    assert not begun & {"grade", "answer", "judge"}


async def test_a_worker_image_that_is_not_there(arena: Arena) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "tiltyard/worker": not found'}
    status = {"name": "worker", "image": "tiltyard/worker", "imageID": "", "ready": False, "restartCount": 0}
    arena.player.never_starts(
        lambda pod: "-preflight-" in pod["metadata"]["name"],
        {"phase": "Pending", "containerStatuses": [{**status, "state": {"waiting": waiting}}]},
    )
    await arena.apply(arena.manifest(2, serving={"startupDeadlineSeconds": 4}, **SMALL))
    failed = await arena.wait_for_phase("Failed")
    assert "cannot pull tiltyard/worker" in condition(failed, "Failed")["message"]


@pytest.mark.parametrize("message", ["x" * 5000, "é" * 5000])
async def test_the_api_server_takes_an_event_of_a_long_message(arena: Arena, message: str) -> None:
    await arena.apply(arena.manifest(2, **SMALL, suspend=True))
    event = event_object(await arena.get(), Event("Refused", message), datetime.now(UTC))
    note = (await arena.kube.create(EVENTS, event))["note"]
    assert note.endswith("…")
    assert len(note.encode()) >= 1020


async def test_a_manifest_that_this_release_cannot_run(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    document["spec"]["battles"] = {"schedule": {"type": "Pruned"}}
    await arena.apply(document)
    refused = await arena.wait_for_phase("Invalid")
    assert condition(refused, "Accepted") | {"lastTransitionTime": ""} == {
        "type": "Accepted",
        "status": "False",
        "reason": "Invalid",
        "message": "spec.battles.schedule.type: must be RoundRobin: Pruned is not supported in this release",
        "observedGeneration": 1,
        "lastTransitionTime": "",
    }
    assert await arena.children(JOBS) == []
