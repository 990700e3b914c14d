"""Downloads that are kept on this machine: one of a fixed content is fetched once.

They lie in `$TILTYARD_CACHE`, else in `tiltyard/downloads` below `$XDG_CACHE_HOME` or `~/.cache`, each under the digest
of its content or of the address that fixes it. A file appears there whole, by a rename, so that processes at the same
time do not disturb one another; nothing is ever deleted but by the user, who may delete all of it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.download import address_of

_COMMIT = re.compile(r"hf://datasets/[^/]+/[^/@]+@[0-9a-f]{40}/")


def folder() -> Path | None:
    """Where downloads are kept; None where nobody's home is known here."""
    try:
        if chosen := os.environ.get("TILTYARD_CACHE"):
            return Path(chosen).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiltyard/downloads"
    except RuntimeError:
        return None


def kept_at(source: LocatedFile) -> Path | None:
    """Where a download is kept, if it is there or not; None for one whose content may be another tomorrow."""
    place = folder()
    if place is None:
        return None
    if source.sha256 is not None:
        return place / source.sha256
    if _COMMIT.match(source.uri):
        return place / f"at-{digest(address_of(source.uri).encode())}"
    return None


def made_folder() -> Path | None:
    """The folder; None where none can be made here, so that nothing is kept."""
    place = folder()
    if place is None:
        return None
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return place if os.access(place, os.W_OK) else None
