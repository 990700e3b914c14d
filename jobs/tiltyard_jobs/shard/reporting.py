"""What a shard leaves at its end."""

from __future__ import annotations

from pathlib import Path

import structlog

from tiltyard_jobs.contracts.summary import Summary

log = structlog.get_logger(__name__)


def write_summary(summary: Summary, path: Path) -> None:
    """Write the summary in place, not by a rename: a pod's termination message is a mounted file.

    Never raises: the exit code says what matters most.
    """
    try:
        path.write_text(summary.to_message(), encoding="utf-8")
    except OSError as error:
        log.warning("summary not written", path=str(path), error=error.strerror)
