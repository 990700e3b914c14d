"""The store: where artifacts live. One small interface over a folder and over S3.

Keys are relative, '/'-separated, and made by `tiltyard_jobs.contracts.layout` alone (`store.keys` has the rules; a key
that breaks them raises ValueError). No key may be a folder of another: `a` and `a/b` cannot both be there. A put is
atomic: a reader sees the whole object or none. Errors are `tiltyard_jobs.errors`: ConfigurationError (no bucket, wrong
credentials, no permission), TransientError (500s, time-outs, cut connections: after the store's own retries),
PermanentError (an object whose bytes do not match their digest). A store may be used by many threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from tiltyard_jobs.errors import PermanentError

PIECE = 1 << 20  # bytes in memory at a time when a file is moved


class ObjectInfo(NamedTuple):
    """One stored object: its key relative to the store's root, and its size in bytes."""

    key: str
    size: int


class Store(Protocol):
    """A flat space of named byte objects below one root URI."""

    @property
    def uri(self) -> str:
        """The root, without credentials: `file:///abs/path` or `s3://bucket/prefix`."""
        ...

    @property
    def place(self) -> str:
        """The root as people write it: the path of a folder, or `s3://bucket/prefix`."""
        ...

    def get(self, key: str) -> bytes | None:
        """The object's bytes, checked against the store's own checksum where it has one; None where there is none."""
        ...

    def get_file(self, key: str, path: Path, *, sha256: str | None) -> None:
        """Download to `path` in pieces (memory does not grow with size), verifying `sha256` (hex) of the whole.

        Where the digest is not known, None.

        Raises:
            PermanentError: there is no such object, or its bytes have another digest; nothing is at `path` then.
            OSError: `path` cannot be written.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write atomically, replacing what is there."""
        ...

    def put_new(self, key: str, data: bytes) -> bool:
        """Write only where nothing is (`If-None-Match: *`); False where something is already. Atomic between writers.

        A put that the store itself repeats after a lost reply, and that then meets its own object, counts as written:
        True. Of several writers, even of the same bytes, exactly one gets True.
        """
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Upload a file in pieces (memory does not grow with size); atomic, replacing what is there."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, sorted by key."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; no error where there is none."""
        ...

    def check(self) -> None:
        """Preflight: the root can be written, read and listed, and `put_new` is honoured.

        Raises:
            ConfigurationError: a sentence that says what cannot be done and what to change.
            TransientError: the store answers, but with failures that may pass.
        """
        ...

    def close(self) -> None:
        """Give back connections; the store is not used afterwards."""
        ...


def digest_mismatch(uri: str, key: str, *, wanted: str, found: str) -> PermanentError:
    """The error for an object whose bytes are not those that were written: damaged, or cut short."""
    return PermanentError(
        f"{key!r} in {uri} is damaged or cut short: its SHA-256 is {found}, not {wanted}; "
        "delete it, so that it is recomputed."
    )
