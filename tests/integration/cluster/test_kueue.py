"""Kueue's own controller over Jobs and models: three teams share three GPUs, and nobody holds one in vain."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from cluster.kueue import API, FAIR_SHARING, FRAMEWORKS, MANAGED
from support.arena import SMALL, Arena, condition
from support.documents import ROOT, code_blocks
from support.podplayer import NODE
from support.waiting import until
from tiltyard.observe.kinds import JOBS, NODES, PODS, SERVICES, WORKLOADS, Kind, Object
from tiltyard.render.names import MAX_TIME, MODEL, PRIORITY, QUEUE, RESTS_UNTIL, STAGE, STOP, TOURNAMENT
from tiltyard_jobs.contracts.exit_codes import ExitCode

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(900)]

GPU = "example.com/gpu"
NVIDIA = "nvidia.com/gpu"
GIVE_BACK = 20  # seconds that a model may be ready beside queued Jobs
KINDS = {
    name: Kind(API, name, f"{name.lower()}{ending}")
    for name, ending in (
        ("ResourceFlavor", "s"),
        ("Cohort", "s"),
        ("ClusterQueue", "s"),
        ("LocalQueue", "s"),
        ("WorkloadPriorityClass", "es"),
    )
}


def put(plane: ControlPlane, kind: str, name: str, namespace: str | None = None, **fields: Any) -> None:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    document = {"apiVersion": API, "kind": kind, "metadata": metadata, **fields}
    plane.apply(KINDS[kind].path(namespace, name), document)


def quota(flavor: str, **amounts: str) -> dict[str, Any]:
    resources = [{"name": name, "nominalQuota": amount} for name, amount in amounts.items()]
    return {"coveredResources": list(amounts), "flavors": [{"name": flavor, "resources": resources}]}


def put_queue(
    plane: ControlPlane, arena: Arena, name: str, *, cohort: str = "", gpus: str = "0", cpus: str = "64"
) -> None:
    """A LocalQueue and its ClusterQueue: GPUs are of one flavour, all else is of another."""
    its = f"{name}-{arena.namespace}"
    put(
        plane, "ClusterQueue", its,
        spec={
            "namespaceSelector": {},
            **({"cohortName": cohort} if cohort else {}),
            "resourceGroups": [quota("plain", cpu=cpus, memory="256Gi"), quota("accelerated", **{GPU: gpus})],
            "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "Never"},
        },
    )  # fmt: skip
    put(plane, "LocalQueue", name, arena.namespace, spec={"clusterQueue": its})


@pytest.fixture
async def queues(kueue: None, plane: ControlPlane, arena: Arena) -> Arena:
    """An arena whose namespace Kueue manages, and whose operator may read Workloads."""
    path = f"/api/v1/namespaces/{arena.namespace}"
    labelled = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": arena.namespace, "labels": MANAGED}}
    plane.apply(path, labelled)
    for flavor in ("plain", "accelerated"):
        put(plane, "ResourceFlavor", flavor, spec={})
    arena.operator.arguments = ("--read-queues", "--give-back-after", str(GIVE_BACK))
    await arena.operator.stop()
    await arena.operator.start()
    return arena


def of_queue(
    arena: Arena,
    queue: str,
    competitors: int = 2,
    *,
    name: str = "test",
    cpu: str = "100m",
    gpu: str = GPU,
    **more: Any,
) -> Any:
    """A Tournament whose models ask for a GPU each."""
    document = arena.manifest(competitors, name=name, **{**SMALL, **more})
    document["metadata"]["labels"] = {QUEUE: queue}
    for one in (*document["spec"]["competitors"], *document["spec"]["judges"]):
        one["serving"] = {"resources": {"requests": {"cpu": cpu}, "limits": {gpu: "1", "memory": "1Gi"}}}
    return document


async def workloads(arena: Arena) -> list[Object]:
    found, _ = await arena.kube.list(WORKLOADS, arena.namespace, "")
    return found


def is_admitted(workload: Object) -> bool:
    return (
        condition(workload, "Admitted").get("status") == "True"
        and condition(workload, "Finished").get("status") != "True"
    )


def asks_for_gpu(workload: Object, gpu: str = GPU) -> bool:
    containers = workload["spec"]["podSets"][0]["template"]["spec"]["containers"]
    return any(gpu in one.get("resources", {}).get("requests", {}) for one in containers)


async def admitted(arena: Arena, gpu: str, *, model: bool) -> Object:
    """Wait until a queue has admitted a model's pod, or a Job; its Workload."""

    async def first() -> Object | None:
        found = (one for one in await workloads(arena) if is_admitted(one) and asks_for_gpu(one, gpu) is model)
        return next(found, None)

    return await until(first, 120)


