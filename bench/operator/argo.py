"""The same work as Argo Workflows does it: the same pods in the same order, on the same control plane, in one run.

    PYTHONPATH=hack:operator:jobs python bench/operator/argo.py --tournaments 20

First Tiltyard's operator carries so many tournaments (`scale.py` says what they are), then Argo's workflow-controller
as many Workflows, whose tasks are the tournaments' bundles: a pod for each shard, started once all on which it depends
have ended. KWOK ends every pod after the same time, so only the controllers differ; Tiltyard's Jobs are the Job
controller's work, too, and its calls count. Told are the time from the end of the last pod on which a bundle depends
until its first pod is there, as one watch sees them; all calls that reach the API server but watches; and memory and
CPU of the controllers.

Argo may call the API server 1,000 times a second instead of 20, which it is by default, and does nothing but start
pods: no artifacts, no logs, no executor that reports results, as KWOK runs none.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from scale import ROOT, events, manifest, process, usage, write_stages

from cluster import managers
from cluster.controlplane import ControlPlane
from tiltyard.api import load_tournament
from tiltyard.cluster.client import Client
from tiltyard.observe.kinds import PODS, TOURNAMENTS, Kind, Object
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.render.names import job_name
from tools import ensure

ARGO = "argo"  # the namespace
WORKFLOWS = Kind("argoproj.io/v1alpha1", "Workflow", "workflows")
WORKFLOW, NODE_NAME = "workflows.argoproj.io/workflow", "workflows.argoproj.io/node-name"
PREFLIGHT = "preflight"
SHARD_SIZE = 25  # of the 100 instructions of a bundle: its pods work side by side
HOUR = 3600


class Place(NamedTuple):
    """Of which run a pod is, and of which bundle."""

    run: str
    bundle: str


@dataclass
class Seen:
    """When a watch told of the first pod of a bundle, and of the end of its last."""

    begun: dict[Place, float] = field(default_factory=dict)
    ended: dict[Place, float] = field(default_factory=dict)
    pods: set[str] = field(default_factory=set)


class Took(NamedTuple):
    """What it took one of the two."""

    name: str
    seconds: float
    pods: int
    gaps: list[float]
    calls: Mapping[str, float]
    memory: float
    cpu: float
    servers_cpu: float


def task_name(bundle: str) -> str:
    """A bundle's name as Argo takes it for a task."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", bundle)


def needed(graph: Graph) -> dict[str, list[str]]:
    """For each bundle those that make what it needs."""
    makers = {ref.key: bundle.name for bundle in graph.bundles for ref in bundle.makes}
    return {bundle.name: sorted({makers[key] for key in bundle.needs}) for bundle in graph.bundles}


def workflow(name: str, graph: Graph) -> Object:
    """A Workflow with a pod for each shard of a tournament."""
    tasks: list[dict[str, Any]] = [{"name": PREFLIGHT, "template": "shard"}]
    before = needed(graph)
    for bundle in graph.bundles:
        task: dict[str, Any] = {"name": task_name(bundle.name), "template": "shard"}
        task["dependencies"] = [task_name(one) for one in before[bundle.name]] or [PREFLIGHT]
        if bundle.shards > 1:
            task["withSequence"] = {"count": str(bundle.shards)}
        tasks.append(task)
    container = {
        "image": "worker",
        "command": ["worker"],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}},
    }
    templates = [{"name": "run", "dag": {"tasks": tasks}}, {"name": "shard", "container": container}]
    spec = {"entrypoint": "run", "templates": templates, "serviceAccountName": "default"}
    return {
        "apiVersion": WORKFLOWS.api, "kind": WORKFLOWS.kind, "metadata": {"name": name, "namespace": ARGO}, "spec": spec
    }  # fmt: skip


def place_of_tiltyard(graph: Graph, number: int) -> Callable[[Object], Place | None]:
    """Where pods of Tiltyard's are in the graph; None: nowhere, as preflight's."""
    names = (f"t{at:03d}" for at in range(number))
    jobs = {job_name(name, one.name, one.version): Place(name, one.name) for name in names for one in graph.bundles}
    return lambda pod: jobs.get(pod["metadata"]["labels"].get("batch.kubernetes.io/job-name", ""))


def place_of_argo(graph: Graph) -> Callable[[Object], Place | None]:
    """Likewise of Argo's: `t000.mine-ada(0:0)` is a node's name."""
    bundles = {task_name(one.name): one.name for one in graph.bundles}

    def place(pod: Object) -> Place | None:
        run, _, task = pod["metadata"]["annotations"][NODE_NAME].partition(".")
        bundle = bundles.get(task.partition("(")[0])
        return Place(run, bundle) if bundle is not None else None

    return place


