"""How large the nodes of a cluster are: pods that fit none are told of before anything is done that they are to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tiltyard.api import Resources, Tournament, parse_quantity
from tiltyard.cluster.client import FORBIDDEN, NODES, Kube, KubeError, Object
from tiltyard.render.tasks import fields

KEPT_SECONDS = 60.0  # nodes come and go slowly, and a list of them is long


@dataclass
class Nodes:
    """The nodes, looked at now and then.

    Args:
        kube: the connection.
        clock: seconds since the epoch.
    """

    kube: Kube
    clock: Callable[[], float]
    _most: Mapping[str, Decimal] = field(default_factory=dict)
    _looked: float = -KEPT_SECONDS
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def most(self) -> Mapping[str, Decimal]:
        """The most that one node can give, by resource; empty where there is no node, or none may be seen.

        Raises:
            KubeError: they cannot be listed.
        """
        async with self._turn:
            if self.clock() - self._looked >= KEPT_SECONDS:
                self._most, self._looked = most_of(await self._list()), self.clock()
            return self._most

    async def _list(self) -> list[Object]:
        try:
            nodes, _ = await self.kube.list(NODES, None, "")
        except KubeError as error:
            if error.status == FORBIDDEN:  # an administrator's own rules may leave it out
                return []
            raise
        return nodes


def most_of(nodes: list[Object]) -> Mapping[str, Decimal]:
    """The most that one of these nodes can give, by resource."""
    most: dict[str, Decimal] = {}
    for node in nodes:
        for name, amount in node.get("status", {}).get("allocatable", {}).items():
            most[name] = max(most.get(name, Decimal(0)), parse_quantity(amount))
    return most


def too_large(tournament: Tournament, most: Mapping[str, Decimal]) -> Iterator[str]:
    """A sentence for each kind of pod that asks for more of a resource than any node has.

    They are warnings and no errors: an autoscaler may bring a node that is larger.

    Args:
        tournament: the manifest.
        most: by resource, what one node can give; empty: there is no node to judge by.
    """
    if not most:
        return
    for place, resources in _pods(tournament):
        for name, amount in sorted(resources.demand().items()):
            if amount > (has := most.get(name, Decimal(0))):
                largest = f"the largest has {_shown(has)}" if has else "none has any"
                yield (
                    f"{place} asks for {_shown(amount)} {name}, and {largest}:"
                    " such a pod waits until a larger node is there"
                )


def _shown(amount: Decimal) -> str:
    return f"{amount / 2**30:.1f}Gi" if amount >= 2**30 else f"{amount.normalize():f}"


def _pods(tournament: Tournament) -> Iterator[tuple[str, Resources]]:
    """What one pod of each kind asks for, by the manifest's field."""
    spec, places = tournament.spec, fields(tournament)
    for participant in (*spec.competitors, *spec.judges):
        if participant.serving is not None:
            yield f"{places[participant.name]}.serving.resources", participant.serving.resources
    yield "spec.jobs.resources", spec.jobs.resources
    if spec.training is not None:
        yield "spec.training.resources", spec.training.resources
        if spec.evaluation is not None:
            yield "spec.evaluation.serving.resources", spec.evaluation.serving.resources