def flavors(workload: Object) -> dict[str, str]:
    """Of which flavour a Workload has each resource."""
    return dict(workload["status"]["admission"]["podSetAssignments"][0]["flavors"])


async def models_on_a_node(arena: Arena) -> set[str]:
    """Models of which a pod is on a node, or goes from there."""
    pods = [one for one in await arena.children(PODS) if "nodeName" in one["spec"]]
    return {one["metadata"]["labels"][MODEL] for one in pods if MODEL in one["metadata"]["labels"]}


async def held(arena: Arena) -> tuple[Counter[str], Counter[str]]:
    """How many GPUs each queue's models hold, and how many they wait for."""
    models = [one for one in await workloads(arena) if asks_for_gpu(one)]
    holding = Counter(one["spec"]["queueName"] for one in models if is_admitted(one))
    waiting = Counter(
        one["spec"]["queueName"] for one in models if condition(one, "QuotaReserved").get("status") == "False"
    )
    return holding, waiting


async def mining(arena: Arena, tournament: str, count: int) -> None:
    """Wait until a tournament has so many Jobs of mining."""
    wanted = {STAGE: "mine", TOURNAMENT: tournament}

    async def are_there() -> bool:
        jobs = [one["metadata"] for one in await arena.children(JOBS)]
        there = [job for job in jobs if "deletionTimestamp" not in job and wanted.items() <= job["labels"].items()]
        return len(there) == count

    await until(are_there, 120)


@pytest.mark.parametrize("scheduler", [{GPU: "3"}], indirect=True)
async def test_three_teams_share_a_quota_and_all_finish(
    queues: Arena, plane: ControlPlane, scheduler: None, tmp_path: Path
) -> None:
    queues.player.binds = False
    teams, pool = ("red", "green", "blue"), f"pool-{queues.namespace}"
    put(plane, "Cohort", pool, spec={"resourceGroups": [quota("accelerated", **{GPU: "3"})]})
    put(plane, "WorkloadPriorityClass", "normal", value=100)
    for team in teams:
        put_queue(plane, queues, team, cohort=pool)
    gate = tmp_path / "gate"
    # Until the gate is open no shard of mining ends: every team wants its models.
    closed = f"until [ -e {gate} ]; do sleep 0.2; done; exit {int(ExitCode.STOPPED)}"
    queues.player.runs(lambda pod: "-mine-" in pod["metadata"]["name"] and not gate.exists(), ["sh", "-c", closed])

    async def shared(what: str, red: int, others: int) -> None:
        """Wait until the first team holds so many GPUs, and the others as told."""
        end = asyncio.get_running_loop().time() + 120
        while True:
            holding, waiting = await held(queues)
            if [holding[team] for team in teams] == [red, others, others]:
                return
            assert asyncio.get_running_loop().time() < end, (
                what,
                holding,
                waiting,
                queues.operator.log.read_text()[-3000:],
            )
            await asyncio.sleep(0.2)

    first = of_queue(queues, "red", 3, name="red")
    first["metadata"]["labels"][PRIORITY] = "normal"
    await queues.apply(first)
    await shared("alone it takes all", 3, 0)
    await mining(queues, "red", 3)
    for team in teams[1:]:
        await queues.apply(of_queue(queues, team, name=team))
    await shared("each has its share", 1, 1)
    await mining(queues, "red", 1)  # the Jobs of models that were preempted are gone
    # The other teams want more, and so does the first: nobody gets more than a share.
    told = await queues.wait(
        lambda one: f"for {GPU} in flavor accelerated" in condition(one, "Waiting").get("message", ""), "red"
    )
    assert condition(told, "Waiting")["reason"] == "Queued"
    pods = {one["metadata"]["name"]: one for one in await queues.children(PODS)}
    gated = [one for one in pods.values() if one["spec"].get("schedulingGates")]
    assert gated
    assert all(one["metadata"]["labels"][MODEL] for one in gated)
    reds = [one for one in await workloads(queues) if one["spec"]["queueName"] == "red"]
    without = [one for one in reds if one["spec"].get("priorityClassRef", {}).get("name") != "normal"]
    assert reds
    assert without == [], yaml.safe_dump(without)[:3000]
    holding, waiting = await held(queues)
    assert holding == Counter(dict.fromkeys(teams, 1)), (holding, waiting)

    gate.touch()
    ended = await asyncio.gather(*(queues.wait_for_phase("Complete", "Failed", name=team, limit=450) for team in teams))
    assert [one["status"]["phase"] for one in ended] == ["Complete"] * 3, yaml.safe_dump(
        [one["status"] for one in ended]
    )
    assert (await held(queues))[0].total() == 0


