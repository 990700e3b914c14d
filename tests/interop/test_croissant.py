"""The Croissant metadata of a run's folder, checked and read by its authors' own package."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

mlcroissant = pytest.importorskip("mlcroissant", reason="needs the interpreter of `python hack/envs.py interop`")

# Equal replies give equal bytes, so there is no date; a version would say no more than the run's name.
NOT_THERE = {"citeAs", "datePublished", "version"}


def test_the_metadata_is_valid_and_leads_to_every_row(outputs: Path) -> None:
    (path,) = outputs.glob("runs/*/croissant.json")
    files = {file["path"]: file for file in json.loads((path.parent / "manifest.json").read_text())["files"]}
    read = mlcroissant.Dataset(jsonld=str(path))  # raises on what is not valid
    issues = read.metadata.ctx.issues
    assert not issues.errors
    recommended = [re.search(r"/(\w+)\" is recommended", warning) for warning in issues.warnings]
    assert {found[1] for found in recommended if found} == NOT_THERE
    assert len(issues.warnings) == len(NOT_THERE)
    assert {"sft", "preference", "instructions", "answers"} <= {records.id for records in read.metadata.record_sets}
    for records in read.metadata.record_sets:
        (source,) = {
            field.source.file_object or field.source.file_set for field in records.fields if not field.sub_fields
        }
        rows = list(read.records(records.id))
        assert len(rows) == files[source]["rows"], records.id
        names = [f"{records.id}/{name}" for name in pq.read_schema(path.parent / source).names]
        assert list(rows[0]) == names
    (conversation,) = {str(type(row["sft/messages"])) for row in read.records("sft")}
    assert "list" in conversation
