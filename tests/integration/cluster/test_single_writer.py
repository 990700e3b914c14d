"""Two Tournaments below one URI of a bucket in which one run at a time may write."""

from __future__ import annotations

import pytest
import yaml

from support.arena import SMALL, Arena, condition

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(560)]


async def test_the_second_waits_for_the_first_and_uses_what_it_has_made(arena: Arena) -> None:
    for name in ("first", "second"):
        document = arena.manifest(2, **SMALL, name=name)
        document["spec"]["output"]["s3"]["singleWriter"] = True
        await arena.apply(document)
        await arena.wait_for_phase("Preflight", "Mining", name=name)
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "GivesWay", "second", limit=120)
    assert f"tournament {arena.namespace}/first writes below the same URI" in condition(told, "Waiting")["message"]
    for name in ("first", "second"):
        done = await arena.wait_for_phase("Complete", "Failed", name=name, limit=240)
        assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
        assert name == "first" or "models" not in {key for key, value in done["status"].items() if value}
    assert len(await arena.notes("GivesWay")) == 1