async def parallelism_of_jobs(arena: Arena, completions: int) -> set[int]:
    """How many pods at once the Jobs of so many shards have that a queue has admitted."""
    jobs = [one["spec"] for one in await arena.children(JOBS) if not one["spec"].get("suspend")]
    return {one["parallelism"] for one in jobs if one.get("completions") == completions}


@pytest.mark.parametrize("scheduler", [{GPU: "3"}], indirect=True)
async def test_a_model_beside_queued_jobs_is_given_back(queues: Arena, plane: ControlPlane, scheduler: None) -> None:
    queues.player.binds = False
    # Room for preflight, or for a model, but for no shard beside it.
    put_queue(plane, queues, "team", gpus="1", cpus="1")
    document = of_queue(queues, "team", cpu="600m", per_competitor=24, jobs={"shardSize": 6, "parallelism": 4})
    await queues.apply(document)

    waiting = await queues.wait(lambda one: "Job " in condition(one, "Waiting").get("message", ""), limit=120)
    assert "for cpu in flavor plain" in condition(waiting, "Waiting")["message"]
    # It holds its GPU no longer than it may.
    limit = GIVE_BACK + 40
    told = await queues.wait(lambda one: "was stopped" in condition(one, "Waiting").get("message", ""), limit=limit)
    assert condition(told, "Waiting")["reason"] == "Queued"
    services = [one["metadata"] for one in await queues.children(SERVICES)]
    given = {one["labels"][MODEL] for one in services if one["annotations"].get(STOP) == "true"}
    assert any(RESTS_UNTIL in one["annotations"] for one in services if one["labels"][MODEL] in given)
    # Its GPU goes to another model, which had to wait for it.

    async def others_have_it() -> bool:
        return bool(await models_on_a_node(queues) - given)

    await until(others_have_it)

    # Room for a model and two shards: a Job of four at once is admitted with two.
    put_queue(plane, queues, "team", gpus="1", cpus="1600m")
    assert await until(lambda: parallelism_of_jobs(queues, 4), 120) == {2}

    put_queue(plane, queues, "team", gpus="3")
    done = await queues.wait_for_phase("Complete", "Failed", limit=450)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])


@pytest.mark.parametrize("scheduler", [{GPU: "2"}], indirect=True)
async def test_two_tournaments_that_hold_what_the_other_needs_next_both_finish(
    queues: Arena, plane: ControlPlane, scheduler: None
) -> None:
    queues.player.binds = False
    names = ("first", "second")
    # Room for both preflights, or for one model without a Job.
    put_queue(plane, queues, "team", gpus="1", cpus="1")
    for name in names:
        document = of_queue(queues, "team", name=name, cpu="1", serving={"maxActive": 1})
        document["spec"]["output"]["s3"]["uri"] += f"/{name}"
        await queues.apply(document)

    async def one_waits(words: str) -> bool:
        told = [condition(await queues.get(name), "Waiting").get("message", "") for name in names]
        return any(re.search(words, message) for message in told)

    await until(lambda: one_waits(r"(probe|mine)/\w+: Job "), 120)
    # The other's model takes the rest: neither has a CPU for its Job, and each holds what the other's needs.
    put_queue(plane, queues, "team", gpus="2", cpus="2")

    async def holding() -> list[bool]:
        return [asks_for_gpu(one) for one in await workloads(queues) if is_admitted(one)]

    async def both_hold() -> bool:
        return await holding() == [True, True]

    await until(both_hold, 60)
    await until(lambda: one_waits("and was stopped, so that others"), GIVE_BACK + 60)

    async def a_job_has_its_model() -> bool:
        return {True, False} <= {*await holding()}

    await until(a_job_has_its_model, 120)
    put_queue(plane, queues, "team", gpus="2")
    for name in names:
        done = await queues.wait_for_phase("Complete", "Failed", name=name, limit=300)
        assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])


