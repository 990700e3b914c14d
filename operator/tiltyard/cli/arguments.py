"""What the arguments of several commands have in common: their types, and those that many commands take."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
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

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but nothing may be left: the command itself knows what was meant."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}{self._meant(left)}")
        return found, left

    def _meant(self, left: Sequence[str]) -> str:
        """The option that is probably meant by the first unknown one, of those that take the value given."""
        place = next((place for place, one in enumerate(left) if one.startswith("-")), None)
        if place is None:
            return ""
        name, equals, value = left[place].partition("=")
        given = value if equals else next(iter(left[place + 1 :]), "-")
        options = self._option_string_actions
        able = [one for one in options if given.startswith("-") or given in (options[one].choices or [given])]
        return did_you_mean(name.replace("_", "-"), able)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(str(value), map(str, action.choices or ()))
            if action.dest == "output" and "--out" in self._option_string_actions:
                error.message += "; a folder for the results is given with --out"
            raise

    def _print_message(self, message: str, file: Any = None) -> None:
        """As argparse does, which keeps it to itself if this fails."""
        print(message, end="", file=file or sys.stderr)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`, did you mean …?` with the known word that is probably meant; nothing where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f", did you mean {close[0]}?" if close else ""


def add_manifest(command: argparse.ArgumentParser) -> None:
    """FILE."""
    command.add_argument(
        "manifest", type=Path, metavar="FILE", help="the Tournament's YAML file; - reads standard input"
    )


def add_state(command: argparse.ArgumentParser) -> None:
    """`--state`."""
    command.add_argument("--state", type=Path, metavar="DIR", help="logs and unfinished work (default: .tiltyard/NAME)")


def add_place(command: argparse.ArgumentParser) -> None:
    """`--out` and `--state`."""
    command.add_argument(
        "--out",
        type=place_of_results,
        metavar="DIR",
        help="a folder for the results instead of spec.output, or a bucket: s3://BUCKET/PREFIX, on the server that"
        " spec.output names, or else AWS_ENDPOINT_URL_S3",
    )
    add_state(command)


def add_prices(command: argparse.ArgumentParser) -> None:
    """`--prices`."""
    command.add_argument(
        "--prices", type=Path, metavar="FILE", help="prices in YAML, as in spec.prices, instead of the manifest's"
    )


def add_output(command: argparse.ArgumentParser) -> None:
    """`-o`, `-q` and `-v`."""
    command.add_argument(
        "-o",
        "--output",
        choices=["table", "json", "yaml"],
        default="table",
        help="the format of the result on standard output (default: table); `tiltyard schema` has the schemas",
    )
    amount = command.add_mutually_exclusive_group()
    amount.add_argument("-q", "--quiet", action="store_true", help="print only the result and what is wrong")
    amount.add_argument("-v", "--verbose", action="store_true", help="also print details")


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


def place_of_results(text: str) -> Path | str:
    """A folder, or a bucket as s3://BUCKET/PREFIX."""
    scheme, colon, rest = text.partition(":")
    if not colon or not rest.startswith("/") or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return Path(text)
    if scheme == "file" and rest.startswith("///"):
        return Path(unquote(rest[2:]))
    if scheme == "s3" and re.fullmatch(r"//[A-Za-z0-9][A-Za-z0-9._-]{1,254}(/[^\s?#]*)?", rest):
        return text
    raise argparse.ArgumentTypeError(f"must be a folder, file:///PATH or s3://BUCKET/PREFIX, given {text}")
