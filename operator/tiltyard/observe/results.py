"""What Jobs have made and what their pods have reported of it: from an annotation of the Job, or from the pods."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from pydantic import ValidationError

from tiltyard.observe.kinds import TRAIN_JOBS
from tiltyard.observe.records import JobRecord, PodRecord
from tiltyard.observe.snapshot import Snapshot
from tiltyard.plan.costs import Costs
from tiltyard.plan.graph import Bundle
from tiltyard.render.jobs import indices_of
from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.summary import Summary

LAST_WORDS_SECONDS = 10.0  # from a Job's end to its pods' termination messages, when the watches are slow
TOKENS: Final = ("prompt_tokens", "cached_tokens", "completion_tokens")
KEPT = 16384  # Jobs whose result is parsed once


def costs_of(snapshot: Snapshot, job: JobRecord, bundle: Bundle) -> Costs:
    """What a Job has cost and found: from its annotation, or else from its pods."""
    if job.result is not None and (written := _written_costs(job.result)) is not None:
        return written
    costs = Costs()
    for pod in snapshot.pods_of(job):
        if counts(job, pod) and (summary := summary_of(pod)) is not None:
            costs.add(bundle.stage, bundle.model, summary)
    for summary in last_words(snapshot, job):
        costs.add(bundle.stage, bundle.model, summary)
    return costs


def counts(job: JobRecord, pod: PodRecord) -> bool:
    """Whether what a pod has reported counts: that of a complete shard does once its Job says so too."""
    if pod.exit_code is None:
        return False
    return pod.exit_code != ExitCode.COMPLETE or job.kind is TRAIN_JOBS or pod.index in job.succeeded


def is_at_work(job: JobRecord, pod: PodRecord | None) -> bool:
    """Whether a pod's summary is still to come, or to count."""
    if pod is None:
        return False
    at_work = pod.exit_code is None and pod.phase in ("Pending", "Running")
    return at_work or (pod.exit_code == ExitCode.COMPLETE and not counts(job, pod))


def last_words(snapshot: Snapshot, job: JobRecord) -> Iterator[Summary]:
    """What pods that left no summary told last: a node was lost, or they were killed. What they cost was spent."""
    pods = {pod.name: pod for pod in snapshot.pods_of(job)}
    for name, told in snapshot.told.items():
        pod = pods.get(name)
        if told.job == job.name and not is_at_work(job, pod) and (pod is None or written_summary(pod) is None):
            cost = {field: getattr(told.progress, field) for field in TOKENS}
            yield Summary(exit_code=ExitCode.STOPPED, fresh=told.progress.fresh, **cost)


def preflight_result(snapshot: Snapshot, job: JobRecord) -> Summary | None:
    """What a preflight that passed has found: from its annotation, or else from its pod; None: neither is left."""
    if job.result is not None:
        try:
            return Summary.model_validate_json(job.result)
        except ValidationError:
            pass
    summaries = (summary_of(pod) for pod in reversed(snapshot.pods_of(job)))
    return next((summary for summary in summaries if summary is not None and summary.exit_code == 0), None)


def is_fully_reported(snapshot: Snapshot, job: JobRecord) -> bool:
    """Whether all is known of a complete Job: its pods' termination messages may arrive after its own end."""
    if job.result is not None:
        return True
    return len(reported_indices(snapshot, job)) >= job.completions


def reported_indices(snapshot: Snapshot, job: JobRecord) -> frozenset[int]:
    """The indices whose pods have reported that they are complete. Of a TrainJob the first node reports for all."""
    return frozenset(pod.index for pod in snapshot.pods_of(job) if pod.exit_code == 0 and pod.index < job.completions)


def may_still_report(job: JobRecord, now: float) -> bool:
    """Whether termination messages of a Job that has ended may still arrive."""
    return job.finished is None or now - job.finished < LAST_WORDS_SECONDS


def summary_of(pod: PodRecord) -> Summary | None:
    """A worker's termination message; None: it has not ended."""
    if pod.exit_code is None:
        return None
    return written_summary(pod) or Summary(exit_code=pod.exit_code)


def written_summary(pod: PodRecord) -> Summary | None:
    """A worker's termination message; None: it has not ended, or could not write one."""
    if pod.exit_code is None:
        return None
    try:
        return Summary.model_validate_json(pod.message).model_copy(update={"exit_code": pod.exit_code})
    except ValidationError:  # killed before it could write, or the end of its log
        return None


@lru_cache(maxsize=KEPT)
def _written_costs(result: str) -> Costs | None:
    """A Job's result from its annotation; None: somebody else has changed it."""
    try:
        return Costs.model_validate_json(result)
    except ValidationError:
        return None


@lru_cache(maxsize=KEPT)
def parts_made(bundle: Bundle, parts: str, succeeded: frozenset[int]) -> tuple[tuple[str, int], ...]:
    """The parts that a Job's complete indices have made, as (artifact key, shard)."""
    try:
        indices = indices_of(bundle, parts)
    except ValueError:  # somebody else has changed the annotation: its parts are found by workers that come after
        return ()
    return tuple(
        (bundle.makes[part.recipe].key, part.shard)
        for index in sorted(succeeded)
        if index < len(indices)
        for part in indices[index]
    )
