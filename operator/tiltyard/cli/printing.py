"""Where a command prints what: its result on standard output, all else on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from tiltyard.api.base import ApiModel


@dataclass(frozen=True)
class Printer:
    """What one call of a command prints.

    Attributes:
        form: of the result: `table`, `json` or `yaml`.
        quiet: nothing is printed but the result and what is wrong.
        verbose: details are printed, too.
    """

    form: str = "table"
    quiet: bool = False
    verbose: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> Printer:
        """As the options say."""
        return cls(options.output, options.quiet, options.verbose)

    @property
    def for_people(self) -> bool:
        """Whether the result is a table."""
        return self.form == "table"

    def result(self, document: ApiModel, as_table: Callable[[], None]) -> None:
        """The result, in the form that was asked for."""
        if self.form == "table":
            as_table()
        else:
            sys.stdout.write(as_text(document, self.form))

    def note(self, sentence: str) -> None:
        """What helps, but is no result."""
        if not self.quiet:
            print(sentence, file=sys.stderr)

    def detail(self, sentence: str) -> None:
        """What only those want to know who look for the cause of something."""
        if self.verbose:
            print(sentence, file=sys.stderr)


def as_text(document: ApiModel, form: str) -> str:
    """A document as JSON or YAML; fields without a value are left out."""
    content = document.model_dump(mode="json", exclude_none=True)
    first = {name: content.pop(name) for name in ("apiVersion", "kind")}
    if form == "json":
        return json.dumps(first | content, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(first | content, sort_keys=False, allow_unicode=True, width=1 << 30)
