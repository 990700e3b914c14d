"""Why Jobs have no pods: what their controller says of it in events, which nothing watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tiltyard.cluster.client import FORBIDDEN, ApiError, Client
from tiltyard.observe.kinds import EVENTS, JOBS, TRAIN_JOBS
from tiltyard.observe.records import JobRecord
from tiltyard.observe.refusal import latest_failure
from tiltyard.render.train_job import NODE

KEPT_SECONDS = 10.0


@dataclass
class PodRefusals:
    """What is said of Jobs without pods.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _read: dict[tuple[str, str], tuple[float, str | None]] = field(default_factory=dict)  # by owner and name

    async def of(self, owner: str, jobs: Iterable[tuple[JobRecord, float]]) -> dict[str, str]:
        """Why no pod of a Job can be created, by its name; those of which nothing is said are left out.

        Args:
            owner: `namespace/name` of their Tournament.
            jobs: those without pods, each with the moment from which on one is missing.

        Raises:
            ApiError: events cannot be listed.
        """
        without = {(owner, job.name): (job, since) for job, since in jobs}
        for key in [key for key in self._read if key[0] == owner and key not in without]:
            del self._read[key]
        for key, (job, since) in without.items():
            if key not in self._read or self.clock() - self._read[key][0] >= KEPT_SECONDS:
                self._read[key] = (self.clock(), await self._latest(job, since))
        return {key[1]: words for key in without if (words := self._read[key][1]) is not None}

    async def _latest(self, job: JobRecord, since: float) -> str | None:
        name = f"{job.name}-{NODE}-0" if job.kind is TRAIN_JOBS else job.name  # a JobSet names its Jobs so
        fields = f"regarding.kind={JOBS.kind},regarding.name={name},reason=FailedCreate"
        try:
            events, _ = await self.client.list(EVENTS, job.owner.partition("/")[0], "", fields)
        except ApiError as error:
            if error.status == FORBIDDEN:  # an administrator's own rules may leave it out
                return None
            raise
        return latest_failure(events, since)