async def test_a_job_whose_time_is_up_fails_the_tournament(queues: Arena, plane: ControlPlane) -> None:
    put_queue(plane, queues, "team", gpus="1")
    queues.player.runs(lambda pod: "-preflight-" in pod["metadata"]["name"], ["sleep", "600"])
    document = of_queue(queues, "team")
    document["metadata"]["labels"][MAX_TIME] = "2"
    await queues.apply(document)
    failed = await queues.wait_for_phase("Failed", limit=90)
    assert f"raise or remove the Tournament's label {MAX_TIME}" in condition(failed, "Failed")["message"]


async def test_a_queue_that_does_not_exist_is_reported(queues: Arena) -> None:
    await queues.apply(of_queue(queues, "nobody"))
    words = "LocalQueue nobody doesn't exist"

    async def says_so() -> bool:
        return any(words in condition(one, "QuotaReserved").get("message", "") for one in await workloads(queues))

    told = await queues.told(says_so, lambda one: words in condition(one, "Waiting").get("message", ""), "Queued")
    assert condition(told, "Waiting")["reason"] == "Queued"


async def test_a_queue_named_default_takes_what_has_no_label(queues: Arena, plane: ControlPlane) -> None:
    put_queue(plane, queues, "default", gpus="1")
    document = of_queue(queues, "")
    del document["metadata"]["labels"]
    await queues.apply(document)
    for model in (False, True):
        assert (await admitted(queues, GPU, model=model))["spec"]["queueName"] == "default"
    done = await queues.wait_for_phase("Complete", "Failed", limit=300)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])


@pytest.mark.parametrize("namespace", ["red"], indirect=True)
@pytest.mark.parametrize("scheduler", [{"nvidia.com/gpu": "8"}], indirect=True)
async def test_the_example_of_the_document_word_for_word(queues: Arena, plane: ControlPlane, scheduler: None) -> None:
    queues.player.binds = False
    blocks = list(code_blocks((ROOT / "docs" / "queues.md").read_text()))
    (configuration,) = (yaml.safe_load(one) for one in blocks if "config.kueue.x-k8s.io" in one)
    assert configuration["fairSharing"] == FAIR_SHARING
    assert set(configuration["integrations"]["frameworks"]) <= set(FRAMEWORKS)
    (example,) = (one for one in blocks if "kind: ClusterQueue" in one)
    for document in yaml.safe_load_all(example):
        meta = document["metadata"]
        plane.apply(KINDS[document["kind"]].path(meta.get("namespace"), meta["name"]), document)
    put(plane, "WorkloadPriorityClass", "normal", value=100)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {f"{NVIDIA}.present": "true"}}}
    plane.apply(NODES.path(None, NODE), node)

    tournament = of_queue(queues, "", gpu=NVIDIA)
    (labelled,) = (yaml.safe_load(one) for one in blocks if f"{QUEUE}: " in one)
    tournament["metadata"] |= {**labelled["metadata"], "namespace": queues.namespace}
    await queues.apply(tournament)
    job = await admitted(queues, NVIDIA, model=False)
    assert flavors(job) == {"cpu": "any-node", "memory": "any-node"}
    assert job["status"]["admission"]["podSetAssignments"][0]["resourceUsage"] == {"cpu": "500m", "memory": "512Mi"}
    model = await admitted(queues, NVIDIA, model=True)
    assert flavors(model) == {"cpu": "any-node", "memory": "any-node", NVIDIA: "gpu-nodes"}
    name = labelled["metadata"]["name"]
    done = await queues.wait_for_phase("Complete", "Failed", name=name, limit=300)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
