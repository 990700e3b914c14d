"""Which release of Tiltyard this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str | None:
    """As it is installed; None: it is a checkout that is not."""
    try:
        return version("tiltyard")
    except PackageNotFoundError:
        return None
