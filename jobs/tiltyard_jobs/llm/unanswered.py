"""A try that came to nothing."""

from __future__ import annotations

import math


class Unanswered(Exception):
    """One try came to nothing and may be repeated.

    Attributes:
        told_to_wait: it is no failure of the request.
        retry_after: seconds that the server asks to wait.
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
    ) -> None:
        super().__init__(what)
        self.told_to_wait = told_to_wait
        self.retry_after = retry_after
        self.broken_at = broken_at
        self.words = words
