"""Asks the pods of running shards how far they are: what bars, rates and the ETA of a tournament are made of.

Each tournament at work is asked for every `PAUSE_SECONDS`, or more rarely where there are many: so much less often its
status is written. What pods say is shown, and nothing is decided by it; a pod that does not answer is asked again later
and later.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog
from yarl import URL

from tiltyard.cluster import metrics
from tiltyard.cluster.cache import Cache, Caches
from tiltyard.observe.documents import namespace_of
from tiltyard.observe.records import JobRecord, PodRecord
from tiltyard.observe.snapshot import PodTold
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import Observed
from tiltyard.status.rates import WINDOW_SECONDS, Rates
from tiltyard.status.records import counts_of
from tiltyard_jobs.contracts.logs import frames_of
from tiltyard_jobs.contracts.progress import MAX_BYTES, PATH, PORT, WorkerProgress

PAUSE_SECONDS: Final = 15.0  # between two looks at one tournament
SPACING_SECONDS: Final = 0.2  # between two tournaments: the most status writes a second that follow from it are five
IDLE_SECONDS: Final = 2.0  # between two looks for shards at work, where there are none
ANSWER_SECONDS: Final = 2.0
FIRST_SECONDS: Final = 3.0  # at the operator's start: so long no status is written without what pods have told
AT_ONCE: Final = 20  # pods of one tournament
CONNECTIONS: Final = 100
MAX_SILENCES: Final = 4  # a pod that has not answered so often again is asked every 16th time

log = structlog.get_logger(__name__)


@dataclass
class _Words:
    """What is kept of a tournament.

    Attributes:
        pods: what they told last, by name.
        at: when one of them answered last; None: none has.
        silences: how often a pod has not answered since it last did.
        looks: how often its pods were asked.
        rates: of the counts of `run`, noted last of what was told at `noted`.
    """

    pods: dict[str, PodTold] = field(default_factory=dict)
    at: float | None = None
    silences: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    rates: Rates = field(default_factory=Rates)
    run: str = ""
    noted: float | None = None

    def begin_rates(self, run: str) -> None:
        """Forget how fast it was: another run has other counts, and a long silence says nothing of the pace."""
        self.rates, self.run, self.noted = Rates(), run, None


@dataclass
class ProgressReader:
    """Asks pods, inside of an `async with` block; only who leads runs it.

    Args:
        caches: of what is watched: no other pod is asked.
        changed: called with the key of each tournament whose pods have answered.
        clock: seconds since the epoch.
    """

    caches: Caches
    changed: Callable[[str], None]
    clock: Callable[[], float]
    _words: dict[str, _Words] = field(default_factory=dict)  # by key
    _session: aiohttp.ClientSession | None = None
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS))
    _cycle: float = PAUSE_SECONDS  # between two looks at one tournament, now

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),  # `_free` limits them
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            auto_decompress=False,  # a small answer stays small
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def run(self) -> None:
        """Ask again and again, until cancelled. Tournaments are spread over the time between two looks at one."""
        asking: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                keys = self._at_work(self.caches.all())
                pause = max(PAUSE_SECONDS / max(1, len(keys)), SPACING_SECONDS)
                self._cycle = pause * len(keys)
                for key in [key for key in self._words if key not in keys]:
                    self._prune(key)
                for key in keys:
                    if key not in asking or asking[key].done():
                        asking[key] = asyncio.create_task(self._ask_all(key))
                    await asyncio.sleep(pause)
                asking = {key: task for key, task in asking.items() if not task.done()}
                if not keys:
                    await asyncio.sleep(IDLE_SECONDS)
        finally:
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)

    async def begin(self, cache: Cache) -> None:
        """Ask the pods of a cache for the first time: an operator that takes over knows at once what they have done."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                keys = self._at_work((cache,))
                await asyncio.gather(*(self._ask_all(key) for key in keys), return_exceptions=True)

    def of(self, key: str) -> Mapping[str, PodTold]:
        """What the pods of a tournament have told, by their names."""
        words = self._words.get(key)
        if words is None:
            return {}
        self._prune(key)
        return dict(words.pods)

    def rates_of(self, key: str, graph: Graph, observed: Observed) -> Rates | None:
        """How fast a tournament is, by what its pods have told up to now; None: none tells anything.

        Args:
            key: of the tournament.
            graph: of its manifest.
            observed: of this moment.
        """
        words = self._words.get(key)
        if words is None or words.at is None:
            return None
        silent = self.clock() - words.at > max(WINDOW_SECONDS, 3 * self._cycle)
        if silent or words.run != graph.run:
            words.begin_rates(graph.run)
        if silent:
            return None
        if words.noted != words.at:  # between two looks the counts of shards at work stand still
            words.noted = words.at
            words.rates.note(words.at, counts_of(graph, observed))
        return words.rates

    def _at_work(self, caches: Iterable[Cache]) -> list[str]:
        """The tournaments that have a pod to ask, in order."""
        owners = {pod.owner for cache in caches for pod in cache.pods.all() if pod.job}
        return sorted(key for key in owners if self._to_ask(key))

    def _to_ask(self, key: str) -> list[tuple[PodRecord, JobRecord]]:
        """The pods of a tournament that are at work, and their Jobs. Anybody sets labels: its Job controls such a pod.

        Those of a TrainJob are not asked: they are controlled by a Job that is not ours.
        """
        cache = self.caches.of(key)
        jobs = cache.jobs.of(key)
        pods = ((pod, jobs.get(pod.job)) for pod in cache.pods.of(key).values() if _answers(pod))
        return [(pod, job) for pod, job in pods if job is not None and pod.job_uid == job.uid]

    async def _ask_all(self, key: str) -> None:
        """Ask the pods of a tournament, some at a time."""
        words = self._words.setdefault(key, _Words())
        words.looks += 1
        due = [one for one in self._to_ask(key) if words.looks % _pause(words.silences[one[0].name]) == 0]
        answered = False
        for start in range(0, len(due), AT_ONCE):
            some = due[start : start + AT_ONCE]
            answers = await asyncio.gather(*(self._ask(words, pod, job) for pod, job in some))
            answered = answered or any(answers)
        if answered:
            self.changed(key)

    async def _ask(self, words: _Words, pod: PodRecord, job: JobRecord) -> bool:
        """Ask one pod, and keep what it says; whether it has told anything."""
        where = {"namespace": namespace_of(pod.owner), "pod": pod.name}
        try:
            async with self._free:
                progress = await self._read(pod.ip)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            words.silences[pod.name] += 1
            outcome = metrics.INVALID if isinstance(error, ValueError) else metrics.UNANSWERED
            metrics.PROGRESS_REQUESTS.labels(outcome).inc()
            log.debug("no progress", **where, error=type(error).__name__)  # its words would be the pod's
            return False
        except Exception as error:  # a fault of ours: others are asked all the same
            words.silences[pod.name] += 1
            log.error("progress cannot be read", **where, error=type(error).__name__, frames=frames_of(error))
            return False
        metrics.PROGRESS_REQUESTS.labels(metrics.ANSWERED).inc()
        del words.silences[pod.name]
        words.at = self.clock()
        words.pods[pod.name] = PodTold(job.name, job.uid, pod.index, progress)
        return True

    async def _read(self, ip: str) -> WorkerProgress:
        """What a pod says.

        Raises:
            ValueError: it is no progress.
        """
        assert self._session is not None
        url = URL.build(scheme="http", host=str(ip_address(ip)), port=PORT, path=PATH)
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError("no progress is reported there")
            body = await response.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES + 1 - len(body))):
                body += more
        if len(body) > MAX_BYTES:
            raise ValueError("it reports more than progress")
        return WorkerProgress.model_validate_json(body)

    def _prune(self, key: str) -> None:
        """Forget what was told of Jobs that are gone or have a result, and a tournament of which nothing is left."""
        words, cache = self._words[key], self.caches.of(key)
        jobs = cache.jobs.of(key).values()
        uids = {job.name: job.uid for job in jobs if job.terminal != "Complete" or job.result is None}
        for pod, one in list(words.pods.items()):
            if uids.get(one.job) != one.job_uid:
                del words.pods[pod]
        pods = cache.pods.of(key)
        for pod in [pod for pod in words.silences if pod not in pods]:
            del words.silences[pod]
        if cache.tournament(key) is None:
            self._words.pop(key, None)


def _pause(silences: int) -> int:
    """In how many looks a pod is asked once. The first silence is free: a worker may still be starting."""
    return int(2 ** min(max(0, silences - 1), MAX_SILENCES))


def _answers(pod: PodRecord) -> bool:
    return bool(pod.job and pod.ip) and pod.phase == "Running" and pod.exit_code is None
