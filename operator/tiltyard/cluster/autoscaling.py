"""Whether nodes come for pods that fit none: what autoscalers say of it in events, which nothing watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tiltyard.cluster.client import FORBIDDEN, ApiError, Client
from tiltyard.observe.autoscaling import autoscalers_words
from tiltyard.observe.kinds import EVENTS
from tiltyard.observe.records import PodRecord
from tiltyard.observe.standstill import group_of

KEPT_SECONDS = 10.0
MOST = 20  # asked for at once: the status names those that have waited longest


@dataclass
class Autoscaling:
    """What autoscalers say of pods that fit no node.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _read: dict[str, dict[str, tuple[float, str | None]]] = field(default_factory=dict)  # by owner and pod

    async def of(self, owner: str, pods: Sequence[PodRecord]) -> dict[tuple[str, str], str]:
        """What is said, by `group_of` the pod; those of which nothing is said are left out.

        Args:
            owner: `namespace/name` of their Tournament.
            pods: those that fit no node, the oldest first.

        Raises:
            ApiError: events cannot be listed.
        """
        before, now = self._read.pop(owner, {}), self.clock()
        read = {
            pod.name: before[pod.name] for pod in pods[:MOST] if now - before.get(pod.name, (0.0,))[0] < KEPT_SECONDS
        }
        for pod in pods[:MOST]:
            if pod.name not in read:
                read[pod.name] = (now, await self._ask(owner.partition("/")[0], pod.name))
        if read:
            self._read[owner] = read
        return {group_of(pod): words for pod in pods[:MOST] if (words := read[pod.name][1]) is not None}

    async def _ask(self, namespace: str, pod: str) -> str | None:
        try:
            events, _ = await self.client.list(EVENTS, namespace, "", f"regarding.kind=Pod,regarding.name={pod}")
        except ApiError as error:
            if error.status == FORBIDDEN:  # an administrator's own rules may leave it out
                return None
            raise
        return autoscalers_words(events)
