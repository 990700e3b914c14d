"""The command line of a worker, completed from the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiltyard_jobs.contracts.progress import ADDRESS_VARIABLE
from tiltyard_jobs.stages import STAGES

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
WORK_DIR_VARIABLE = "TILTYARD_WORK_DIR"
SUMMARY_VARIABLE = "TILTYARD_SUMMARY"
PROGRESS_VARIABLE = "TILTYARD_PROGRESS"


@dataclass(frozen=True)
class Options:
    """What a worker was asked to do.

    Attributes:
        stage: one of `stages.STAGES`.
        task: the task document's file.
        index: which of the bundle's indices.
        work_dir: where unfinished work is kept between attempts; None: a temporary folder.
        checkpoints: keep unfinished work in the store too.
        progress: the file that `Progress` writes, if any.
        address: where progress is reported to whoever asks, if anywhere.
        summary: the file that takes the summary, if any.
    """

    stage: str
    task: Path
    index: int
    work_dir: Path | None
    checkpoints: bool
    progress: Path | None
    address: str | None
    summary: Path | None


def parse_options(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Options:
    """Parse a command line (`sys.argv` by default). Ends the process with code 2 where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tiltyard_jobs", description="Make the parts of one index.")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--task", type=Path, required=True, metavar="FILE", help="the task document, JSON")
    parser.add_argument(
        "--index",
        type=int,
        default=environment.get(INDEX_VARIABLE) or "0",  # a text, so that argparse checks it as it does an argument
        metavar="N",
        help=f"which index of the bundle (default: ${INDEX_VARIABLE}, or 0)",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=environment.get(WORK_DIR_VARIABLE) or None,
        metavar="DIR",
        help=f"where unfinished work is kept between attempts (default: ${WORK_DIR_VARIABLE}, or a temporary folder)",
    )
    parser.add_argument(
        "--no-checkpoints",
        dest="checkpoints",
        action="store_false",
        help="keep unfinished work in the work folder alone, since that one is there at the next attempt",
    )
    return Options(
        **vars(parser.parse_args(arguments)),
        progress=_file(environment, PROGRESS_VARIABLE),
        address=environment.get(ADDRESS_VARIABLE) or None,
        summary=_file(environment, SUMMARY_VARIABLE),
    )


def _file(environment: Mapping[str, str], variable: str) -> Path | None:
    name = environment.get(variable)
    return Path(name) if name else None
