"""The nodes of the cluster, listed now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tiltyard.cluster.client import FORBIDDEN, ApiError, Client
from tiltyard.observe.capacity import largest_allocatable
from tiltyard.observe.kinds import NODES, Object

KEPT_SECONDS = 60.0  # nodes come and go slowly, and a list of them is long


@dataclass
class NodeLister:
    """What the nodes can give.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _largest: Mapping[str, Decimal] = field(default_factory=dict)
    _listed: float = -KEPT_SECONDS
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def largest_allocatable(self) -> Mapping[str, Decimal]:
        """The most that one node can give, by resource; empty where there is no node, or none may be listed.

        Raises:
            ApiError: they cannot be listed.
        """
        async with self._lock:
            if self.clock() - self._listed >= KEPT_SECONDS:
                self._largest, self._listed = largest_allocatable(await self._list()), self.clock()
            return self._largest

    async def _list(self) -> list[Object]:
        try:
            nodes, _ = await self.client.list(NODES, None, "")
        except ApiError as error:
            if error.status == FORBIDDEN:  # an administrator's own rules may leave it out
                return []
            raise
        return nodes
