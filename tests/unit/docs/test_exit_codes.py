"""The exit codes of the commands are those of their table."""

from __future__ import annotations

from support.documents import ROOT, tables
from tiltyard.cli.exits import Exit
from tiltyard_jobs.reader.__main__ import CLOSED_PIPE, FAILED


def test_the_table_has_every_exit_code_and_no_other() -> None:
    text = (ROOT / "docs/running-on-one-machine.md").read_text().partition("### Exit codes")[2]
    header, rows = next(iter(tables(text)))
    assert header[0] == "code"
    assert [int(row[0]) for row in rows] == sorted(Exit)
    assert (Exit.FAILED, Exit.CLOSED_PIPE) == (FAILED, CLOSED_PIPE), "show and view become another process"
