"""Tournaments that hold each other's room: the one that was created later gives its own back.

Each holds room for some of its pods and waits for more, so that neither goes on. The oldest never gives way: it goes
on in the end, and so does each after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tiltyard.observe.documents import seconds
from tiltyard.observe.kinds import TRAIN_JOBS
from tiltyard.observe.records import PodRecord, TournamentRecord
from tiltyard.observe.snapshot import Snapshot

STANDSTILL_SECONDS = 60.0
"""From the last change until a tournament that waits for room gives back what it holds."""
HOLD_SECONDS = 300.0
"""For so long it leaves that room to the other, unless that one ends before; the next time for twice as long."""
MOST_HOLD_SECONDS = 3600.0


@dataclass(frozen=True)
class Standstill:
    """A tournament that holds room, waits for more, and does nothing.

    Attributes:
        since: from when on, seconds since the epoch.
        gpus: kinds of GPUs that it holds.
    """

    since: float
    gpus: frozenset[str]


def standstill_of(snapshot: Snapshot) -> Standstill | None:
    """That of a tournament; None: something of it is running, or it holds nothing, or waits for nothing."""
    pods = [pod for pod in snapshot.pods.values() if pod.is_there]
    holding = [pod for pod in pods if pod.scheduled is not None]
    if not holding or not any(pod.fits_no_node for pod in pods):
        return None
    groups = defaultdict[tuple[str, str], list[PodRecord]](list)
    for pod in pods:
        groups[pod.group].append(pod)
    if any(_is_at_work(snapshot, members) for members in groups.values()):
        return None
    jobs, services = snapshot.jobs.values(), snapshot.services.values()
    if any(job.queued and not job.terminal for job in jobs):  # its queue decides who has room
        return None
    moments = [
        *(pod.created for pod in snapshot.pods.values()),
        *(pod.scheduled for pod in holding if pod.scheduled is not None),
        *(seconds(pod.ended) for pod in snapshot.pods.values() if pod.ended),
        *(job.finished for job in jobs if job.finished is not None),
        *(service.ready_since for service in services if service.ready_since is not None),
    ]
    return Standstill(max(moments), frozenset().union(*(pod.gpus for pod in holding)))


def _is_at_work(snapshot: Snapshot, pods: list[PodRecord]) -> bool:
    """Whether pods of one Job or model do something, or are about to."""
    placed = [pod.scheduled is not None for pod in pods]
    job = snapshot.jobs.get(pods[0].job)
    if pods[0].job and (job is None or job.kind is not TRAIN_JOBS):
        return any(placed)
    if job is not None:  # its nodes begin together
        return all(placed)
    return all(placed) and not any(one.ready and one.model == pods[0].model for one in snapshot.services.values())


def in_front(
    snapshot: Snapshot,
    standstill: Standstill,
    tournaments: Iterable[TournamentRecord],
    pods: Iterable[PodRecord],
    now: float,
) -> str:
    """The oldest tournament that waits for what this one holds, if it was created before; else empty.

    Args:
        snapshot: the tournament that stands still.
        standstill: its own.
        tournaments: all.
        pods: all.
        now: seconds since the epoch.
    """
    waiting = {
        pod.owner
        for pod in pods
        if pod.is_there
        and pod.fits_no_node
        and now - pod.created >= STANDSTILL_SECONDS
        and (not pod.gpus or pod.gpus & standstill.gpus)
    }
    meta = snapshot.tournament.metadata
    own = f"{meta.namespace}/{meta.name}"
    ages = {one.owner: one.age for one in tournaments}
    before = [age for key, age in ages.items() if key in waiting and own in ages and age < ages[own]]
    return min(before)[1] if before else ""


def hold_seconds(times: int) -> float:
    """For how long a tournament leaves its room to another that has given way so often."""
    return min(HOLD_SECONDS * 2.0 ** min(times - 1, 10), MOST_HOLD_SECONDS)


def next_time(times: int, since: float, now: float) -> int:
    """Which time it is that a tournament gives way: the first again, once it went on for an hour.

    Args:
        times: which time it was before.
        since: when that was, seconds since the epoch.
        now: likewise.
    """
    return times + 1 if now - since < hold_seconds(times) + MOST_HOLD_SECONDS else 1
