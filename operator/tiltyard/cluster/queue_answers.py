"""Why queues admit nothing: what Kueue says of it in its Workloads, which nothing watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tiltyard.cluster.client import FORBIDDEN, NOT_FOUND, ApiError, Client
from tiltyard.observe.kinds import WORKLOADS
from tiltyard.observe.queues import JOB_UID, answers_of
from tiltyard.observe.snapshot import QueueAnswer

KEPT_SECONDS = 10.0
MOST = 20  # asked for at once: the status names those that have waited longest


@dataclass
class QueueAnswers:
    """What Kueue says of Jobs and pods that its queues hold.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _read: dict[str, tuple[float, tuple[str, ...], dict[str, QueueAnswer]]] = field(default_factory=dict)  # by owner

    async def of(self, owner: str, held: Sequence[str]) -> dict[str, QueueAnswer]:
        """What is said, by uid; nothing where Workloads cannot be read.

        Args:
            owner: `namespace/name` of their Tournament.
            held: the uids of its Jobs and pods that queues hold, the oldest first.
        """
        uids = tuple(held[:MOST])
        if not uids:
            self._read.pop(owner, None)
            return {}
        at, before, answers = self._read.get(owner, (0.0, (), {}))
        if uids != before or self.clock() - at >= KEPT_SECONDS:
            answers = await self._ask(owner.partition("/")[0], uids, answers)
            self._read[owner] = (self.clock(), uids, answers)
        return answers

    def forget(self, owner: str) -> None:
        """Drop what is kept of a Tournament that is gone."""
        self._read.pop(owner, None)

    async def _ask(
        self, namespace: str, uids: tuple[str, ...], before: dict[str, QueueAnswer]
    ) -> dict[str, QueueAnswer]:
        try:
            workloads, _ = await self.client.list(WORKLOADS, namespace, f"{JOB_UID} in ({','.join(uids)})")
        except ApiError as error:
            # They are words for people: without a right to them, without Kueue, or while it fails, all else goes on.
            return {} if error.status in (FORBIDDEN, NOT_FOUND) else before
        return answers_of(uids, workloads)
