"""The start and the end of a worker process.

    python -m tiltyard_jobs STAGE --task FILE [--index N] [--work-dir DIR] [--no-checkpoints]

Environment: `JOB_COMPLETION_INDEX` and `TILTYARD_WORK_DIR` stand in for options; `TILTYARD_SUMMARY` and
`TILTYARD_PROGRESS` name files to write; at `TILTYARD_POD_IP` the worker tells its progress; `TILTYARD_LOG_LEVEL` is a
level's name; `TILTYARD_NAMESPACE` stands on each line of the log. Exit codes: `tiltyard_jobs.errors`.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Mapping, Sequence

import structlog

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.logs import LOG_LEVEL_VARIABLE, NAMESPACE_VARIABLE, configure_logging, frames_of
from tiltyard_jobs.contracts.solo_tasks import SOLO_TASKS, SoloTask
from tiltyard_jobs.contracts.tasks import BundleTask
from tiltyard_jobs.shard.failures import Ending, ending_of
from tiltyard_jobs.shard.loading import load_bundle, load_solo
from tiltyard_jobs.shard.options import Options, parse_options
from tiltyard_jobs.shard.reporting import write_summary
from tiltyard_jobs.shard.worker import StageFunction, Worker
from tiltyard_jobs.stages import stage_function

log = structlog.get_logger(__name__)


def main(
    arguments: Sequence[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    stage_of: Callable[[str], StageFunction] = stage_function,
) -> int:
    """Run one index of a bundle, or a task that makes no artifact, and write the summary.

    Args:
        arguments: the command line; `sys.argv` by default.
        environment: the environment variables.
        stage_of: from a stage's name to its function, which takes a `ShardContext` and returns an `Outcome`; those of
            `contracts.solo_tasks.SOLO_TASKS` take a `TaskContext` and return a `Summary`. A test may give stages of
            its own.

    Returns:
        The exit code, see `contracts.exit_codes`; 1 where Tiltyard itself is at fault.
    """
    options = parse_options(arguments, environment)
    level = environment.get(LOG_LEVEL_VARIABLE, "INFO")
    namespace = environment.get(NAMESPACE_VARIABLE)
    where = {"namespace": namespace} if namespace else {}
    configure_logging("tiltyard_jobs", level, {**where, "stage": options.stage, "index": options.index})
    _raise_file_limit()
    worker = Worker(options, stage_of)
    try:
        task = _load(options)
        structlog.contextvars.bind_contextvars(tournament=task.tournament)
        if isinstance(task, BundleTask):
            shard = next((part.shard for part in task.indices[options.index]), None)  # that of all its parts
            structlog.contextvars.bind_contextvars(bundle=task.bundle, shard=shard)
        summary = asyncio.run(worker.run(task))
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:
        ending = ending_of(error)
        _log(ending)
        summary = worker.tally.summary(ending.exit_code, ending.message)
    else:
        log.info("complete", rows=summary.rows, reused=summary.reused, voids=summary.voids, requests=summary.requests)
    if options.summary is not None:
        write_summary(summary, options.summary)
    return summary.exit_code


def _load(options: Options) -> BundleTask | SoloTask:
    if options.stage in SOLO_TASKS:
        return load_solo(options.task, options.stage)
    return load_bundle(options.task, options.stage, options.index)


def _log(ending: Ending) -> None:
    if ending.exit_code == ExitCode.STOPPED:
        log.info("stopped")
        return
    details = {"frames": frames_of(ending.cause)} if ending.is_bug else {}
    log.error("failed", exit_code=ending.exit_code, message=ending.message, **details)
    if ending.is_bug:
        log.debug("the mistake's own words", error=str(ending.cause))


def _raise_file_limit() -> None:
    """A judge's index may hold a thousand parts open, and the usual soft limit is 1,024 descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
