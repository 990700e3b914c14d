"""The operator as a process on a real API server with the KServe controller; the worker's real code in played pods."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from support.arena import SMALL, Arena, answering_late, begun, bundles, condition, pods_ended
from support.benchmarks import small_benchmark
from support.local_runs import LocalRun, contents, differences
from support.waiting import until
from tiltyard.observe.kinds import CONFIG_MAPS, JOBS, PODS, SERVICES, TOURNAMENTS, Object
from tiltyard.render.names import STOP, job_name, service_name
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import open_store

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


@pytest.mark.timeout(480)
async def test_a_tournament_from_apply_to_complete(arena: Arena, credentials: Any, tmp_path: Path) -> None:
    document = arena.manifest(2, **SMALL)
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed", limit=150)
    status = done["status"]
    assert status["phase"] == "Complete", yaml.safe_dump(status)
    assert status["progress"] == "100%"
    assert {row["name"] for row in status["leaderboard"]} == {"m0", "m1"}
    assert status["outputs"]["report"].startswith(f"{arena.s3_uri}/runs/{status['run']}/")
    assert {model["state"] for model in status["models"]} <= {"Stopping", "Stopped"}
    assert status["usage"]["promptTokens"] > 0
    told = {one["type"]: one["status"] for one in status["conditions"]}
    assert told == {
        "Accepted": "True", "Preflighted": "True", "DatasetReady": "True", "Complete": "True", "Failed": "False",
        "Suspended": "False", "Waiting": "False", "Ready": "True", "Reconciling": "False", "Stalled": "False",
    }  # fmt: skip

    # One machine makes the same bytes of the same manifest.
    local = LocalRun(tmp_path / "local", {**document, "metadata": {"name": "test"}})
    local.complete()
    assert local.out is not None
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    expected = contents(open_store(StoreRef(uri=local.out.as_uri())))
    assert differences(expected, contents(store)) == []
    store.close()

    # The events tell the story once.
    events = await arena.events()
    reasons = [reason for _, reason, _ in events]
    assert {"PreflightPassed", "PhaseChanged", "ModelStarting", "ModelReady", "DatasetReady", "Complete"} <= set(
        reasons
    )
    assert reasons.count("Complete") == 1
    assert {kind for kind, _, _ in events} == {"Normal"}

    # Nothing is written any more, and an edit that changes no result makes no child.
    jobs = await bundles(arena)
    await pods_ended(arena)
    version = (await arena.get())["metadata"]["resourceVersion"]
    await asyncio.sleep(2)
    assert (await arena.get())["metadata"]["resourceVersion"] == version
    await arena.patch(jobs={"parallelism": 2})
    await arena.wait(lambda one: one["status"]["observedGeneration"] == one["metadata"]["generation"])
    assert await bundles(arena) == jobs

    # Its metrics say how things stand.
    gauges = {
        'tiltyard_tournaments{phase="Complete"} 1.0', 'tiltyard_models{state="Stopped"} 3.0',
        "tiltyard_jobs_active 0.0",
    }  # fmt: skip

    async def are_exposed() -> bool:
        return gauges <= set((await arena.operator.metrics()).splitlines())

    await until(are_exposed)

    # Deleted, it leaves nothing in the cluster and everything in the bucket.
    await arena.kube.delete(TOURNAMENTS, arena.namespace, "test")
    for kind in (JOBS, SERVICES, CONFIG_MAPS, PODS):
        await arena.gone(kind)


async def test_competitors_are_scored_by_a_sidecar_without_keys(arena: Arena, credentials: Any) -> None:
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    store.put("tasks.jsonl", small_benchmark(6).encode())
    file = {"benchmark": "humaneval_plus", "uri": f"{arena.s3_uri}/tasks.jsonl"}
    evaluation = {"benchmarks": ["humaneval_plus"], "files": [file], "competitors": True, "allowCodeExecution": True}
    jobs = {"shardSize": 164}  # a shard for all that a benchmark may have
    await arena.apply(arena.manifest(2, **SMALL | {"jobs": jobs}, evaluation=evaluation))

    async def scoring() -> list[Object]:
        return [pod for pod in await arena.children(PODS) if "-score-" in pod["metadata"]["name"]]

    (sandbox,) = (await until(scoring, 120))[0]["spec"]["initContainers"]
    assert [one["name"] for one in sandbox["env"]] == ["JOB_COMPLETION_INDEX"]  # Kubernetes' own
    assert [mount["name"] for mount in sandbox["volumeMounts"]] == ["programs", "tmp"]
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert condition(done, "Evaluated")["status"] == "True"
    run = done["status"]["run"]
    scores = json.loads(store.get(f"runs/{run}/benchmarks.json") or b"")["scores"]
    assert [(one["model"], one["tasks"], one["outcomes"]) for one in scores] == [
        ("m0", 6, {"Failed": 6}), ("m1", 6, {"Failed": 6}),
    ]  # fmt: skip
    store.close()


@pytest.mark.timeout(480)
async def test_an_edit_of_a_complete_one_makes_what_it_changes(arena: Arena) -> None:
    await arena.apply(arena.manifest(2, **SMALL))
    before = (await arena.wait_for_phase("Complete", "Failed", limit=150))["status"]
    assert before["phase"] == "Complete", yaml.safe_dump(before)
    await arena.patch(rating={"alpha": "0.4"})
    after = (await arena.wait(lambda one: one["status"]["run"] != before["run"]))["status"]
    assert not after.get("outputs"), "those of another run are not shown"
    ended = ("Complete", "Failed")
    done = (await arena.wait(lambda one: one["status"]["phase"] in ended and one["status"].get("outputs")))["status"]
    assert (done["phase"], done["run"] == before["run"]) == ("Complete", False), yaml.safe_dump(done)


async def test_an_edit_while_it_runs_touches_only_what_it_must(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    await arena.apply(document)
    await begun(arena, "answer")
    before = await bundles(arena)
    document["spec"]["rating"] = {"alpha": "0.5"}
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", done["status"]
    after = await bundles(arena)
    assert {name for name, bundle in before.items() if bundle != "preflight"} <= set(after)
    assert sorted(pod.rpartition("-")[0] for pod in arena.player.started if "-answer-" in pod) == sorted(
        {pod.rpartition("-")[0] for pod in arena.player.started if "-answer-" in pod}
    )
    assert [model["loads"] for model in done["status"]["models"]] == [1, 1, 1]


async def test_suspended_it_frees_everything_and_resumed_it_goes_on(arena: Arena) -> None:
    await arena.apply(arena.manifest(2, **SMALL))
    await begun(arena, "answer")
    await arena.patch(suspend=True)
    await arena.wait_for_phase("Suspended")
    await pods_ended(arena)
    suspended = await arena.get()
    assert condition(suspended, "Suspended")["status"] == "True"
    mined = [pod for pod in arena.player.started if "-mine-" in pod]
    await arena.patch(suspend=False)
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", done["status"]
    assert [pod for pod in arena.player.started if "-mine-" in pod] == mined


async def test_suspended_while_it_is_invalid_it_frees_everything_and_mended_it_goes_on(arena: Arena) -> None:
    await arena.apply(arena.manifest(2, **SMALL))
    await begun(arena, "answer")
    await arena.patch(battles={"schedule": {"type": "Pruned"}})  # which two competitors do not take
    invalid = await arena.wait_for_phase("Invalid")
    assert condition(invalid, "Suspended")["status"] == "False"
    stops = [one["metadata"]["annotations"].get(STOP) for one in await arena.children(SERVICES)]
    assert "false" in stops  # a mistake in an edit costs no load
    await arena.patch(suspend=True)
    await arena.wait(lambda one: condition(one, "Suspended").get("status") == "True")
    await pods_ended(arena)
    words = "spec.suspend is true: its Jobs and models are stopped"
    await arena.wait(lambda one: words in condition(one, "Suspended")["message"])
    freed = await arena.wait(lambda one: all(model["state"] == "Stopped" for model in one["status"]["models"]))
    assert freed["status"]["phase"] == "Invalid"
    assert "spec.battles" in condition(freed, "Stalled")["message"]
    assert all("upSince" not in model for model in freed["status"]["models"])
    assert {one["metadata"]["annotations"][STOP] for one in await arena.children(SERVICES)} == {"true"}
    mined = [pod for pod in arena.player.started if "-mine-" in pod]
    await arena.patch(battles=None, suspend=False)
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", done["status"]
    assert [pod for pod in arena.player.started if "-mine-" in pod] == mined


async def test_the_operator_is_killed_and_nothing_is_made_twice(arena: Arena) -> None:
    await arena.apply(arena.manifest(2, **SMALL))
    for stage in ("mine", "answer", "judge"):
        await begun(arena, stage)
        await arena.operator.kill()
        await pods_ended(arena, models=False)  # unseen
        pods = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in await arena.children(PODS)}
        assert "Running" in {phase for name, phase in pods.items() if "-predictor-" in name}, "models stay up"
        await arena.operator.start()
    done = await arena.wait_for_phase("Complete", "Failed")
    assert done["status"]["phase"] == "Complete", done["status"]
    shards = [pod.rpartition("-")[0] for pod in arena.player.started if "predictor" not in pod]
    assert len(shards) == len(set(shards))
    assert {row["name"] for row in done["status"]["leaderboard"]} == {"m0", "m1"}
    assert done["status"]["usage"]["promptTokens"] > 0


async def test_killed_shards_and_models_cost_no_record(arena: Arena) -> None:
    await arena.apply(answering_late(arena.manifest(2, **SMALL)))
    await begun(arena, "answer")
    assert arena.player.kill("-answer-")
    assert arena.player.kill("m0-")
    await begun(arena, "judge")
    assert arena.player.kill("j0-")
    done = await arena.wait_for_phase("Complete", "Failed", limit=150)
    assert done["status"]["phase"] == "Complete", done["status"]
    assert all(stage["void"] == 0 for stage in done["status"]["stages"] if stage["name"] == "Answering")


@pytest.mark.timeout(480)
async def test_requests_that_kill_their_server_twice_are_void_and_the_model_is_kept(
    arena: Arena, credentials: Any
) -> None:
    jobs = {"shardSize": 16, "maxVoidFraction": "0.5"}
    document = arena.manifest(2, **SMALL | {"jobs": jobs, "per_competitor": 32})
    document["spec"]["curation"]["diversity"] = {"perCompetitor": 16}
    document["spec"]["competitors"][1]["serving"] = {"args": ["--fault-exit=0.1"]}
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed", limit=400)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    (answering,) = (stage for stage in done["status"]["stages"] if stage["name"] == "Answering")
    assert [one["reason"] for one in answering["voids"]] == ["KilledServer"]
    # The rows say the same as the status, and the other records of the model are there.
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    table = pq.read_table(BytesIO(store.get(f"runs/{done['status']['run']}/tables/answers.parquet") or b""))
    store.close()
    voids = [void for void in table["void"].to_pylist() if void is not None]
    assert voids == ["KilledServer"] * answering["void"]
    assert 0 < len(voids) < len(table) // 2


@pytest.mark.timeout(600)
async def test_jobs_whose_model_has_no_room_are_suspended_and_go_on_later(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL | {"jobs": {"shardSize": 4}}, serving={"maxActive": 3})
    for player in document["spec"]["competitors"]:
        player["serving"] = {"args": ["--latency-ms=3000"]}
    await arena.apply(document)
    await arena.wait(
        lambda _: all(any(f"-mine-{name}-" in pod for pod in arena.player.started) for name in ("m0", "m1"))
    )
    await arena.patch(serving={"maxActive": 1})
    await arena.kube.delete(SERVICES, arena.namespace, service_name("test", "m0"))
    await until(lambda: "job suspended" in arena.operator.log.read_text())
    done = await arena.wait_for_phase("Complete", "Failed", limit=400)
    assert done["status"]["phase"] == "Complete", done["status"]
    assert all(stage["void"] == 0 for stage in done["status"]["stages"] if stage["name"] == "Mining")


async def test_deleted_while_it_runs_and_with_the_operator_down(arena: Arena) -> None:
    await arena.apply(arena.manifest(2, **SMALL))
    await begun(arena, "mine")
    await arena.operator.kill()
    await arena.kube.delete(TOURNAMENTS, arena.namespace, "test")
    for kind in (JOBS, SERVICES, PODS, CONFIG_MAPS):
        await arena.gone(kind)
    await arena.operator.start()


USED = {
    ("tournaments", "list"), ("tournaments", "watch"), ("tournaments", "patch"),
    ("inferenceservices", "list"), ("inferenceservices", "watch"), ("inferenceservices", "patch"),
    ("inferenceservices", "delete"), ("jobs", "list"), ("jobs", "watch"), ("jobs", "patch"), ("jobs", "delete"),
    ("configmaps", "patch"), ("configmaps", "delete"), ("pods", "list"), ("pods", "watch"), ("events", "post"),
    ("openapi", "get"),
}  # fmt: skip
"""The calls behind the chart's rules: applying something new takes `create` beside `patch`, events are posted.

