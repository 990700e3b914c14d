"""How the operator carries many tournaments: memory, CPU, calls of the API server, and the delay of the status.

    PYTHONPATH=hack:operator:jobs python bench/operator/scale.py --tournaments 200
    PYTHONPATH=hack:operator:jobs python bench/operator/scale.py --tournaments 200 --seconds 2 --spread 400

A real kube-apiserver, etcd, controller-manager and scheduler; pods are played by KWOK, so that only the operator is
measured. Every tournament has four endpoints and twenty Jobs (preflight and nineteen bundles), whose shards take a
minute; all are created at once, or evenly over the seconds of `--spread`. The named limits: 300 MiB, one core, and one
second (p99) from a Job's end to the status that shows it, both as a watch sees them. The part of that time that is the
operator's own is printed too: on a machine that also carries the API server, the rest is that one's. Shards of two
seconds bring that one to its limit: then the rest is most of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from cluster.controlplane import ControlPlane
from tiltyard.api import load_tournament
from tiltyard.cluster.client import Client
from tiltyard.observe.kinds import JOBS, TOURNAMENTS, Kind, Object
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard_jobs.contracts.summary import pack_bits
from tools import ensure

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "default"
PORT = 18091


def manifest(name: str, shard_size: int = 100) -> dict[str, Any]:
    """A tournament over instructions that are given, between endpoints: no model is served."""
    endpoint = {"url": "http://nowhere.example/v1"}
    return {
        "apiVersion": "tiltyard.dev/v1alpha1",
        "kind": "Tournament",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "competitors": [{"name": one, "endpoint": {**endpoint, "model": one}} for one in ("ada", "blaise")],
            "judges": [{"name": one, "endpoint": {**endpoint, "model": one}} for one in ("charles", "denis")],
            "instructions": {"mine": {"perCompetitor": 100}},
            "curation": {"diversity": {"method": "Random", "perCompetitor": 50}},
            "jobs": {"shardSize": shard_size},
            "output": {"s3": {"uri": f"s3://bucket/{name}"}},
        },
    }


@dataclass
class Seen:
    """When a watch told of what."""

    jobs: dict[str, list[float]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    shown: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    writes: int = 0


async def events(kube: Client, kind: Kind, namespace: str = NAMESPACE) -> AsyncIterator[Object]:
    """All changes of a kind, over the ends of single watches."""
    version = ""
    while True:
        async for event, document in kube.watch(kind, namespace, "", version):
            version = document["metadata"]["resourceVersion"]
            if event != "BOOKMARK":
                yield document


async def follow(kube: Client, seen: Seen) -> None:
    """Note the end of each Job, and the number of shards that each status shows."""

    async def jobs() -> None:
        async for job in events(kube, JOBS):
            name = job["metadata"]["name"]
            owner = job["metadata"]["labels"]["tiltyard.dev/tournament"]
            done = any(c["type"] == "Complete" for c in job.get("status", {}).get("conditions", ()))
            if done and name not in seen.ended and "preflight" not in name:
                seen.ended.add(name)
                seen.jobs.setdefault(owner, []).append(time.monotonic())

    async def statuses() -> None:
        async for one in events(kube, TOURNAMENTS):
            seen.writes += 1
            status, name = one.get("status", {}), one["metadata"]["name"]
            shards = sum(stage["shards"]["succeeded"] for stage in status.get("stages", ()))
            seen.shown.setdefault(name, []).append((time.monotonic(), shards))
            if status.get("phase") in ("Complete", "Failed"):
                seen.complete.add(name)

    await asyncio.gather(jobs(), statuses())


def delays(seen: Seen) -> list[float]:
    """For each Job's end, the time until a status shows that many shards. Every Job here makes one."""
    found = []
    for owner, ends in seen.jobs.items():
        for count, moment in enumerate(sorted(ends), start=1):
            shown = next((at for at, shards in seen.shown[owner] if shards >= count), None)
            if shown is not None:
                found.append(max(0.0, shown - moment))
    return sorted(found)


