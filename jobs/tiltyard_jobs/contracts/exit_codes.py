"""How a worker's process ends, in the one number that its owner acts upon: `podFailurePolicy`, or the local runner."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `python -m tiltyard_jobs`. Any other is a crash, and is retried as a transient error is."""

    COMPLETE = 0
    CONFIGURATION = 2  # the manifest, a secret or an endpoint is wrong: no retry can help
    PERMANENT = 3  # this shard cannot be made
    TRANSIENT = 75  # the world failed (EX_TEMPFAIL of sysexits.h): retried, work so far is kept
    STOPPED = 143  # by SIGTERM: retried, and no failure


FINAL = frozenset({ExitCode.CONFIGURATION, ExitCode.PERMANENT})
"""Failures that no retry can mend."""
