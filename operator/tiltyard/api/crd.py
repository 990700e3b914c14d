"""The CustomResourceDefinition, made from the models: `python -m tiltyard.api.crd [--check | --write] [FILE]`.

Without an option it prints the CRD. FILE is the chart's copy, the only one that is kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tiltyard.api.status import UNSEEN
from tiltyard.api.structural import structural
from tiltyard.api.tournament import GROUP, KIND, VERSION, Tournament

CHART_FILE = Path("charts/tiltyard/files/tournaments.tiltyard.dev.yaml")
_HEADER = "# Generated from the models in tiltyard.api by `python -m tiltyard.api.crd --write`; do not edit.\n"

_READY = '.status.conditions[?(@.type=="Ready")].reason'
_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "string", ".status.progress", 0),
    ("Records", "string", ".status.records", 0),
    ("Leader", "string", ".status.leaderboard[0].name", 0),
    ("ETA", "string", ".status.eta", 1),  # kubectl prints a date as the time since, and one to come as <invalid>
    ("Records/s", "string", '.status.stages[?(@.state=="Running")].recordsPerSecond', 1),  # the first of them
    ("Tokens/s", "string", ".status.usage.completionTokensPerSecond", 1),
    ("Queue", "string", r".metadata.labels.kueue\.x-k8s\.io/queue-name", 1),
    ("Reason", "string", _READY, 1),
    ("Suspended", "boolean", ".spec.suspend", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as a Kubernetes object."""
    schema = Tournament.model_json_schema()
    # The API server has a schema of its own for these; what the models know of metadata is for files.
    schema["properties"] |= {name: {"type": "string"} for name in ("apiVersion", "kind")}
    schema["properties"]["metadata"] = {"type": "object"}
    schema["required"] = ["spec"]
    schema = structural(schema)
    # kstatus takes an object without conditions for current; it waits where the generation is not observed.
    schema["properties"]["status"] |= {"default": {"observedGeneration": UNSEEN}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"tournaments.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": "tournaments",
                "singular": "tournament",
                "shortNames": ["tt"],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def crd_text() -> str:
    """The CRD as the text of its file."""
    return _HEADER + yaml.dump(
        custom_resource_definition(),
        Dumper=_PlainDumper,
        sort_keys=False,
        width=120,
        allow_unicode=True,
        default_flow_style=None,  # what holds no collection stands on one line: a fifth fewer bytes
    )


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: defaults and patterns that occur twice are written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, or 1 where `--check` finds that the file is not what the models say."""
    parser = argparse.ArgumentParser(prog="python -m tiltyard.api.crd", description="The CRD, made from the models.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="exit with 1 when FILE is not what the models say")
    action.add_argument("--write", action="store_true", help="write FILE")
    parser.add_argument("file", nargs="?", type=Path, default=CHART_FILE, help=f"default: {CHART_FILE}")
    options = parser.parse_args(arguments)
    text = crd_text()
    if options.write:
        options.file.parent.mkdir(parents=True, exist_ok=True)
        options.file.write_text(text, encoding="utf-8")
    elif options.check:
        if not options.file.exists() or options.file.read_text(encoding="utf-8") != text:
            command = "python -m tiltyard.api.crd --write"
            command += f" {options.file}" if options.file != CHART_FILE else ""
            print(f"{options.file} is not what the models say; run: {command}", file=sys.stderr)
            return 1
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
