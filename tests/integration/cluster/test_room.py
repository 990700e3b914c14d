"""A real scheduler and a node with one GPU: models for which there is no room come by turns."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from integration.cluster.conftest import Arena, condition
from integration.cluster.test_operator import SMALL

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(560)]

GPU = "nvidia.com/gpu"


@pytest.mark.parametrize("scheduler", [{GPU: "1"}], indirect=True)
async def test_three_models_with_a_gpu_for_one_come_by_turns(arena: Arena, scheduler: None) -> None:
    arena.player.binds = False
    document = arena.manifest(2, **SMALL)
    assert "serving" not in document["spec"]  # nobody says how many fit
    for one in (*document["spec"]["competitors"], *document["spec"]["judges"]):
        one["serving"] = {"resources": {"limits": {GPU: "1", "memory": "1Gi"}}}
    await arena.apply(document)
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Unschedulable", limit=120)
    assert f"Insufficient {GPU}" in condition(told, "Waiting")["message"]
    most = 0

    def is_at_its_end(one: Any) -> bool:
        nonlocal most
        models = one["status"].get("models", ())
        most = max(most, sum(model["state"] == "Ready" for model in models))
        return one["status"].get("phase") in ("Complete", "Failed")

    done = await arena.wait(is_at_its_end, limit=500)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    assert most <= 1
