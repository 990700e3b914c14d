"""The exit codes of all commands; docs/running-on-one-machine.md has the table."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiltyard.sdk.status_document import Status


class Exit(IntEnum):
    """How a command ends."""

    DONE = 0
    FAILED = 1  # the tournament failed after all retries; or standard output cannot be written
    WRONG_INPUT = 2  # the manifest, the command line, a file or an endpoint is wrong
    NOT_COMPLETE = 3  # of `status`: the run is not complete, and no process works on it
    INTERRUPTED = 130  # by SIGINT, SIGTERM or SIGHUP
    CLOSED_PIPE = 141  # as a shell reports of a program that SIGPIPE ended


def exit_of(status: Status) -> Exit:
    """What `run` and `status` end with for a run as it is."""
    if any(each.type == "Failed" and each.status == "True" for each in status.conditions):
        return exit_of_failure(status.wrong_input)
    return Exit.NOT_COMPLETE if status.activity == "Interrupted" else Exit.DONE


def exit_of_failure(wrong_input: bool) -> Exit:
    """What a command ends with for a run that has failed, for what it was given or not."""
    return Exit.WRONG_INPUT if wrong_input else Exit.FAILED
