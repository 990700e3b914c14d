"""Runs on this machine's disk: which folder is one, and which are below a folder."""

from __future__ import annotations

from pathlib import Path

from tiltyard.sdk.errors import UserError
from tiltyard_jobs.contracts.layout import run_prefix


def is_run(folder: Path) -> bool:
    """Whether it is the folder of a complete run, or a copy of one."""
    return (folder / "manifest.json").is_file() and (folder / "tables").is_dir()


def runs_below(folder: Path) -> list[Path]:
    """The complete runs of stores at a folder, and in its own folders, those that were completed first first."""
    pattern = f"{run_prefix('*')}manifest.json"
    found = {file.parent for deep in ("", "*/") for file in folder.glob(deep + pattern)}
    return sorted(found, key=lambda run: ((run / "manifest.json").stat().st_mtime, run.name))


def newest_run(folder: Path, otherwise: str) -> Path:
    """The run at or below a folder that was completed last.

    Args:
        folder: where to look.
        otherwise: what to give instead, where there is none.

    Raises:
        UserError: there is no complete run.
    """
    if is_run(folder):
        return folder
    runs = runs_below(folder)
    if not runs:
        raise UserError(f"{folder.absolute()} has no complete run: {otherwise}")
    return runs[-1]


def only_run(folder: Path, otherwise: str) -> Path:
    """The run at or below a folder, where what is made of it would not show which of several was meant.

    Raises:
        UserError: there is no complete run, or there are several.
    """
    run = newest_run(folder, otherwise)
    if run != folder and len(runs := runs_below(folder)) > 1:
        names = ", ".join(map(str, runs))
        raise UserError(f"{folder}: {len(runs)} complete runs are below it; name one of them: {names}")
    return run
