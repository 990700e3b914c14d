"""What holds a model's weights: claims, and KServe's caches."""

from __future__ import annotations

from tiltyard.cluster.client import FORBIDDEN, NOT_FOUND, ApiError, Client, NotYet
from tiltyard.cluster.refused_calls import NOT_SERVED, apply
from tiltyard.observe.kinds import CACHES, CLAIMS, CLUSTER_CACHES, Object
from tiltyard.observe.waiting import download_wait
from tiltyard.plan.observed import Wait


class NotDownloaded(NotYet):
    """A model's weights are not where its pods will look for them.

    Attributes:
        wait: why it waits.
    """

    def __init__(self, wait: Wait) -> None:
        super().__init__(NOT_SERVED, wait.message)
        self.wait = wait


async def hold(client: Client, body: Object) -> None:
    """Make what holds a model's weights, unless it is there.

    Raises:
        NotDownloaded: a cache does not hold them yet.
    """
    if body["kind"] != CACHES.kind:
        await apply(client, CLAIMS, body)
        return
    cache = await _others_cache(client, body) or await _make_cache(client, body)
    if (wait := download_wait(cache)) is not None:
        raise NotDownloaded(wait)


async def _make_cache(client: Client, body: Object) -> Object:
    try:
        return await apply(client, CACHES, body)
    except ApiError as error:
        if error.status not in (NOT_FOUND, NOT_SERVED):
            raise
        words = f"the cluster has no {CACHES.kind}: install KServe's local model cache (0.20 or later), or set"
        raise ApiError(NOT_SERVED, f"{words} spec.serving.weights.claim") from error


async def _others_cache(client: Client, cache: Object) -> Object | None:
    """Somebody else's cache that holds the same weights on the same nodes: KServe takes that one."""
    spec, meta = cache["spec"], cache["metadata"]
    for kind, namespace in ((CACHES, meta["namespace"]), (CLUSTER_CACHES, None)):
        try:
            others, _ = await client.list(kind, namespace, "")
        except ApiError as error:
            if error.status in (FORBIDDEN, NOT_FOUND):  # an older KServe; the rights of one namespace
                continue
            raise
        for other in others:
            same_nodes = set(spec["nodeGroups"]) <= set(other["spec"]["nodeGroups"])
            is_own = kind is CACHES and other["metadata"]["name"] == meta["name"]
            if same_nodes and not is_own and other["spec"]["sourceModelUri"] == spec["sourceModelUri"]:
                return {"kind": kind.kind, **other}  # those of a list do not say their kind
    return None