async def follow(kube: Client, namespace: str, place_of: Callable[[Object], Place | None], seen: Seen) -> None:
    """Note when pods are there, and when they have ended."""
    ended = set()
    async for pod in events(kube, PODS, namespace):
        moment, name, place = time.monotonic(), pod["metadata"]["name"], place_of(pod)
        seen.pods.add(name)
        if place is None:
            continue
        seen.begun.setdefault(place, moment)
        if pod.get("status", {}).get("phase") == "Succeeded" and name not in ended:
            ended.add(name)
            seen.ended[place] = moment


def gaps(graph: Graph, seen: Seen) -> list[float]:
    """For each bundle that depends on others, the time from the last one's end until its first pod."""
    before = needed(graph)
    found = []
    for place, moment in seen.begun.items():
        ends = [seen.ended[Place(place.run, one)] for one in before[place.bundle]]
        if ends:
            found.append(max(0.0, moment - max(ends)))
    return sorted(found)


def calls(plane: ControlPlane) -> dict[str, float]:
    """Calls that the API server has answered, by `verb resource`; of whoever it was, without watches."""
    found: dict[str, float] = defaultdict(float)
    for labels, count in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", plane.request("GET", "/metrics"), re.M):
        of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if of["verb"] != "WATCH" and of["resource"] not in ("", "leases", "events"):
            found[f"{of['verb']} {of['resource']}"] += float(count)
    return dict(found)


def servers_cpu(plane: ControlPlane) -> float:
    """CPU seconds of the control plane: etcd, API server and controller manager."""
    return sum(usage(running.pid)[1] for running in plane._processes)


async def carry(
    name: str,
    number: int,
    plane: ControlPlane,
    kube: Client,
    graph: Graph,
    started: AbstractAsyncContextManager[asyncio.subprocess.Process],
) -> Took:
    """Let a controller carry so many runs to their end, and clear up after it."""
    tiltyard = name == "Tiltyard"
    kind, namespace = (TOURNAMENTS, "default") if tiltyard else (WORKFLOWS, ARGO)
    place = place_of_tiltyard(graph, number) if tiltyard else place_of_argo(graph)
    ends = ("Complete", "Failed") if tiltyard else ("Succeeded", "Failed", "Error")
    seen = Seen()
    watching = asyncio.create_task(follow(kube, namespace, place, seen))
    async with started as controller:
        await asyncio.sleep(10)
        idle_cpu, made, servers = usage(controller.pid)[1], calls(plane), servers_cpu(plane)
        begun = time.monotonic()
        for at in range(number):
            run = f"t{at:03d}"
            await kube.create(kind, manifest(run, SHARD_SIZE) if tiltyard else workflow(run, graph))
        while True:
            await asyncio.sleep(2)
            found = [one.get("status", {}).get("phase") for one in (await kube.list(kind, namespace, ""))[0]]
            if all(phase in ends for phase in found):
                break
            if watching.done() or time.monotonic() - begun > HOUR:
                if watching.done():
                    watching.result()  # raises what ended it
                raise SystemExit(f"{name}: not at its end: {found}")
        took = time.monotonic() - begun
        memory, cpu = usage(controller.pid)
        after = calls(plane)
        servers = servers_cpu(plane) - servers
    watching.cancel()
    if set(found) != {ends[0]}:
        raise SystemExit(f"{name}: {found}")
    counted = {what: count - made.get(what, 0) for what, count in after.items() if count > made.get(what, 0)}
    for at in range(number):
        await kube.delete(kind, namespace, f"t{at:03d}")
    while (await kube.list(PODS, namespace, ""))[0]:  # noqa: ASYNC110
        await asyncio.sleep(1)
    return Took(name, took, len(seen.pods), gaps(graph, seen), counted, memory, cpu - idle_cpu, servers)


