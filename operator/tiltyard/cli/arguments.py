"""What the arguments of several commands have in common: their types, and those that many commands take."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

EXAMPLES = "examples:\n"


class Formatter(argparse.HelpFormatter):
    """Wraps texts as ever, and keeps the lines of examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if EXAMPLES in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviated options: a new option never changes what an old call means."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": Formatter, **given})

    def _print_message(self, message: str, file: Any = None) -> None:
        """As argparse does, which keeps it to itself if this fails."""
        print(message, end="", file=file or sys.stderr)


def add_manifest(command: argparse.ArgumentParser) -> None:
    """FILE."""
    command.add_argument("manifest", type=Path, metavar="FILE", help="the Tournament, YAML; - is standard input")


def add_state(command: argparse.ArgumentParser) -> None:
    """`--state`."""
    command.add_argument("--state", type=Path, metavar="DIR", help="logs and unfinished work (default: .tiltyard/NAME)")


def add_place(command: argparse.ArgumentParser) -> None:
    """`--out` and `--state`."""
    command.add_argument(
        "--out",
        type=_place_of_results,
        metavar="DIR",
        help="a folder for the results instead of spec.output, or a bucket: s3://BUCKET/PREFIX, on the server of"
        " spec.output, or else of AWS's own variables",
    )
    add_state(command)


def add_output(command: argparse.ArgumentParser) -> None:
    """`-o`, `-q` and `-v`."""
    command.add_argument(
        "-o",
        "--output",
        choices=["table", "json", "yaml"],
        default="table",
        help="the form of the result on standard output (default: table); `tiltyard schema` has the schemas",
    )
    amount = command.add_mutually_exclusive_group()
    amount.add_argument("-q", "--quiet", action="store_true", help="print nothing but the result and what is wrong")
    amount.add_argument("-v", "--verbose", action="store_true", help="print details, too")


def named_path(text: str) -> tuple[str, str]:
    """`BENCHMARK=PATH`."""
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise argparse.ArgumentTypeError(f"must be BENCHMARK=PATH, given {text}")
    return name, path


def namespace(text: str) -> str:
    """A namespace of Kubernetes."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"must be a DNS label of at most 63 characters (a-z, 0-9, -), given {text}")
    return text


def positive(text: str) -> int:
    """An integer of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, given {text}")
    return number


def _place_of_results(text: str) -> Path | str:
    scheme, colon, rest = text.partition(":")
    if not colon or not rest.startswith("/") or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return Path(text)
    if scheme == "file" and rest.startswith("///"):
        return Path(unquote(rest[2:]))
    if scheme == "s3" and re.fullmatch(r"//[A-Za-z0-9][A-Za-z0-9._-]{1,254}(/[^\s?#]*)?", rest):
        return text
    raise argparse.ArgumentTypeError(f"must be a folder, file:///PATH or s3://BUCKET/PREFIX, given {text}")
