"""A try that came to nothing."""

from __future__ import annotations

import math

from tiltyard_jobs.llm.transport import LONGEST_RETRY_AFTER

ADVICE = "check that the model is running"
"""What to do about a server that does not answer."""


class Unanswered(Exception):
    """One try came to nothing and may be repeated.

    Attributes:
        told_to_wait: it is no failure of the request.
        retry_after: seconds that the server asks to wait.
        advice: what to do where nothing else came.
        broken_at: when a server that had taken the request broke off or reported an error of its own; else infinity.
        words: the server's own, cut and escaped.
    """

    def __init__(
        self,
        what: str,
        *,
        told_to_wait: bool = False,
        retry_after: float | None = None,
        broken_at: float = math.inf,
        words: str = "",
        advice: str = "",
    ) -> None:
        super().__init__(what)
        self.told_to_wait = told_to_wait
        self.retry_after = retry_after
        self.broken_at = broken_at
        self.words = words
        self.advice = advice or ADVICE


def silence(url: str, seconds: float, last: Unanswered | None) -> str:
    """That an endpoint has not answered in so many seconds, and how the last try came to nothing."""
    if last is None:
        return f"{url} did not answer within {seconds:.0f} s"
    if not last.retry_after:
        return f"{url} gave no answer within {seconds:.0f} s (last: {last})"
    longer = " or more" if last.retry_after >= LONGEST_RETRY_AFTER else ""
    wait = f"it asks to wait for {last.retry_after:.0f} s{longer}"
    return f"{url} gave no answer within {seconds:.0f} s (last: {last}; {wait})"
