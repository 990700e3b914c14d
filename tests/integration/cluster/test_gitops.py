"""What a GitOps tool sees on a real API server: health at each moment, and no drift."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.arena import SMALL, Arena
from support.gitops import EXPECTED, RUNNING, judged
from tiltyard.cluster.status_reader import read_with_status
from tiltyard.observe.kinds import Object

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(500)]

USER = "user"  # the field manager that `Arena.apply` gives


async def sync(arena: Arena, document: dict[str, Any]) -> Object:
    """What a sync does once more: it changes nothing that is the user's, and nobody else owns a part of the spec."""
    name = document["metadata"]["name"]
    before = await arena.get(name)
    await arena.apply(document)
    after = await arena.get(name)
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])
    assert owners(after) == owners(before)
    assert [manager for manager, _ in owners(after)] == [USER]
    return after


def owners(document: Object) -> list[tuple[str, Any]]:
    """Who owns anything outside of the status, and what."""
    managed = document["metadata"]["managedFields"]
    return [(one["manager"], one) for one in managed if one.get("subresource") != "status"]


async def sync_until(arena: Arena, document: dict[str, Any], *phases: str) -> list[Object]:
    """Sync again and again until a phase is reached: what was seen. In that phase a sync writes nothing at all."""
    seen: list[Object] = []
    async with asyncio.timeout(240):
        while not seen or seen[-1].get("status", {}).get("phase") not in phases:
            seen.append(await sync(arena, document))
            await asyncio.sleep(0.05)
        while len(seen) < 2 or seen[-1]["metadata"]["resourceVersion"] != seen[-2]["metadata"]["resourceVersion"]:
            seen.append(await sync(arena, document))  # the status may still be written once
    return seen


async def test_no_drift_in_any_phase_and_each_is_judged_rightly(engines: None, arena: Arena) -> None:
    await arena.operator.stop()
    document = arena.manifest(2, suspend=True, **SMALL)
    await arena.apply(document)
    unseen = await sync(arena, document)
    assert unseen["status"] == {"observedGeneration": -1}
    with pytest.raises(LookupError, match="has no status yet"):
        await read_with_status(arena.namespace, "test")

    await arena.operator.start()
    seen = await sync_until(arena, document, "Suspended")
    for battles, suspend, phase in (({"schedule": {"type": "Pruned"}}, True, "Invalid"), ({}, False, "Complete")):
        document["spec"] |= {"battles": battles, "suspend": suspend}
        await arena.apply(document)
        seen += await sync_until(arena, document, phase)
    late = arena.manifest(2, name="late", activeDeadlineSeconds=1, **SMALL)
    await arena.apply(late)
    seen += await sync_until(arena, late, "Failed")

    assert {one["status"].get("phase", "") for one in seen} > set(EXPECTED)  # and some of those in which it works
    current = [one for one in seen if one["status"]["observedGeneration"] == one["metadata"]["generation"]]
    stale = [one for one in seen if one not in current]
    expected = [EXPECTED.get(one["status"]["phase"], RUNNING) for one in current]
    verdicts = judged([unseen, *stale, *current])
    assert [one.words for one in verdicts] == [RUNNING, *(RUNNING for _ in stale), *expected]
