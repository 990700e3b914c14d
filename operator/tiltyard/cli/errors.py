"""What the commands raise for people."""

from __future__ import annotations


class UserError(Exception):
    """What the user can fix; its text is the sentence to show."""
