"""Why pods do not start: what autoscalers and nodes say of it in events, which nothing watches."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence

from tiltyard.cluster.answers import MOST_ASKED, Answers
from tiltyard.observe.pod_events import words_of
from tiltyard.observe.records import PodRecord


class PodEvents(Answers[str]):
    """What is said of pods that no node takes, or that their nodes do not start."""

    async def of(self, owner: str, pods: Sequence[PodRecord]) -> dict[tuple[str, str, str], str]:
        """What is said, by `PodRecord.asked_as`; those of which nothing is said are left out.

        Args:
            owner: `namespace/name` of their Tournament.
            pods: those that do not start, the oldest first.
        """

        async def ask(names: list[str]) -> dict[str, str]:
            of_each = await gather(
                *(self._events(owner, f"regarding.kind=Pod,regarding.name={name}") for name in names)
            )
            said = ((name, words_of(asked[name], events)) for name, events in zip(names, of_each, strict=True))
            return {name: words for name, words in said if words is not None}

        asked = {pod.name: pod for pod in pods[:MOST_ASKED]}
        return {asked[name].asked_as: words for name, words in (await self._of(owner, asked, ask)).items()}
