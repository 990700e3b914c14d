"""What a cluster that was cut off while it came up leaves behind. Runs before the tests that want one."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from cluster import holder, machine, up
from e2e.conftest import ROOT, traces

pytestmark = pytest.mark.timeout(300)


def command(action: str) -> list[str]:
    return [sys.executable, "-m", "cluster.up", action]


@pytest.mark.parametrize("victim", ["up", "holder"])
def test_after_a_kill_half_way_down_leaves_nothing(cluster_tools: None, victim: str) -> None:
    if up.chosen() is not machine:
        pytest.skip("only this machine's own node can be cut off")
    if holder.pid() is not None:
        pytest.skip("a cluster is up: `make cluster-down` first")
    before = traces()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "hack")}
    starting = subprocess.Popen(command("up"), env=environment, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while not (holder.folder() / "containerd" / "containerd.sock").exists():
            assert time.monotonic() < end
            assert starting.poll() is None
            time.sleep(0.05)
        assert traces() != before
        if victim == "up":
            starting.kill()
        else:
            pid = holder.pid()
            assert pid is not None
            os.kill(pid, 9)
        starting.wait(60)
        assert starting.returncode != 0
    finally:
        subprocess.run(command("down"), env=environment, check=True)
    assert traces() == before
