"""What to do next with a run on this machine, as lines to paste, with the options that its command was given."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from tiltyard.api import Tournament
from tiltyard.local.ledger import read_ledger, uri_of
from tiltyard.sdk.machine import StatePlace
from tiltyard.sdk.status_document import Status
from tiltyard_jobs.contracts.located import readable


def program() -> list[str]:
    """The words that call this program: `tiltyard`, or where a shell would not find it those that it was called with.

    These are its path, as after `make demo`, or the interpreter's and `-m tiltyard`.
    """
    given, found = Path(sys.argv[0]), shutil.which("tiltyard")
    if given.parts[-2:] == ("tiltyard", "__main__.py") and found is None:
        return [sys.executable, "-m", "tiltyard"]
    if given.name != "tiltyard" or (found is not None and given.exists() and given.samefile(found)):
        return ["tiltyard"]
    return [str(given)]


def after_run(options: argparse.Namespace, out: Path | str | None) -> str:
    """What to do with a complete run, whose results are in `out`."""
    return _next_lines(
        ("opens the battles in a browser", _line("view", options, out)),
        ("copies all results to a folder", _line("report", options, out, "--to", "results")),
    )


def after_failure(options: argparse.Namespace, out: Path | str | None, document: Status | None) -> str:
    """What to do with a run that has failed, whose results are in `out`."""
    lines = [("continues once the cause is fixed; what is complete is reused", _line("run", options, out))]
    if document is not None and any(stage.shards.succeeded for stage in document.stages):
        lines.append(("opens what is there so far in a browser", _line("view", options, out)))
    return _next_lines(*lines)


def after_status(options: argparse.Namespace, tournament: Tournament, document: Status) -> str:
    """What to do with a run as it is; nothing where there is nothing to do."""
    if str(options.manifest) == "-" or document.run is None:
        return ""
    out = _given_out(StatePlace.of(tournament, options.state), tournament)
    if document.activity == "Interrupted":
        return _next_lines(("continues from here", _line("run", options, out)))
    if document.activity == "Running":
        return _next_lines(("opens it in a browser", _line("view", options, out)))
    ends = {each.type for each in document.conditions if each.status == "True"}
    if "Failed" in ends:
        return after_failure(options, out, document)
    return after_run(options, out) if "Complete" in ends else ""


def _next_lines(*lines: tuple[str, str]) -> str:
    width = max(len(line) for _, line in lines)
    return "\nNext:\n" + "\n".join(f"    {line:<{width}}   # {what}" for what, line in lines)


def _line(name: str, options: argparse.Namespace, out: Path | str | None, *more: str) -> str:
    prices = None if name == "view" else options.prices  # which takes none
    words = [*program(), name, str(options.manifest)]
    for option, value in (("out", out), ("state", options.state), ("prices", prices)):
        words += [f"--{option}", str(value)] if value is not None else []
    return shlex.join([*words, *more])


def _given_out(place: StatePlace, tournament: Tournament) -> str | None:
    """The `--out` that a run was given, by what its ledger says of its place."""
    ledger = read_ledger(place.state, place.run)
    if ledger is None:
        return None
    output, uri = tournament.spec.output, uri_of(ledger.place)
    return readable(uri) if output is None or output.bucket.uri != uri else None
