"""`tiltyard completion`: a script with which a shell completes commands, options, words and files."""

from __future__ import annotations

import argparse
import sys

from tiltyard.cli.grammar import parser
from tiltyard.sdk.errors import UserError


def completion(options: argparse.Namespace) -> int:
    """Print the script."""
    sys.stdout.write(script(options.shell))
    return 0


def script(shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`.

    Raises:
        UserError: the package that makes it is missing.
    """
    try:
        import shtab
    except ImportError:
        raise UserError('completion needs one more package: pip install "tiltyard[local]"') from None
    grammar = parser()
    (commands,) = (each for each in grammar._actions if isinstance(each, argparse._SubParsersAction))
    for command in commands.choices.values():
        for action in command._actions:
            if action.metavar in ("FILE", "OTHER", "PATH"):
                setattr(action, "complete", shtab.FILE)  # noqa: B010  # shtab's own way: argparse knows no such field
            elif action.metavar == "DIR":
                setattr(action, "complete", shtab.DIRECTORY)  # noqa: B010
    return shtab.complete(grammar, shell=shell)
