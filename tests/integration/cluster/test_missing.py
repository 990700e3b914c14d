"""What a cluster lacks stops only those who need it: KServe, Kubeflow Trainer, or a namespace that is watched."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import kserve, kubeflow, managers
from cluster.controlplane import ControlPlane
from integration.cluster.conftest import CRD, chart_rights
from integration.sim.process import SimProcess
from support.arena import SMALL, Arena, Operator, begun, condition
from support.documents import ROOT
from support.podplayer import NODE
from support.waiting import until
from tiltyard.cluster.client import Client
from tiltyard.observe.kinds import SERVICES, TOURNAMENTS, TRAIN_JOBS, Kind, Object

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(420)]

KSERVE_CRD = f"{managers.CRD_PATH}/inferenceservices.serving.kserve.io"
NAMESPACES = Kind("v1", "Namespace", "namespaces")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own, which has the Tournament's CRD and neither KServe nor Trainer."""
    flags = {"kube-controller-manager": ["--controllers=*,-node-lifecycle-controller"]}
    with ControlPlane(tmp_path_factory.mktemp("bare") / "plane", flags=flags) as running:
        running.apply(f"{managers.CRD_PATH}/tournaments.tiltyard.dev", (ROOT / CRD).read_bytes())
        running.wait_for_resource("tiltyard.dev/v1alpha1", "tournaments")
        running.apply(f"/api/v1/nodes/{NODE}", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        yield running


@pytest.fixture(scope="module")
def rights(plane: ControlPlane) -> Path:
    return chart_rights(plane, "default")


def make_namespace(plane: ControlPlane, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    plane.apply(f"/api/v1/namespaces/{name}", body)


async def delete_namespace(plane: ControlPlane, kube: Client, name: str) -> None:
    """Delete it, and wait until all in it is gone."""
    plane.request("DELETE", f"/api/v1/namespaces/{name}")

    async def is_gone() -> bool:
        return name not in [one["metadata"]["name"] for one in (await kube.list(NAMESPACES, None, ""))[0]]

    await until(is_gone, 120)


def is_ready(operator: Operator) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/readyz") as page:
        return bool(page.status == 200)


async def assert_retried(arena: Arena, kind: Kind, name: str) -> None:
    """Who waited for a kind was retried when it was served, and no other; or its own attempt came first."""
    lines = (json.loads(line) for line in arena.operator.log.read_text().splitlines() if line.startswith("{"))
    appeared = (line for line in lines if line.get("event") == "an API is served that was not")
    first = next(line for line in appeared if line["kind"] == kind.kind)
    if first["retried"] != [f"{arena.namespace}/{name}"]:
        accepted = condition(await arena.get(name), "Accepted")["lastTransitionTime"]  # in whole seconds
        assert (first["retried"], accepted.rstrip("Z") <= first["timestamp"]) == ([], True)


@pytest.fixture
async def narrow(
    plane: ControlPlane, kube: Client, namespace: str, tmp_path: Path
) -> AsyncIterator[tuple[Operator, str]]:
    """An operator with the rights of two namespaces alone, the test's and another; the other's name."""
    other = f"{namespace}-other"
    make_namespace(plane, other)
    kubeconfig = chart_rights(plane, namespace, namespace, other)
    operator = Operator(kubeconfig, namespace, tmp_path / "narrow.log", arguments=("--namespace", other))
    await operator.start()
    yield operator, other
    await operator.stop()
    assert "a bug in the operator" not in operator.log.read_text()


@pytest.fixture
async def endpoints() -> AsyncIterator[dict[str, Any]]:
    """The participants of a spec: servers that run already."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(SimProcess(f"sim://{name}")) for name in ("m0", "m1", "j0")]
        named = [{"name": one.model, "endpoint": {"url": one.url, "model": one.model}} for one in servers]
        yield {"competitors": named[:2], "judges": named[2:]}


async def test_a_watched_namespace_that_is_deleted_stops_no_other(
    plane: ControlPlane, kube: Client, narrow: tuple[Operator, str], arena: Arena, endpoints: dict[str, Any]
) -> None:
    operator, other = narrow
    await arena.operator.stop()  # the one of the whole cluster
    arena.operator = operator
    document = arena.manifest(2, **SMALL)
    document["spec"] |= endpoints
    await delete_namespace(plane, kube, other)
    # While the operator runs, and for one that begins without it.
    for name in ("first", "second"):
        await arena.apply(document | {"metadata": {"name": name, "namespace": arena.namespace}})
        done = await arena.wait_for_phase("Complete", "Failed", name=name, limit=150)
        assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
        await operator.stop()
        await operator.start()
        assert is_ready(operator)
    assert f"the operator has no rights in namespace {other}: if it was deleted" in operator.log.read_text()
    # It comes back with its rights.
    make_namespace(plane, other)
    chart_rights(plane, arena.namespace, arena.namespace, other)
    await arena.kube.create(TOURNAMENTS, document | {"metadata": {"name": "test", "namespace": other}})

    async def is_seen() -> bool:
        return bool((await kube.get(TOURNAMENTS, other, "test")).get("status"))

    await until(is_seen, 90)


async def test_without_trainer_those_that_train_wait_for_it_and_no_others(
    plane: ControlPlane, arena: Arena, endpoints: dict[str, Any]
) -> None:
    arena.player.runs(lambda pod: "-train-" in pod["metadata"]["name"], ["sleep", "600"])
    document = arena.manifest(2, name="trains", **SMALL)
    document["spec"] |= endpoints
    trainer = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2}
    document["spec"]["training"] = {"baseModel": {"uri": "hf://org/base"}, "trainer": trainer}
    await arena.apply(document)
    waiting = await arena.wait_for_phase("Invalid", name="trains")
    words = "spec.training.trainer.kind: the cluster does not serve trainer.kubeflow.org/v1alpha1 TrainJob"
    advice = "install Kubeflow Trainer (v2) with its CRDs and JobSet, or set Job, which trains on one node"
    assert f"{words}: {advice}" in condition(waiting, "Accepted")["message"]
    document = arena.manifest(2, **SMALL)
    document["spec"] |= endpoints
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed", limit=150)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert is_ready(arena.operator)

    kubeflow.install(plane)
    await arena.wait(lambda one: one["status"]["phase"] != "Invalid", "trains", limit=60)
    await assert_retried(arena, TRAIN_JOBS, "trains")
    await arena.wait_for_phase("Training", name="trains", limit=150)
    (job,) = await until(lambda: arena.children(TRAIN_JOBS))
    assert job["metadata"]["labels"]["tiltyard.dev/stage"] == "train"


@pytest.mark.timeout(600)
async def test_without_kserve_endpoints_play_and_models_wait_for_it_also_in_the_middle(
    plane: ControlPlane, arena: Arena, endpoints: dict[str, Any]
) -> None:
    document = arena.manifest(2, **SMALL)
    document["spec"] |= endpoints
    await arena.apply(document)
    await arena.apply(arena.manifest(2, name="served", **SMALL))
    done = await arena.wait_for_phase("Complete", "Failed", limit=150)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert is_ready(arena.operator)
    waiting = await arena.wait_for_phase("Invalid", name="served")
    words = "spec.competitors[0].model: the cluster does not serve serving.kserve.io/v1beta1 InferenceService"
    assert words in condition(waiting, "Accepted")["message"]

    kserve.install(plane)
    await begun(arena, "mine", "served")
    await assert_retried(arena, SERVICES, "served")

    # It goes again in the middle of the run.
    plane.request("DELETE", KSERVE_CRD)

    def says_so(tournament: Object) -> bool:
        waiting = condition(tournament, "Waiting")
        return waiting.get("status") == "True" and "is refused by the API server (501)" in waiting["message"]

    waiting = await arena.wait(says_so, "served")
    assert waiting["status"]["phase"] not in ("Invalid", "Failed"), yaml.safe_dump(waiting["status"])
    assert "install what it names, the CRDs and their controller" in condition(waiting, "Waiting")["message"]
    before, document["spec"]["battles"] = done["status"]["run"], {"orders": "Alternate"}
    await arena.apply(document)
    await arena.wait(lambda one: one["status"]["run"] != before)
    done = await arena.wait_for_phase("Complete", "Failed", limit=150)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    judged = [pod.rpartition("-")[0] for pod in arena.player.started if pod.startswith("test-judge-")]
    assert len(set(judged)) == 4  # both players' instructions, in both runs
    assert says_so(await arena.get("served"))

    kserve.install_crds(plane)
    done = await arena.wait_for_phase("Complete", "Failed", name="served", limit=200)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert len(await arena.children(SERVICES)) == 3
