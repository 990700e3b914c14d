"""`tiltyard schema`: JSON schemas of the manifest, for editors, and of what the commands print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from tiltyard.api.base import ApiModel
from tiltyard.api.tournament import KIND, Tournament
from tiltyard.sdk.documents import Battles, Calibration, Comparison, Export, Prompts, Report, Validation
from tiltyard.sdk.plan_document import Plan
from tiltyard.sdk.status_document import Status

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS: Mapping[str, type[ApiModel]] = {
    model.__name__: model
    for model in (Validation, Plan, Prompts, Status, Report, Battles, Export, Comparison, Calibration)
}
"""The documents that commands print, by their kind."""


def schema(options: argparse.Namespace) -> int:
    """Print the schema of a kind."""
    sys.stdout.write(schema_text(options.kind))
    return 0


def schema_text(kind: str) -> str:
    """A kind's JSON schema as the text of a file."""
    return json.dumps(schema_of(kind), indent=1, ensure_ascii=False) + "\n"


def schema_of(kind: str) -> dict[str, Any]:
    """A kind's JSON schema.

    That of the manifest knows each field with its type, and not the rules across fields: `tiltyard validate` does.
    """
    if kind != KIND:
        found = KINDS[kind].model_json_schema()
        required = ["apiVersion", "kind", *found.get("required", [])]
    else:
        found = Tournament.model_json_schema()
        required = ["apiVersion", "kind", "metadata", "spec"]
    return {"$schema": DIALECT, **_without_marks(found), "required": required}


def _without_marks(node: Any) -> Any:
    """A schema without what only a cluster reads."""
    if isinstance(node, dict):
        return {key: _without_marks(value) for key, value in node.items() if not _is_mark(key)}
    return [_without_marks(item) for item in node] if isinstance(node, list) else node


def _is_mark(key: str) -> bool:
    return key.startswith(("x-kubernetes-", "x-tiltyard-"))
