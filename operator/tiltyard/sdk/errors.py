"""What is raised for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiltyard.sdk.status_document import Status


class UserError(Exception):
    """What the user can fix; its text is the sentence to show."""


class StoppedError(Exception):
    """The run was stopped before its end; its text says how to continue."""


class TournamentFailedError(Exception):
    """The tournament failed; its text says why.

    Attributes:
        status: what was written last, if anything was.
    """

    def __init__(self, message: str, status: Status | None = None) -> None:
        super().__init__(message)
        self.status = status
