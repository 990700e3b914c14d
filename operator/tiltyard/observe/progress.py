"""How far the shards of a Job are that are not complete, by what their pods have told.

What pods say is not trusted: no shard has more records than the plan gives it. A shard whose pod is gone stays as far
as it had come: its next pod takes over what was saved, and is shown once it is further.
"""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard.observe.records import JobRecord
from tiltyard.observe.results import TOKENS, is_at_work, parts_made
from tiltyard.observe.snapshot import Snapshot
from tiltyard.plan.graph import Bundle
from tiltyard.plan.observed import ShardSeen
from tiltyard.render.jobs import PREFLIGHT
from tiltyard_jobs.contracts.progress import Step, WorkerProgress


def shards_of(snapshot: Snapshot, job: JobRecord, bundle: Bundle, made: frozenset[int]) -> tuple[ShardSeen, ...]:
    """The shards of a Job that have told how far they are.

    Args:
        snapshot: with `Snapshot.told`.
        job: the Job.
        bundle: what it makes.
        made: the indices that are complete.
    """
    told: dict[int, list[WorkerProgress]] = {}
    at_work: dict[int, list[WorkerProgress]] = {}
    for name, one in snapshot.told.items():
        if one.job == job.name and one.index not in made and one.index < job.completions:
            told.setdefault(one.index, []).append(one.progress)
            if is_at_work(job, snapshot.pods.get(name)):
                at_work.setdefault(one.index, []).append(one.progress)
    found = []
    for index, words in sorted(told.items()):
        parts = parts_made(bundle, job.parts, frozenset({index}))
        if parts:
            most = _most_records(bundle, parts)
            found.append(ShardSeen(parts, within(_furthest(words, at_work.get(index, [])), most)))
    return tuple(found)


def within(told: WorkerProgress, most: int) -> WorkerProgress:
    """A worker's words, but no more than its shard can have.

    Args:
        told: its words.
        most: records of the shard; 0: it has none that are counted.
    """
    total = min(told.total, most) if most else told.total
    done = min(told.done, total)
    left, voids = done, {}
    for reason, count in sorted(told.voids.items()):
        voids[reason] = min(count, left)
        left -= voids[reason]
    return told.model_copy(
        update={
            "total": total,
            "done": done,
            "records": told.records and most > 0,
            "recalled": min(told.recalled, done),
            "asking": min(told.asking, total - done),
            "voids": voids,
            "cached_tokens": min(told.cached_tokens, told.prompt_tokens),
        }
    )


def step_of(snapshot: Snapshot) -> Step | None:
    """What preflight of this manifest checks now, as far as its pod has told."""
    for name, one in snapshot.told.items():
        job = snapshot.jobs.get(one.job)
        if job is None or (job.bundle, job.version) != (PREFLIGHT, snapshot.preflight):
            continue
        if is_at_work(job, snapshot.pods.get(name)):
            return one.progress.step
    return None


def _furthest(told: Iterable[WorkerProgress], at_work: Iterable[WorkerProgress]) -> WorkerProgress:
    """What the furthest pod of a shard has done, with what those at work do and cost now.

    What the others cost is counted with what has ended.
    """
    furthest, at_work = max(told, key=lambda one: one.done), list(at_work)
    now = {name: sum(getattr(one, name) for one in at_work) for name in ("asking", *TOKENS)}
    fresh = sum(one.fresh for one in at_work)
    return furthest.model_copy(update={**now, "recalled": max(0, furthest.done - fresh)})


def _most_records(bundle: Bundle, parts: Iterable[tuple[str, int]]) -> int:
    limits = {ref.key: (ref.shards, most) for ref, most in zip(bundle.makes, bundle.records, strict=True)}
    found = ((limits[key], number) for key, number in parts)
    return sum(most.last if number == shards - 1 else most.full for (shards, most), number in found)
