"""What only an LLMInferenceService has, in the words and by the rules of KServe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import OpaqueObject
from tiltyard.api.shapes import Whole

Ways = Annotated[int, Whole(1, 1024)]


def _one_way_over_nodes(parallelism: Parallelism) -> Iterator[Violation]:
    if parallelism.pipeline is not None and (parallelism.data is not None or parallelism.data_local is not None):
        yield Violation((), "both pipeline and data")


def _data_in_pairs(parallelism: Parallelism) -> Iterator[Violation]:
    if (parallelism.data is None) != (parallelism.data_local is None):
        yield Violation((), "data alone" if parallelism.data_local is None else "dataLocal alone")


def _whole_nodes(parallelism: Parallelism) -> Iterator[Violation]:
    data, local = parallelism.data, parallelism.data_local
    if data is not None and local is not None and data % local:
        yield Violation(("dataLocal",), str(local))


ONE_WAY_OVER_NODES: Rule[Parallelism] = Rule(
    sentence="must not have both pipeline and data: KServe spreads a replica over nodes in one of the two ways",
    check=_one_way_over_nodes,
    cel="!(has(self.pipeline) && (has(self.data) || has(self.dataLocal)))",
)
DATA_IN_PAIRS: Rule[Parallelism] = Rule(
    sentence="must have data and dataLocal together: the number of ranks, and how many of them one node has",
    check=_data_in_pairs,
    cel="has(self.data) == has(self.dataLocal)",
)
WHOLE_NODES: Rule[Parallelism] = Rule(
    sentence="must divide data: each node has the same number of ranks",
    check=_whole_nodes,
    cel="!has(self.data) || !has(self.dataLocal) || self.dataLocal < 1 || self.data % self.dataLocal == 0",
    field_path=".dataLocal",
)


class Parallelism(ApiModel):
    """How one replica is divided, as in KServe's `spec.parallelism`."""

    RULES = (ONE_WAY_OVER_NODES, DATA_IN_PAIRS, WHOLE_NODES)

    tensor: Ways | None = None
    """The number of GPUs that share each layer. Absent: one."""
    pipeline: Ways | None = None
    """The number of nodes, each of which has some of the layers. Absent: one."""
    data: Ways | None = None
    """The number of ranks that compute requests in parallel, on all nodes together. Absent: one."""
    data_local: Ways | None = None
    """The number of these ranks on each node."""
    expert: bool = False
    """Whether the experts of a mixture of experts are divided among the ranks. Default: false."""

    @property
    def nodes(self) -> int:
        """The number of pods of one replica."""
        if self.data is not None and self.data_local is not None:
            return max(1, self.data // self.data_local)
        return self.pipeline or 1


def _scheduled(router: Router) -> Iterator[Violation]:
    if router.scheduler is not None and router.route is None:
        yield Violation((), "a scheduler alone")


SCHEDULED: Rule[Router] = Rule(
    sentence="must have route besides scheduler, for example {}: only what comes through a gateway is scheduled",
    check=_scheduled,
    cel="!has(self.scheduler) || has(self.route)",
)


class Router(ApiModel):
    """How requests reach a model, as in KServe's `spec.router`."""

    RULES = (SCHEDULED,)

    gateway: OpaqueObject | None = None
    """The gateway, in KServe's words; {} is the one of KServe's configuration."""
    route: OpaqueObject | None = None
    """The HTTPRoute, in KServe's words; {} is one that KServe makes. A model with a route is asked through its gateway;
    who may reach that is up to the gateway."""
    ingress: OpaqueObject | None = None
    """The Ingress, in KServe's words."""
    scheduler: OpaqueObject | None = None
    """The scheduler, in KServe's words: it sends a request to the replica whose prefix cache has its beginning. {} is
    KServe's own."""
