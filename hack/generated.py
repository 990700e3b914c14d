"""Documents that are made from code: printed, written, or checked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def run(what: str, file: Path, text: Callable[[], str], source: str, command: str) -> int:
    """The command line of a generator.

    Args:
        what: a sentence for `--help`.
        file: where the document is kept.
        text: makes it.
        source: what it is made from, for the message where it is out of date.
        command: writes it, for the same message.

    Returns:
        An exit code: 1 where `--check` finds another text.
    """
    parser = argparse.ArgumentParser(description=what)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help=f"exit with 1 when {file.name} is not what it should be")
    action.add_argument("--write", action="store_true", help=f"write {file.name}")
    options = parser.parse_args()
    made = text()
    if options.write:
        file.write_text(made, encoding="utf-8")
    elif options.check:
        if not file.exists() or file.read_text(encoding="utf-8") != made:
            print(f"docs/{file.name} is not what {source} says; run: {command}", file=sys.stderr)
            return 1
    else:
        sys.stdout.write(made)
    return 0
