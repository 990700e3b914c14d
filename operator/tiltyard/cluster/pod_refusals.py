"""Why Jobs and models have no pods: what controllers say of it in events, which nothing watches."""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard.cluster.answers import Answers
from tiltyard.observe.kinds import JOBS, SERVICES, TRAIN_JOBS
from tiltyard.observe.records import JobRecord, ServiceRecord
from tiltyard.observe.refusal import latest_failure, of_llm, of_service
from tiltyard.render.train_job import NODE


class PodRefusals(Answers[str]):
    """What is said of Jobs and models without pods."""

    async def of(self, owner: str, records: Iterable[tuple[JobRecord | ServiceRecord, float]]) -> dict[str, str]:
        """Why no pod of each can be created, by its name; those of which nothing is said are left out.

        Args:
            owner: `namespace/name` of their Tournament.
            records: those without pods, each with the moment from which on one is missing.
        """
        without = {record.name: (record, since) for record, since in records}

        async def ask(names: list[str]) -> dict[str, str]:
            said = [(name, await self._latest(*without[name])) for name in names]
            return {name: words for name, words in said if words is not None}

        return await self._of(owner, without, ask)

    async def _latest(self, record: JobRecord | ServiceRecord, since: float) -> str | None:
        if isinstance(record, ServiceRecord) and record.kind is SERVICES:
            fields = f"reason=InternalError,regarding.kind={SERVICES.kind},regarding.name={record.name}"
            return latest_failure(filter(of_service, await self._events(record.owner, fields)), since)
        fields = "reason=FailedCreate"
        if isinstance(record, JobRecord):
            # A JobSet names its Jobs so.
            name = f"{record.name}-{NODE}-0" if record.kind is TRAIN_JOBS else record.name
            fields += f",regarding.kind={JOBS.kind},regarding.name={name}"
        events = await self._events(record.owner, fields)
        if isinstance(record, ServiceRecord):
            events = [event for event in events if of_llm(event, record.name)]
        return latest_failure(events, since)
