"""The Tournaments of `examples/`, and what each becomes for a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "examples"
EXAMPLES = [*sorted(FOLDER.glob("*.yaml")), FOLDER / "gitops" / "base" / "tournament.yaml"]
S3 = {"uri": "s3://bucket", "secretRef": {"name": "bucket-key"}, "caBundleRef": {"name": "ca", "key": "ca.crt"}}


def for_cluster(example: Path) -> dict[str, Any]:
    """An example's manifest; what it reads from one machine is where a cluster can read it."""
    document: dict[str, Any] = yaml.safe_load(example.read_text())
    spec = document["spec"]
    spec.setdefault("output", {"s3": S3})
    if given := spec["instructions"].get("from"):
        given["uri"] = "s3://bucket/prompts.jsonl"
    for competitor in spec["competitors"]:
        if answers := competitor.get("answers"):
            answers["uri"] = "s3://bucket/answers.jsonl"
        if competitor.get("model", {}).get("uri", "").startswith("file://"):
            competitor["model"]["uri"] = f"hf://org/{competitor['name']}"
    return document
