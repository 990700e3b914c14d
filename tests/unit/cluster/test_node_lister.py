"""How often nodes are listed."""

from __future__ import annotations

from typing import Any

from tiltyard.cluster.client import ApiError
from tiltyard.cluster.node_lister import NodeLister
from tiltyard.observe.kinds import Object


class Listing:
    """An API server that lists nodes."""

    def __init__(self) -> None:
        self.asked = 0

    async def list(self, kind: Any, namespace: Any, selector: str) -> tuple[list[Object], str]:
        self.asked += 1
        if self.asked > 2:
            raise ApiError(403, "nodes is forbidden")
        return [{"status": {"allocatable": {"cpu": str(self.asked)}}}], "1"


async def test_nodes_are_listed_once_a_minute() -> None:
    client, now = Listing(), [1000.0]
    nodes = NodeLister(client, lambda: now[0])  # type: ignore[arg-type]
    assert [(await nodes.largest_allocatable())["cpu"], (await nodes.largest_allocatable())["cpu"]] == [1, 1]
    now[0] += 61
    assert (await nodes.largest_allocatable())["cpu"] == 2
    now[0] += 61
    assert await nodes.largest_allocatable() == {}  # it may not list them
