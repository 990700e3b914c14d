"""Croissant metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0) of a run's folder.

It lies beside the dataset card and names the same tables, with their digests, their columns and what these mean. It has
no date of publication: equal replies give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tiltyard_jobs.results.documents import ManifestFile

_CR = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _CR},
}


class DescribedTable(NamedTuple):
    """A table of the run's folder.

    Attributes:
        name: of the configuration.
        file: as the run's manifest has it.
        schema: its columns.
        about: what one row is.
        meanings: of its columns, as far as they are known.
    """

    name: str
    file: ManifestFile
    schema: pa.Schema
    about: str
    meanings: Mapping[str, str]


def croissant(tournament: str, run: str, licenses: Sequence[str], tables: Sequence[DescribedTable]) -> str:
    """The document.

    Args:
        tournament: its name.
        run: 12 hex digits.
        licenses: as on the dataset card.
        tables: that have rows.
    """
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{tournament}-{run}",
        "description": f"Training data made by the tournament of language models {tournament}, run {run}, with Tiltyard"
        " after WarriorCoder (arXiv 2412.17395).",
        "license": list(licenses),
        "keywords": ["tiltyard", "synthetic", "instruction-tuning", "preference"],
        "distribution": [_file(table) for table in tables],
        "recordSet": [_records(table) for table in tables],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _file(table: DescribedTable) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": table.file.path,
        "name": table.file.path,
        "contentUrl": table.file.path,
        "contentSize": f"{table.file.size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": table.file.sha256,
    }


def _records(table: DescribedTable) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.about,
        "field": [_field(table, kind) for kind in table.schema],
    }


def _field(table: DescribedTable, kind: pa.Field[Any]) -> dict[str, Any]:
    source: dict[str, Any] = {"fileObject": {"@id": table.file.path}, "extract": {"column": kind.name}}
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{table.name}/{kind.name}", "name": kind.name}
    if kind.name in table.meanings:
        field["description"] = table.meanings[kind.name]
    if not pa.types.is_list(kind.type):
        return field | {"dataType": _data_type(kind.type), "source": source}
    if not pa.types.is_struct(kind.type.value_type):
        return field | {"repeated": True, "dataType": _data_type(kind.type.value_type), "source": source}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{table.name}/{kind.name}/{part.name}",
            "name": part.name,
            "dataType": _data_type(part.type),
            "source": source | {"transform": {"jsonPath": part.name}},
        }
        for part in kind.type.value_type
    ]
    return field | {"repeated": True, "subField": parts}


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
