"""What a complete run says of itself."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

from tiltyard_jobs.contracts.layout import manifest_key
from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.results.documents import Manifest
from tiltyard_jobs.store import Store


class FinishedRun(NamedTuple):
    """A run's manifest, and the bytes that it lies in the store as."""

    manifest: Manifest
    data: bytes


def finished_run(store: Store, run: str) -> FinishedRun | None:
    """A run's manifest; None where the run is not complete.

    Raises:
        PermanentError: what lies in its place is no manifest.
    """
    key = manifest_key(run)
    data = store.get(key)
    if data is None:
        return None
    try:
        return FinishedRun(Manifest.model_validate_json(data), data)
    except ValidationError:
        raise PermanentError(f"{key} in {store.place} is damaged; delete it and run again.") from None
