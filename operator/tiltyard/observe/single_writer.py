"""Buckets in which one run at a time may write: which of the tournaments that share one goes first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from tiltyard.observe.records import JobRecord, PodRecord, TournamentRecord


def is_single_writer(record: TournamentRecord) -> bool:
    """Whether a tournament's bucket takes one writer at a time."""
    return bool(_bucket(record).get("singleWriter"))


def writer_in_front(record: TournamentRecord, tournaments: Iterable[TournamentRecord], active: Collection[str]) -> str:
    """The tournament that writes below the same URI, or is to do so before; empty: there is none.

    One that has begun goes on before one that has not, and else the older.

    Args:
        record: of the tournament that asks.
        tournaments: all.
        active: keys of the `writers`.
    """

    def turn(one: TournamentRecord) -> tuple[bool, tuple[str, str]]:
        return one.owner not in active, one.age

    first = min((one for one in tournaments if _is_in_question(one, record, active)), key=turn, default=record)
    return first.owner if turn(first) < turn(record) else ""


def writers(pods: Iterable[PodRecord], jobs: Iterable[JobRecord]) -> set[str]:
    """Keys of tournaments that write, or are about to: a Job has no pod yet when it is created."""
    under_way = (job for job in jobs if not (job.terminal or job.suspended or job.deleting))
    return {pod.owner for pod in pods if pod.is_there} | {job.owner for job in under_way}


def _is_in_question(one: TournamentRecord, record: TournamentRecord, active: Collection[str]) -> bool:
    """Whether a tournament writes, or wants to write, where another does."""
    return _overlap(_bucket(one), _bucket(record)) and (one.owner in active or not one.rests)


def _bucket(record: TournamentRecord) -> dict[str, Any]:
    found: dict[str, Any] = (record.document["spec"].get("output") or {}).get("s3") or {}
    return found


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether one is the other's folder, or lies below it."""
    if not one or not other or one.get("endpoint") != other.get("endpoint"):
        return False
    first, second = (f"{bucket.get('uri', '').rstrip('/')}/" for bucket in (one, other))
    return first.startswith(second) or second.startswith(first)
