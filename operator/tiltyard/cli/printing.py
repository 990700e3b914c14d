"""Where a command prints what: its result on standard output, all else on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from tiltyard.api.base import ApiModel
from tiltyard.api.yamlfile import Dumper


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

    def change(self, document: ApiModel) -> None:
        """One of several results: JSON on a line of its own, or a YAML document; nothing as a table."""
        if self.form == "json":
            text = json.dumps(_content(document), ensure_ascii=False) + "\n"
        elif self.form == "yaml":
            text = f"---\n{as_text(document, self.form)}"
        else:
            return
        sys.stdout.write(text)
        sys.stdout.flush()

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
    if form == "json":
        return json.dumps(_content(document), indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(_content(document), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 30)


def _content(document: ApiModel) -> dict[str, Any]:
    content = document.model_dump(mode="json", exclude_none=True, by_alias=True)
    first = {name: content.pop(name) for name in ("apiVersion", "kind")}
    return first | content
