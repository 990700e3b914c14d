"""The reference of the manifest is what the models and the refusals say."""

from __future__ import annotations

import argparse

import generate_cli_docs
import generate_manifest_docs
from support.documents import ROOT
from tiltyard.api.places import NOT_YET, NOT_YET_ON_CLUSTER
from tiltyard.cli.main import parser


def test_the_manifests_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/manifest.md").read_text() == generate_manifest_docs.page(), generate_manifest_docs.COMMAND


def test_it_has_everything_that_is_refused_for_now() -> None:
    text = generate_manifest_docs.page()
    assert all(f"`{limit.path}`" in text and limit.sentence in text for limit in (*NOT_YET, *NOT_YET_ON_CLUSTER))


def test_the_command_lines_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/cli.md").read_text() == generate_cli_docs.page(), generate_cli_docs.COMMAND


def test_it_has_every_command_and_every_option() -> None:
    text = generate_cli_docs.page()
    for name, command in commands().items():
        part = text.split(f"### `tiltyard {name}`\n")[1].split("\n### ")[0]
        assert all(f"`{written}" in part for action in own_options(command) for written in action.option_strings)


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert isinstance(choices, dict)
    return choices


def own_options(program: argparse.ArgumentParser) -> list[argparse.Action]:
    """All but --help."""
    return [each for each in program._actions if each.option_strings and not isinstance(each, argparse._HelpAction)]
