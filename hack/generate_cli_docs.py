"""The reference of the command line, made from its grammar: docs/cli.md.

    python hack/generate_cli_docs.py [--check | --write]

Without an option it prints the page. Needs the environment in which tiltyard is installed.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import generated
from tiltyard.cli.grammar import COMMANDS, GROUPS, Command
from tiltyard.cli.main import parser
from tiltyard.cli.schema import KINDS
from tiltyard.sdk.documents import API_VERSION

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
COMMAND = "python hack/generate_cli_docs.py --write"

INTRODUCTION = f"""\
<!-- Generated from tiltyard.cli.grammar by `{COMMAND}`; do not edit. -->

# The command line

This page lists every command and option. `tiltyard --help` lists the commands, and `tiltyard COMMAND --help` a
command's arguments with examples. Options cannot be abbreviated. Where a manifest is expected, `-` is standard input,
and relative paths in it start at the working directory. The [exit codes](running-on-one-machine.md#exit-codes) are the
same for all commands.

## Results for programs

A command prints its result on standard output and everything else (progress, warnings, what is wrong) on standard
error. With `-o json` or `-o yaml` the result is one document (with `status --watch` one for each change); its first
fields are `apiVersion: {API_VERSION}` and `kind`, and a field without a value is left out. `tiltyard
schema KIND` prints its JSON schema. Within one version fields are added, never renamed or removed. `render` prints
Kubernetes objects instead. `init`, `completion`, `view`, `explain`, `schema` and `operator` have no `-o`.

| kind | printed by |
|---|---|
"""

EDITORS = """
## Help while you write

`tiltyard schema` prints the JSON schema of the manifest; [tournament.schema.json](tournament.schema.json) is a copy. An
editor with the YAML language server (VS Code, Neovim and others) completes and checks a manifest whose first line is

    # yaml-language-server: $schema=tournament.schema.json

where the file, or a URL, stands relative to the manifest. The schema knows each field with its type; the rules across
fields are checked by `tiltyard validate`.
"""


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION + kinds(), EDITORS, *(line for group in GROUPS for line in section(group))]
    return "\n".join(lines).rstrip("\n") + "\n"


def kinds() -> str:
    rows = ((name, (model.__doc__ or "").split(":")[0].rstrip(".")) for name, model in KINDS.items())
    return "\n".join(f"| `{name}` | {printed_by} |" for name, printed_by in rows)


def section(group: str) -> Iterator[str]:
    grammar = next(each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)).choices
    yield f"## {group}\n"
    for command in COMMANDS:
        if command.group == group:
            yield from described(command, grammar[command.name])


def described(command: Command, grammar: argparse.ArgumentParser) -> Iterator[str]:
    yield f"### `tiltyard {command.name}`\n"
    yield filled(command.description or f"{command.summary[:1].upper()}{command.summary[1:]}.") + "\n"
    for action in grammar._actions:
        if not isinstance(action, argparse._HelpAction):
            yield filled(f"- {called(action)}: {action.help or action.metavar}", "  ")
    yield "\n" + "\n".join(f"    {line}" for line in command.examples) + "\n"


def called(action: argparse.Action) -> str:
    """An argument as it is typed."""
    value = "|".join(map(str, action.choices)) if action.choices and not action.metavar else action.metavar
    if not action.option_strings:
        several = "…" if action.nargs == "+" else ""
        return f"`[{value}]`" if action.nargs == "?" else f"`{value}{several}`"
    names = [*action.option_strings]
    if action.nargs != 0:
        names[-1] += f" {value or action.dest.upper()}"
    return ", ".join(f"`{name}`" for name in names)


def filled(text: str, indent: str = "") -> str:
    """A paragraph or an item of a list, wrapped as the other documents are."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(generated.run(__doc__, {PAGE: page}, "the grammar", COMMAND))
