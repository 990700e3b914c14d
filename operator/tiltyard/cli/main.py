"""`tiltyard COMMAND …`: from the command line to an exit code. The commands are in `grammar.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tiltyard.cli.exits import Exit
from tiltyard.cli.grammar import COMMANDS, parser
from tiltyard.cli.streams import flush, give_up, make_printable, sentence_of

__all__ = ["main", "parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        One of `Exit`.
    """
    make_printable()
    try:
        try:
            code = _main(sys.argv[1:] if arguments is None else arguments)
        finally:  # argparse ends the program where it has printed help
            flush()
        return code
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        give_up()
        return Exit.CLOSED_PIPE
    except OSError as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        give_up()
        print(sentence, file=sys.stderr)
        return Exit.FAILED


def _main(arguments: Sequence[str]) -> int:
    grammar = parser()
    if not arguments:
        grammar.print_help(sys.stderr)
        return Exit.WRONG_INPUT
    return _perform(grammar.parse_args(arguments))


def _perform(options: argparse.Namespace) -> int:
    # Late, so that Ctrl-C is answered with a sentence from here on, and each place needs its own packages alone.
    command = next(each for each in COMMANDS if each.name == options.command)
    function = command.function()
    from tiltyard.api import ManifestError
    from tiltyard.sdk.errors import UserError

    try:
        return function(options)
    except (ManifestError, UserError) as error:
        print(error, file=sys.stderr)
        return Exit.WRONG_INPUT
