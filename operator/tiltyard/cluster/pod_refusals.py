"""Why Jobs and models have no pods: what controllers say of it in events, which nothing watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tiltyard.cluster.client import FORBIDDEN, ApiError, Client
from tiltyard.observe.kinds import EVENTS, JOBS, TRAIN_JOBS
from tiltyard.observe.records import JobRecord, ServiceRecord
from tiltyard.observe.refusal import latest_failure, of_llm
from tiltyard.render.train_job import NODE

KEPT_SECONDS = 10.0


@dataclass
class PodRefusals:
    """What is said of Jobs and LLMInferenceServices without pods.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _read: dict[tuple[str, str], tuple[float, str | None]] = field(default_factory=dict)  # by owner and name

    async def of(self, owner: str, records: Iterable[tuple[JobRecord | ServiceRecord, float]]) -> dict[str, str]:
        """Why no pod of each can be created, by its name; those of which nothing is said are left out.

        Args:
            owner: `namespace/name` of their Tournament.
            records: those without pods, each with the moment from which on one is missing.

        Raises:
            ApiError: events cannot be listed.
        """
        without = {(owner, record.name): (record, since) for record, since in records}
        for key in [key for key in self._read if key[0] == owner and key not in without]:
            del self._read[key]
        for key, (record, since) in without.items():
            if key not in self._read or self.clock() - self._read[key][0] >= KEPT_SECONDS:
                self._read[key] = (self.clock(), await self._latest(record, since))
        return {key[1]: words for key in without if (words := self._read[key][1]) is not None}

    def forget(self, owner: str) -> None:
        """Drop what is kept of a Tournament that is gone."""
        for key in [key for key in self._read if key[0] == owner]:
            del self._read[key]

    async def _latest(self, record: JobRecord | ServiceRecord, since: float) -> str | None:
        fields = "reason=FailedCreate"
        if isinstance(record, JobRecord):
            # A JobSet names its Jobs so.
            name = f"{record.name}-{NODE}-0" if record.kind is TRAIN_JOBS else record.name
            fields += f",regarding.kind={JOBS.kind},regarding.name={name}"
        try:
            events, _ = await self.client.list(EVENTS, record.owner.partition("/")[0], "", fields)
        except ApiError as error:
            if error.status == FORBIDDEN:  # an administrator's own rules may leave it out
                return None
            raise
        if isinstance(record, ServiceRecord):
            events = [event for event in events if of_llm(event, record.name)]
        return latest_failure(events, since)