Who is authenticated may read the schemas.
"""


async def test_ended_children_go_after_their_time_and_do_not_come_back(arena: Arena) -> None:
    await arena.apply(arena.manifest(2, ttlSecondsAfterFinished=3, **SMALL))
    await arena.wait_for_phase("Complete")
    for kind in (JOBS, SERVICES, PODS, CONFIG_MAPS):
        await arena.gone(kind)
    started = list(arena.player.started)
    await asyncio.sleep(2)
    assert arena.player.started == started
    # The operator has the rights of the chart's role: it was refused nothing, and used every one of them.
    # TrainJobs and LLMInferenceServices are looked for in vain where they are missing; what else is done with them:
    # `test_train_job`, `test_llm`.
    told = await arena.operator.calls()
    # Events are listed only where a Job has no pod for a while: `test_refusals`.
    called = {(resource, verb) for verb, resource, _ in told if resource not in ("trainjobs", "llminferenceservices")}
    assert called - {("events", "list")} == USED
    assert not [call for call in told if call[2] in ("401", "403")]
    assert (await arena.get())["status"]["phase"] == "Complete"


async def test_another_release_does_not_start_a_finished_run_again(arena: Arena) -> None:
    await arena.operator.kill()
    await arena.apply(arena.manifest(2, **SMALL))
    created = await arena.get()
    complete = {"type": "Complete", "status": "True", "reason": "Complete", "observedGeneration": 1}
    status = {
        "observedGeneration": created["metadata"]["generation"],
        "phase": "Complete",
        "run": "0123456789ab",  # as the release before has called it
        "conditions": [complete | {"message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    body = {name: created[name] for name in ("apiVersion", "kind")} | {
        "metadata": {name: created["metadata"][name] for name in ("name", "namespace")},
        "status": status,
    }
    await arena.kube.apply(TOURNAMENTS, body, subresource="status")
    await arena.operator.start()
    done = await arena.wait(lambda one: bool(one["status"].get("notes")))
    assert "run 0123456789ab was made by an earlier release and stays as it is" in done["status"]["notes"][0]
    assert condition(done, "Complete")["message"] == done["status"]["notes"][0]
    assert (done["status"]["phase"], done["status"]["run"]) == ("Complete", "0123456789ab")
    assert await arena.children(JOBS) == []
    await arena.patch(rating={"alpha": "0.4"})  # whoever edits it wants it
    await arena.wait(lambda one: one["status"]["phase"] == "Preflight")


async def test_a_name_of_63_characters_beside_a_twin_of_the_same_recipe(arena: Arena) -> None:
    long = "x" * 63
    await asyncio.gather(
        arena.apply(arena.manifest(2, name=long, **SMALL)), arena.apply(arena.manifest(2, name="twin", **SMALL))
    )
    for name in (long, "twin"):
        done = await arena.wait_for_phase("Complete", "Failed", name=name, limit=150)
        assert done["status"]["phase"] == "Complete", done["status"]


async def test_parallelism_changes_in_flight(arena: Arena) -> None:
    small = {**SMALL, "per_competitor": 60, "jobs": {"shardSize": 6, "parallelism": 1}}
    await arena.apply(arena.manifest(2, **small))
    await begun(arena, "mine")
    await arena.patch(jobs={"shardSize": 6, "parallelism": 3})
    name = next(name for name, bundle in (await bundles(arena)).items() if bundle.startswith("mine/"))

    async def changed() -> bool:
        return bool((await arena.kube.get(JOBS, arena.namespace, name))["spec"]["parallelism"] == 3)

    await until(changed)


async def test_with_a_queue_the_operator_starts_no_job(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    document["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "q"}
    await arena.apply(document)
    await arena.wait_for_phase("Preflight")
    await asyncio.sleep(1)
    (job,) = await arena.children(JOBS)
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert job["metadata"]["name"].startswith(job_name("test", "preflight", "x")[:14])


async def test_a_job_that_somebody_else_suspends_waits_and_is_not_resumed(arena: Arena) -> None:
    arena.player.runs(lambda pod: "-preflight-" in pod["metadata"]["name"], ["sleep", "60"], times=1)
    await arena.apply(arena.manifest(2, **SMALL))
    await begun(arena, "preflight")
    (job,) = await arena.children(JOBS)
    name = job["metadata"]["name"]
    await arena.kube.merge(JOBS, arena.namespace, name, {"spec": {"suspend": True}})
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Queued", limit=30)
    assert f"Job {name} is suspended until its queue admits it" in condition(told, "Waiting")["message"]
    assert (await arena.kube.get(JOBS, arena.namespace, name))["spec"]["suspend"] is True
    await arena.kube.merge(JOBS, arena.namespace, name, {"spec": {"suspend": False}})
    await arena.wait_for_phase("Probing", "Mining", limit=60)


async def test_a_deadline(arena: Arena) -> None:
    arena.player.runs(lambda pod: "-preflight-" in pod["metadata"]["name"], ["sleep", "60"])
    await arena.apply(arena.manifest(2, activeDeadlineSeconds=3, **SMALL))
    failed = await arena.wait_for_phase("Failed", limit=20)
    assert "spec.activeDeadlineSeconds" in condition(failed, "Failed")["message"]
