"""Models take turns where there is room for few, and none is loaded more often than the plan says."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from integration.local.conftest import MakeRun
from support.local_runs import command_of
from support.manifests import manifest


def tight(max_active: int, competitors: int, judges: int) -> dict[str, Any]:
    """A tournament with room for so many models."""
    curation = {"decontaminate": [], "diversity": {"perCompetitor": 4}}
    serving, jobs = {"maxActive": max_active}, {"shardSize": 64}
    return manifest(competitors, judges=judges, per_competitor=16, curation=curation, serving=serving, jobs=jobs)


@pytest.mark.parametrize(("max_active", "competitors", "judges"), [(1, 3, 0), (2, 2, 2)])
def test_models_take_turns(max_active: int, competitors: int, judges: int, make_run: MakeRun) -> None:
    run = make_run("run", tight(max_active, competitors, judges))
    expected = json.loads(run.finish(run.start("plan", "--output", "json")).out)["modelLoads"]
    process = run.start()
    most, servers = 0, dict[int, bool]()
    while process.poll() is None:
        pids = run.pids()
        servers |= {pid: "tiltyard_jobs.sim" in command_of(pid) for pid in pids if not servers.get(pid)}
        up = sum("tiltyard_jobs.sim" in command_of(pid) for pid in pids if servers[pid])
        most = max(most, up)
        time.sleep(0.01)
    assert run.finish(process).code == 0
    loads = {model["name"]: model["loads"] for model in run.status()["models"]}
    assert most == max_active
    assert loads == expected["byModel"]
    if max_active == 1:
        assert expected["total"] == 3 * competitors - 1  # one gives way to each of the others, by hand
