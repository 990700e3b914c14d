"""Whether nodes come for pods that fit none: what autoscalers say of it in events, which nothing watches."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence

from tiltyard.cluster.answers import MOST_ASKED, Answers
from tiltyard.observe.autoscaling import autoscalers_words
from tiltyard.observe.records import PodRecord


class Autoscaling(Answers[str]):
    """What autoscalers say of pods that fit no node."""

    async def of(self, owner: str, pods: Sequence[PodRecord]) -> dict[tuple[str, str], str]:
        """What is said, by `PodRecord.group`; those of which nothing is said are left out.

        Args:
            owner: `namespace/name` of their Tournament.
            pods: those that fit no node, the oldest first.
        """

        async def ask(names: list[str]) -> dict[str, str]:
            of_each = await gather(
                *(self._events(owner, f"regarding.kind=Pod,regarding.name={name}") for name in names)
            )
            said = ((name, autoscalers_words(events)) for name, events in zip(names, of_each, strict=True))
            return {name: words for name, words in said if words is not None}

        asked = {pod.name: pod for pod in pods[:MOST_ASKED]}
        return {asked[name].group: words for name, words in (await self._of(owner, asked, ask)).items()}
