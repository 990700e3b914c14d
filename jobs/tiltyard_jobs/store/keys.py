"""Which keys are allowed: the same in every store, so that a tournament in a folder can move to S3 and back.

A key is a path below the store's root that cannot leave it. Keys are made by `tiltyard_jobs.contracts.layout`, never by
a user or a model, so a key that breaks these rules is a bug and raises ValueError.
"""

from __future__ import annotations

import re

TEMPORARY = ".tmp-"  # how names of half-written files begin: no key has such a segment, and no listing shows one

_MAX_KEY = 900  # bytes; S3 allows 1,024 for the root's prefix and the key together
_MAX_SEGMENT = 255  # bytes; the longest file name of common file systems
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")  # control characters, and what is a separator elsewhere


def check_key(key: str) -> str:
    """Return `key`, a '/'-separated path of ordinary names.

    Raises:
        ValueError: it is empty, absolute, too long, or a segment is empty, `.`, `..`, a temporary name, or not text.
    """
    if _size(key) > _MAX_KEY:
        raise ValueError(f"key {key[:80]!r}… is longer than {_MAX_KEY} bytes")
    for segment in key.split("/"):
        if not is_segment(segment):
            raise ValueError(f"key {key!r} has the segment {segment!r}, which is not allowed")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix`, the beginning of keys: nothing, or whole segments and then a part of one, which may be empty.

    Raises:
        ValueError: no key can begin so.
    """
    folder, _, _ = prefix.rpartition("/")
    if prefix.startswith("/") or _size(prefix) < 0:
        raise ValueError(f"prefix {prefix!r} is not the beginning of a key")
    if folder:
        check_key(folder)
    return prefix


def is_segment(name: str) -> bool:
    """Whether `name` can be one part of a key; what else lies in a folder is not ours, and is not listed."""
    return (
        name not in ("", ".", "..")
        and not name.startswith(TEMPORARY)
        and not _FORBIDDEN.search(name)
        and 0 <= _size(name) <= _MAX_SEGMENT
    )


def _size(text: str) -> int:
    """Bytes in UTF-8, or -1 for what is no text (a lone surrogate, from a file name of another encoding)."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return -1
