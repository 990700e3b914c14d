"""Data sets on the Hugging Face hub, through the package datasets."""

from __future__ import annotations

import importlib
from typing import Any

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.packages import missing


def hub_rows(
    what: str, repository: str, configuration: str | None, split: str | None, advice: str
) -> list[dict[str, Any]]:
    """The records of a data set on the Hugging Face hub.

    Args:
        what: begins the messages: the manifest's field and the name in it.
        repository: the data set's.
        configuration: of it; None: its only one.
        split: of it; None: all, in the order of their names.
        advice: ends the messages: what else to do.

    Raises:
        ConfigurationError: the package datasets is not installed, or the hub is out of reach.
    """
    try:
        package = importlib.import_module("datasets")
        splits = package.load_dataset(repository, configuration)
        return [dict(row) for name in sorted(splits) if split in (None, name) for row in splits[name]]
    except ModuleNotFoundError as error:
        raise missing(f"{what} comes from the Hugging Face hub", str(error.name), "datasets", advice) from error
    # The hub's client raises its own, its HTTP client's and the system's errors: all mean out of reach.
    except Exception as error:
        raise ConfigurationError(
            f"{what} cannot be read from the Hugging Face hub ({repository}: {type(error).__name__});"
            f" make it reachable, {advice}"
        ) from error
