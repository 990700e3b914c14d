"""Why queues admit nothing: what Kueue says of it in its Workloads, which nothing watches."""

from __future__ import annotations

from collections.abc import Sequence

from tiltyard.cluster.answers import MOST_ASKED, Answers
from tiltyard.observe.documents import namespace_of
from tiltyard.observe.kinds import WORKLOADS
from tiltyard.observe.queues import JOB_UID, answers_of
from tiltyard.observe.snapshot import QueueAnswer


class QueueAnswers(Answers[QueueAnswer]):
    """What Kueue says of Jobs and pods that its queues hold."""

    async def of(self, owner: str, held: Sequence[str]) -> dict[str, QueueAnswer]:
        """What is said, by uid; nothing where Workloads cannot be read.

        Args:
            owner: `namespace/name` of their Tournament.
            held: the uids of its Jobs and pods that queues hold, the oldest first.
        """

        async def ask(uids: list[str]) -> dict[str, QueueAnswer]:
            selector = f"{JOB_UID} in ({','.join(uids)})"
            workloads, _ = await self.client.list(WORKLOADS, namespace_of(owner), selector)
            return answers_of(uids, workloads)

        return await self._of(owner, held[:MOST_ASKED], ask)
