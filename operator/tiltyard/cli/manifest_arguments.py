"""The arguments of the commands that write, check and explain a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from tiltyard.cli.arguments import add_output

PRINTED = ("Validation", "Plan", "Prompts", "Status", "Report", "Battles", "Export", "Comparison", "Calibration")
"""The kinds of documents that commands print; `schema.KINDS` has their models, which are imported late."""


def add_validate(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `tiltyard validate`."""
    command.add_argument(
        "manifests", type=Path, nargs="+", metavar="FILE", help="Tournaments, YAML, one in each; - is standard input"
    )
    add_output(command)


def add_init(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `tiltyard init`."""
    command.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=Path("tournament.yaml"),
        metavar="FILE",
        help="the manifest to write, which must not exist; - prints it (default: tournament.yaml)",
    )
    command.add_argument(
        "--template",
        choices=["simulated", "one-gpu", "endpoints", "cluster"],
        help="what to begin with; without it, the command asks",
    )
    command.add_argument("--name", metavar="NAME", help="the tournament's name (default: the template's)")
    command.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="URI",
        help="a competitor's model: hf://ORG/NAME, file:///PATH, or URL#MODEL for an endpoint; may be given more than"
        " once (default: the template's models)",
    )


def add_explain(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `tiltyard explain`."""
    command.add_argument(
        "path",
        nargs="?",
        default="",
        metavar="FIELD",
        help="such as spec.battles.verdict (default: the whole manifest)",
    )
    command.add_argument("--recursive", action="store_true", help="show all fields below it, without their texts")


def add_schema(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `tiltyard schema`."""
    command.add_argument(
        "kind",
        nargs="?",
        choices=["Tournament", *PRINTED],
        default="Tournament",
        metavar="KIND",
        help="Tournament (the manifest; the default), or what a command prints with -o json:"
        f" {', '.join(PRINTED[:-1])} or {PRINTED[-1]}",
    )
