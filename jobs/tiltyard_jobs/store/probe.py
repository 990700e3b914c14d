"""Preflight of a store: do with one small object all that a tournament will do with thousands."""

from __future__ import annotations

import secrets
from contextlib import suppress

from tiltyard_jobs.errors import ConfigurationError, JobError, PermanentError
from tiltyard_jobs.store.base import Store

_UNCONDITIONAL = (
    "conditional writes (If-None-Match: *) are not supported, so two runs at the same time would replace each other's "
    "results, and what was made from these would be recomputed; use a server that supports them, as AWS S3 does, or "
    "set output.s3.singleWriter to true and see that only one run at a time writes there"
)


def probe(store: Store) -> None:
    """Write, read, list, put again without replacing, delete.

    Raises:
        ConfigurationError: one of these is refused, or does not do what it says.
        TransientError: the store answers with failures that may pass.
    """
    # A name of its own: several preflights may look at one root at the same time.
    key = f"preflight/{secrets.token_hex(8)}"
    absent = f"{key}-absent"
    first, second = b"tiltyard preflight, first\n", b"tiltyard preflight, second\n"
    store.put(key, first)
    try:
        _expect(store.get(key) == first, store, "what was written is not what is read back")
        _expect(store.get(absent) is None, store, "an object that was never written is there")
        listed = [info.key for info in store.list(key)]
        _expect(listed == [key], store, "an object that was written is not listed")
        try:
            refused = not store.put_new(key, second)
        except (ConfigurationError, PermanentError) as error:  # though a write without the condition was taken
            raise _refused(store, f"{_UNCONDITIONAL} ({str(error).rstrip('.')})") from error
        _expect(refused and store.get(key) == first, store, _UNCONDITIONAL)
        store.delete(key)
        _expect(store.get(key) is None, store, "an object that was deleted is still there")
    except BaseException:
        with suppress(JobError):
            store.delete(key)
        raise


def _expect(condition: bool, store: Store, failure: str) -> None:
    if not condition:
        raise _refused(store, failure)


def _refused(store: Store, failure: str) -> ConfigurationError:
    return ConfigurationError(f"{store.place} cannot hold a tournament: {failure}.")
