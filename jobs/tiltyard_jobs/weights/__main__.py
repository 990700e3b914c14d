"""`python -m tiltyard_jobs.weights hf://ORG/NAME --revision R --folder DIR`: bring a model to a folder, once.

The hub is the one that `HF_ENDPOINT` names; `HF_TOKEN` has the token of `model.tokenSecretRef`. The last line of the
output says what went wrong; the exit code is that of `tiltyard_jobs.contracts.exit_codes`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.logs import LOG_LEVEL_VARIABLE, configure_logging
from tiltyard_jobs.errors import JobError
from tiltyard_jobs.weights.fill import fill
from tiltyard_jobs.weights.hub import HubModel

SCHEME = "hf://"

log = structlog.get_logger("tiltyard_jobs.weights")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a folder; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tiltyard_jobs.weights", description=__doc__, allow_abbrev=False)
    parser.add_argument("uri", help="hf://ORG/NAME")
    parser.add_argument("--revision", help="a commit, tag or branch; absent: the main branch")
    parser.add_argument("--folder", type=Path, required=True, help="it is made, and never changed afterwards")
    parser.add_argument("--report", type=Path, help="a file to write commit, bytes and seconds to, as JSON")
    options = parser.parse_args(arguments)
    configure_logging("tiltyard_jobs", os.environ.get(LOG_LEVEL_VARIABLE, "INFO"), {})
    try:
        name, token = options.uri.removeprefix(SCHEME), os.environ.get("HF_TOKEN")
        filled = fill(HubModel(name, options.revision, token=token), options.folder)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    log.info("the model is there", **filled.model_dump())
    if options.report is not None:
        options.report.write_text(filled.model_dump_json())
    return ExitCode.COMPLETE


if __name__ == "__main__":
    sys.exit(main())
