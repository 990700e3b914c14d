"""Which pods ask for more than any node can give: their author is warned before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from tiltyard.api import Resources, Tournament, parse_quantity
from tiltyard.observe.kinds import Object
from tiltyard.plan.participants import TARGETS, participations


def largest_allocatable(nodes: Iterable[Object]) -> Mapping[str, Decimal]:
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
    for place, resources in pods_of(tournament):
        for name, amount in sorted(resources.demand().items()):
            if amount > (has := most.get(name, Decimal(0))):
                largest = f"but the largest node has {_shown(has)}" if has else "but no node has any"
                yield (
                    f"{place} requests {_shown(amount)} {name}, {largest}:"
                    " such a pod stays pending until a larger node is added"
                )


def _shown(amount: Decimal) -> str:
    return f"{amount / 2**30:.1f}Gi" if amount >= 2**30 else f"{amount.normalize():f}"


def pods_of(tournament: Tournament) -> Iterator[tuple[str, Resources]]:
    """What one pod of each kind asks for, by the manifest's field."""
    spec = tournament.spec
    for one in participations(tournament).values():
        if one.participant.serving is not None and one.participant.name not in TARGETS:
            yield f"{one.field}.serving.resources", one.participant.serving.resources
    yield "spec.jobs.resources", spec.jobs.resources
    if spec.training is not None:
        yield "spec.training.resources", spec.training.resources
        if spec.evaluation is not None:
            yield "spec.evaluation.serving.resources", spec.evaluation.serving.resources
