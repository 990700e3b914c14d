"""`tiltyard.Cluster`: apply, watch, wait and read a Tournament from a program."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiltyard
from support.arena import SMALL, Arena
from support.manifests import manifest
from support.waiting import until
from tiltyard.api import load_tournament
from tiltyard.observe.kinds import TOURNAMENTS
from tiltyard.plan.build import build_graph
from tiltyard.plan.spending import spending_of
from tiltyard_jobs.contracts.spending import Amounts

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(240)]


def planned_of(document: dict[str, Any]) -> Amounts:
    """What a tournament is planned to take where nothing exists yet."""
    tournament = load_tournament(json.dumps(document))
    return spending_of(tournament, build_graph(tournament), {}).planned


async def test_a_program_applies_waits_and_reads(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    del document["metadata"]["namespace"]
    tournament = tiltyard.Tournament.from_dict(document)
    cluster = await asyncio.to_thread(tiltyard.Cluster, arena.namespace)
    await asyncio.to_thread(cluster.apply, tournament)
    await asyncio.to_thread(cluster.suspend, "test")
    with pytest.raises(tiltyard.StoppedError):
        await asyncio.to_thread(cluster.wait, "test", timeout=100)
    # What was true of the version before, suspended, does not end the next wait.
    await asyncio.to_thread(cluster.suspend, "test", suspended=False)
    seen = await asyncio.to_thread(lambda: [status.phase for status in cluster.watch("test", timeout=200)])
    assert seen[-1] == "Complete"
    assert len(set(seen)) > 3
    status = await asyncio.to_thread(cluster.wait, "test", timeout=10)
    assert status.activity == "Ended"
    assert {row.name for row in cluster.leaderboard("test")} == {"m0", "m1"}
    command = [sys.executable, "-m", "tiltyard", "status", "-n", arena.namespace, "test", "--watch", "-o", "json"]
    printed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=True)
    *_, last = map(json.loads, printed.stdout.splitlines())
    assert (last["tournament"], last["activity"], last["phase"]) == ("test", "Ended", "Complete")
    assert last["generation"] == last["observedGeneration"]
    assert last["written"] >= last["conditions"][-1]["lastTransitionTime"]
    expected = planned_of(document)
    assert last["usage"]["planned"] == {
        "promptTokens": expected.prompt_tokens,
        "completionTokens": expected.completion_tokens,
    }
    table = command[:7]
    printed = await asyncio.to_thread(subprocess.run, table, capture_output=True, text=True, timeout=60, check=True)
    read = f"{last['usage']['promptTokens']:,} tokens read (planned {expected.prompt_tokens:,})"
    assert f"Cost: {read}" in printed.stdout

    await asyncio.to_thread(cluster.delete, "test")

    async def is_gone() -> bool:
        return not (await arena.kube.list(TOURNAMENTS, arena.namespace, ""))[0]

    await until(is_gone)
    with pytest.raises(tiltyard.UserError, match=f"there is no Tournament test in namespace {arena.namespace}"):
        await asyncio.to_thread(cluster.status, "test")


async def test_what_a_cluster_refuses(arena: Arena) -> None:
    cluster = await asyncio.to_thread(tiltyard.Cluster, arena.namespace)
    with pytest.raises(tiltyard.UserError, match="there is no Tournament other in namespace"):
        await asyncio.to_thread(cluster.wait, "other")
    missing = tiltyard.Cluster("no-such-namespace")
    with pytest.raises(tiltyard.UserError, match="no-such-namespace"):
        await asyncio.to_thread(missing.apply, tiltyard.Tournament.from_dict(manifest(2, judges=1)))
    await arena.operator.stop()
    await arena.apply(arena.manifest(2, **SMALL))
    with pytest.raises(TimeoutError, match="Tournament test has not ended after 1 seconds"):
        await asyncio.to_thread(cluster.wait, "test", timeout=1)


def test_no_cluster_is_configured(tmp_path: Path) -> None:
    with pytest.raises(tiltyard.UserError, match="no cluster is configured: set KUBECONFIG, or give kubeconfig"):
        tiltyard.Cluster(kubeconfig=str(tmp_path))
