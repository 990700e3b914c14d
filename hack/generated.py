"""Documents that are made from code: printed, written, or checked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def run(what: str, pages: Mapping[Path, Callable[[], str]], source: str, command: str) -> int:
    """The command line of a generator.

    Args:
        what: a sentence for `--help`.
        pages: where each document is kept, and what makes it.
        source: what they are made from, for the message where one is out of date.
        command: writes them, for the same message.

    Returns:
        An exit code: 1 where `--check` finds another text.
    """
    names = ", ".join(file.name for file in pages)
    parser = argparse.ArgumentParser(description=what)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help=f"exit with 1 when {names} are not what they should be")
    action.add_argument("--write", action="store_true", help=f"write {names}")
    options = parser.parse_args()
    code = 0
    for file, text in pages.items():
        made = text()
        if options.write:
            file.write_text(made, encoding="utf-8")
        elif not options.check:
            sys.stdout.write(made)
        elif not file.exists() or file.read_text(encoding="utf-8") != made:
            print(f"docs/{file.name} is not what {source} says; run: {command}", file=sys.stderr)
            code = 1
    return code
