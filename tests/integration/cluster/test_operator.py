"""The operator as a process on a real API server with the KServe controller; the worker's real code in played pods."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]


async def test_a_tournament_from_apply_to_complete(arena) -> None:
    await arena.apply(arena.manifest(3, per_competitor=8))
    done = await arena.wait_for_phase("Complete", "Failed", limit=200)
    assert done["status"]["phase"] == "Complete", done["status"]
