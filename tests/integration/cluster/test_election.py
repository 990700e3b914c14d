"""Two operators: one works, the other takes over."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from support.arena import SMALL, Arena, Operator, begun
from support.podplayer import PodPlayer
from support.s3server import S3Server
from support.waiting import until
from tiltyard.cluster.client import ApiError, Client
from tiltyard.observe.kinds import JOBS, LEASES

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(240)]

LEASE = "tiltyard"  # the chart's operator may hold this one alone
NAMESPACE = "default"


@pytest.fixture
async def two(
    plane: ControlPlane, kube: Client, rights: Path, namespace: str, tmp_path: Path
) -> AsyncIterator[list[Operator]]:
    operators = [
        Operator(rights, namespace, tmp_path / f"{name}.log", arguments=(f"--lease={NAMESPACE}/{LEASE}",))
        for name in ("first", "second")
    ]
    yield operators
    for operator in operators:
        if operator.process is not None and operator.process.returncode is None:
            operator.process.send_signal(signal.SIGCONT)
            await operator.stop()
    await kube.delete(LEASES, NAMESPACE, LEASE)


async def holder(kube: Client) -> str:
    try:
        lease: dict[str, Any] = dict(await kube.get(LEASES, NAMESPACE, LEASE))
    except ApiError:
        return ""
    return str(lease["spec"].get("holderIdentity") or "")


def says(operator: Operator, event: str) -> bool:
    return f'"event": "{event}"' in operator.log.read_text()


async def begin(first: Operator, second: Operator) -> None:
    """The first works, the second stands by."""
    await first.start()
    await second.launch()
    await until(lambda: says(second, "standing by"))


async def uids(arena: Arena) -> dict[str, str]:
    """Those of the Jobs, by name."""
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in await arena.children(JOBS)}


async def reconciliations(operator: Operator) -> float:
    """How many it has finished."""
    (count,) = re.findall(r"^tiltyard_reconcile_seconds_count (\S+)$", await operator.metrics(), re.MULTILINE)
    return float(count)


async def leader(operator: Operator) -> str:
    return next(line for line in (await operator.metrics()).splitlines() if line.startswith("tiltyard_leader "))


async def test_one_that_ends_hands_over(two: list[Operator], kube: Client) -> None:
    first, second = two
    await begin(first, second)
    held = await holder(kube)
    assert held
    assert not says(second, "ready")
    assert (await leader(first), await leader(second)) == ("tiltyard_leader 1.0", "tiltyard_leader 0.0")
    assert await first.stop() == 0
    await until(lambda: says(second, "ready"))
    assert await holder(kube) not in ("", held)
    assert await second.stop() == 0
    assert await holder(kube) == ""


@pytest.mark.timeout(560)
async def test_the_other_goes_on_with_a_tournament_of_one_that_is_killed(
    two: list[Operator], kube: Client, namespace: str, s3_uri: str, server: S3Server, player: PodPlayer
) -> None:
    first, second = two
    await begin(first, second)
    held = await holder(kube)
    arena = Arena(kube, namespace, s3_uri, server, player, first)
    await arena.apply(arena.manifest(2, **SMALL | {"jobs": {"shardSize": 6}}))
    await begun(arena, "mine")
    made = await uids(arena)
    await first.kill()
    arena.operator = second
    await until(lambda: says(second, "ready"), 15)  # docs/platform.md promises it
    await until(lambda: reconciliations(second), 15)
    assert await holder(kube) not in ("", held)
    done = await arena.wait_for_phase("Complete", "Failed", limit=200)
    assert done["status"]["phase"] == "Complete", done["status"]
    assert (await uids(arena)).items() >= made.items()
    shards = [pod.rpartition("-")[0] for pod in player.started if "-predictor-" not in pod]
    assert len(shards) == len(set(shards))


async def test_one_that_stood_still_does_not_go_on(two: list[Operator], kube: Client) -> None:
    first, second = two
    await begin(first, second)
    assert first.process is not None
    first.process.send_signal(signal.SIGSTOP)
    await until(lambda: says(second, "ready"))
    held = await holder(kube)
    first.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(60):
        assert await first.process.wait() == 1
    assert "could not be renewed" in first.log.read_text()
    assert await holder(kube) == held