def install(plane: ControlPlane) -> None:
    """The CRDs of both, and what Argo's controller reads."""
    module = managers.module_folder("argo-workflows", "github.com/argoproj/argo-workflows/v3")
    theirs = sorted((module / "manifests/base/crds/minimal").glob("argoproj.io_*.yaml"))
    ours = ("charts/tiltyard/files/tournaments.tiltyard.dev.yaml", "bench/operator/inferenceservices.yaml")
    for file in (*(ROOT / name for name in ours), *theirs):
        crd = managers.load(file)
        plane.apply(f"{managers.CRD_PATH}/{crd['metadata']['name']}", crd)
    plane.wait_for_resource("tiltyard.dev/v1alpha1", "tournaments")
    plane.wait_for_resource("argoproj.io/v1alpha1", "workflows")
    plane.apply(f"/api/v1/namespaces/{ARGO}", managers.named("v1", "Namespace", ARGO))
    configuration = managers.named("v1", "ConfigMap", "workflow-controller-configmap")
    configuration["data"] = {"metricsConfig": yaml.safe_dump({"enabled": False})}
    plane.apply(f"/api/v1/namespaces/{ARGO}/configmaps/workflow-controller-configmap", configuration)
    plane.apply("/api/v1/nodes/kwok", managers.named("v1", "Node", "kwok"))


async def bench(number: int, seconds: float, folder: Path, plane: ControlPlane) -> list[Took]:
    """What it took Tiltyard, and Argo."""
    config = str(plane.kubeconfig)
    os.environ["KUBECONFIG"] = config
    graph = build_graph(load_tournament(yaml.safe_dump(manifest("t", SHARD_SIZE))))
    stages = write_stages(folder, graph, seconds)
    kwok = [str(ensure("kwok")), "--kubeconfig", config, "--manage-all-nodes", "--config", str(stages)]
    scheduler = [str(ensure("kube-scheduler")), "--kubeconfig", config, "--leader-elect=false"]
    scheduler += ["--kube-api-qps=1000", "--kube-api-burst=1000"]
    operator = [sys.executable, "-m", "tiltyard", "operator", "--worker-image", "worker", "--port", "18091"]
    path = f"{ROOT / 'operator'}:{ROOT / 'jobs'}"
    argo = [str(ensure("argo-workflow-controller")), "--kubeconfig", config, "--namespace", ARGO, "--namespaced"]
    argo += ["--executor-image", "argoexec", "--loglevel", "warn", "--qps", "1000", "--burst", "1000"]
    async with (
        process(kwok, folder / "kwok.log"),
        process(scheduler, folder / "scheduler.log"),
        await Client.connect() as kube,
    ):
        ours = process(operator, folder / "operator.log", PYTHONPATH=path, KUBECONFIG=config)
        theirs = process(argo, folder / "argo.log", LEADER_ELECTION_DISABLE="true")
        return [
            await carry("Tiltyard", number, plane, kube, graph, ours),
            await carry("Argo Workflows", number, plane, kube, graph, theirs),
        ]


def show(number: int, ours: Took, theirs: Took) -> None:
    """Side by side, and Tiltyard's share of Argo's."""
    print(f"{number} runs; pods: {ours.pods} of Tiltyard, {theirs.pods} of Argo Workflows")
    print(f"{'':44} {'Tiltyard':>10} {'Argo':>10} {'ratio':>7}")

    def row(what: str, of: Callable[[Took], float], digits: int = 2) -> None:
        one, other = of(ours), of(theirs)
        ratio = f"{one / other:7.2f}" if other else ""
        print(f"{what:44} {one:10.{digits}f} {other:10.{digits}f} {ratio}")

    row("seconds in all", lambda took: took.seconds, 0)
    for at, what in ((49, "p50"), (98, "p99")):
        row(f"seconds from an end to what depends on it, {what}", partial(quantile, at))
    row("calls of the API server for each pod", lambda took: sum(took.calls.values()) / took.pods)
    row("controller: peak memory, MiB", lambda took: took.memory, 0)
    row("controller: CPU seconds", lambda took: took.cpu, 1)
    row("etcd, API server, controller manager: CPU s", lambda took: took.servers_cpu, 1)
    print("calls for each pod, where they are 0.05 or more:")
    for what in sorted({*ours.calls, *theirs.calls}):
        if max(took.calls.get(what, 0) / took.pods for took in (ours, theirs)) >= 0.05:
            row(f"  {what}", partial(calls_for_each_pod, what))


def quantile(at: int, took: Took) -> float:
    """A percentile of the gaps."""
    return statistics.quantiles(took.gaps, n=100)[at]


def calls_for_each_pod(what: str, took: Took) -> float:
    return took.calls.get(what, 0) / took.pods


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tournaments", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10, help="that a pod takes, more or less by half")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("BENCH_FOLDER", name))
        with ControlPlane(folder / "control-plane") as plane:
            install(plane)
            ours, theirs = asyncio.run(bench(options.tournaments, options.seconds, folder, plane))
    show(options.tournaments, ours, theirs)


if __name__ == "__main__":
    main()
