"""Why pods do not start: what autoscalers and nodes say of it in events, which nothing watches."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence
from dataclasses import dataclass, field

from tiltyard.cluster.answers import MOST_ASKED, Answers
from tiltyard.observe.pod_events import PASSED, words_of
from tiltyard.observe.records import PodRecord

PASSED_SECONDS = 120.0
"""How long a pod is not asked about whose volumes and network are there: its image is being pulled, which may take
long, and where that fails the pod itself says so. Only a new sandbox could fail unseen meanwhile."""


@dataclass
class PodEvents(Answers[str]):
    """What is said of pods that no node takes, or that their nodes do not start."""

    _passed: dict[str, dict[str, float]] = field(default_factory=dict)  # by owner and name: when that was seen

    def forget(self, owner: str) -> None:
        """Drop what is kept of a Tournament that is gone."""
        super().forget(owner)
        self._passed.pop(owner, None)

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
            said = {name: words_of(asked[name], events) for name, events in zip(names, of_each, strict=True)}
            for name, events in zip(names, of_each, strict=True):
                if asked[name].unstarted and said[name] is None and any(e.get("reason") in PASSED for e in events):
                    passed[name] = now
            return {name: words for name, words in said.items() if words is not None}

        before, now = self._passed.get(owner, {}), self.clock()
        names = {pod.name for pod in pods}
        passed = {name: at for name, at in before.items() if name in names and now - at < PASSED_SECONDS}
        self._passed[owner] = passed
        asked = {pod.name: pod for pod in [pod for pod in pods if pod.name not in passed][:MOST_ASKED]}
        return {asked[name].asked_as: words for name, words in (await self._of(owner, asked, ask)).items()}
