"""From a reference to a store: the scheme of its URI says which module opens it."""

from __future__ import annotations

from importlib import import_module

from tiltyard_jobs.contracts.stores import STORES, scheme_of
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store.base import Store


def open_store(ref: StoreRef) -> Store:
    """The store of a reference; nothing is read or written yet.

    Raises:
        ConfigurationError: it cannot be used; credentials are never taken from a reference, nor repeated.
    """
    facts = STORES.get(scheme_of(ref.uri))
    if facts is None:
        forms = " or ".join(one.form for one in STORES.values())
        raise ConfigurationError(f"The URI of a store must be {forms}.")
    # Only now: boto3 takes a third of a second to import, which a run in a folder need not pay.
    store: Store = import_module(f"tiltyard_jobs.store.{facts.module}").open_store(ref)
    return store