@asynccontextmanager
async def process(command: list[str], log: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that is ended with the block."""
    with log.open("wb") as out:
        started = await asyncio.create_subprocess_exec(
            *command, stdout=out, stderr=out, env={**os.environ, **environment}, cwd=ROOT
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
            await started.wait()


def usage(pid: int) -> tuple[float, float]:
    """Peak memory in MiB, and CPU seconds."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return peak, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def metrics() -> str:
    """The operator's."""
    with urlopen(f"http://127.0.0.1:{PORT}/metrics") as page:
        return str(page.read().decode())


def own_delays() -> list[tuple[str, float]]:
    """Share of all changes that were in a status within some seconds of their arrival at the operator."""
    rows = re.findall(r'^tiltyard_status_delay_seconds_bucket\{le="([^"]+)"\} (\S+)', metrics(), re.MULTILINE)
    return [(bound, float(count) / float(rows[-1][1])) for bound, count in rows]


def calls() -> dict[str, float]:
    """Calls of the API server by `verb resource`."""
    text = metrics()
    rows = re.findall(r'tiltyard_api_requests_total\{code="(\d+|error)",resource="(\w+)",verb="(\w+)"\} (\S+)', text)
    found: dict[str, float] = {}
    for _, resource, verb, count in rows:
        found[f"{verb} {resource}"] = found.get(f"{verb} {resource}", 0) + float(count)
    return found


def write_stages(folder: Path, graph: Graph, seconds: float) -> Path:
    """What KWOK plays, as a file."""
    nothing = pack_bits(False for ref in graph.artifacts for _ in range(ref.shards))
    told = {"NOTHING_DONE": nothing, "SHORTEST": f"{500 * seconds:.0f}", "LONGEST": f"{1500 * seconds:.0f}"}
    text = (ROOT / "bench/operator/stages.yaml").read_text()
    for word, value in told.items():
        text = text.replace(word, value)
    stages = folder / "stages.yaml"
    stages.write_text(text)
    return stages


async def bench(number: int, seconds: float, spread: float, folder: Path, kubeconfig: Path) -> None:
    """Run all tournaments to their end and print what it took."""
    os.environ["KUBECONFIG"] = str(kubeconfig)
    kubectl = [str(ensure("kubectl")), "--kubeconfig", str(kubeconfig)]
    for file in ("charts/tiltyard/files/tournaments.tiltyard.dev.yaml", "bench/operator/inferenceservices.yaml"):
        apply = [*kubectl, "apply", "--server-side", "-f", file]
        subprocess.run(apply, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: ASYNC221
    graph = build_graph(load_tournament(yaml.safe_dump(manifest("t"))))
    stages = write_stages(folder, graph, seconds)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "kwok"}}
    subprocess.run([*kubectl, "create", "-f", "-"], input=json.dumps(node).encode(), check=True)  # noqa: ASYNC221
    kwok = [str(ensure("kwok")), "--kubeconfig", str(kubeconfig), "--manage-all-nodes", "--config", str(stages)]
    scheduler = [str(ensure("kube-scheduler")), "--kubeconfig", str(kubeconfig), "--leader-elect=false"]
    scheduler += ["--kube-api-qps=1000", "--kube-api-burst=1000"]
    operator = [sys.executable, "-m", "tiltyard", "operator", "--worker-image", "worker", "--port", str(PORT)]
    environment = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'jobs'}", "KUBECONFIG": str(kubeconfig)}
    async with (
        process(kwok, folder / "kwok.log"),
        process(scheduler, folder / "scheduler.log"),
        process(operator, folder / "operator.log", **environment) as ours,
        await Client.connect() as kube,
    ):
        seen = Seen()
        await asyncio.sleep(5)
        watching = asyncio.create_task(follow(kube, seen))
        idle_memory, idle_cpu = usage(ours.pid)
        begun = time.monotonic()
        for at in range(number):
            await asyncio.sleep(begun + spread * at / number - time.monotonic())
            await kube.apply(TOURNAMENTS, manifest(f"t{at:03d}"))
        while len(seen.complete) < number:
            await asyncio.sleep(1)
            if watching.done():
                watching.result()
            if time.monotonic() - begun > 3600:
                raise SystemExit(f"only {len(seen.complete)} of {number} were complete after an hour")
        took = time.monotonic() - begun
        memory, cpu = usage(ours.pid)
        made, writes, own = calls(), seen.writes, own_delays()
        await asyncio.sleep(20)
        idle = {name: count - made.get(name, 0) for name, count in calls().items() if count != made.get(name, 0)}
        idle_writes = seen.writes - writes
        watching.cancel()
    bundles = number * (len(graph.bundles) + 1)
    waits = delays(seen)
    print(f"{number} tournaments of {len(graph.bundles)} bundles and preflight: {bundles} Jobs in {took:.0f} s")
    cpu -= idle_cpu
    print(f"operator: peak {memory:.0f} MiB (idle {idle_memory:.0f}), {cpu:.1f} CPU s, {cpu / took:.2f} cores")
    p50, p99 = statistics.quantiles(waits, n=100)[49], statistics.quantiles(waits, n=100)[98]
    print(f"from a Job's end to the status that shows it, {len(waits)} Jobs: ", end="")
    print(f"p50 {p50:.3f} s, p99 {p99:.3f} s, worst {waits[-1]:.3f} s")
    print("of a change that arrives at the operator: ", end="")
    print(", ".join(f"{share:.1%} within {bound} s" for bound, share in own if bound in ("0.1", "0.3", "1.0", "3.0")))
    print(f"calls for each bundle: {sum(made.values()) / bundles:.2f}")
    for name, count in sorted(made.items()):
        print(f"  {name:28} {count / bundles:6.3f}")
    print(f"idle, 20 s: {idle_writes} writes of a status, calls {idle or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tournaments", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60, help="that a shard takes, more or less by half")
    parser.add_argument("--spread", type=float, default=0, help="seconds over which the tournaments begin")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("BENCH_FOLDER", name))
        with ControlPlane(folder / "control-plane") as plane:
            asyncio.run(bench(options.tournaments, options.seconds, options.spread, folder, plane.kubeconfig))


if __name__ == "__main__":
    main()
