"""Asks `tiltyard validate` and a real API server about changed manifests, and prints those on which they do not agree.

    python hack/fuzz.py [--count N] [--seed S] [--workers W] [--source samples|schema|both]

Manifest I of seed S is the same everywhere: a valid one with up to eight changes, from harmless to hostile (samples,
`tests/support/fuzzed_manifests.py`), or one that is built from the CRD's schema (`schema_manifests.py` there). The API
server is asked by strict dry runs, so nothing is stored. A disagreement is also an answer that names no field, a crash,
a 5xx and a rule that the API server gives up on; `tests/support/agreement.py` has what only `validate` refuses, since
CEL cannot say it. Exit code 1 where there is a disagreement.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("hack", "tests", "operator", "jobs")]

from cluster.controlplane import ControlPlane  # noqa: E402
from cluster.managers import CRD_PATH  # noqa: E402
from support.agreement import DryRuns, Verdict, judged  # noqa: E402
from support.fuzzed_manifests import fuzzed  # noqa: E402
from support.schema_manifests import from_schema  # noqa: E402

CRD = ROOT / "charts" / "tiltyard" / "files" / "tournaments.tiltyard.dev.yaml"
APART = 1_000_000_000  # between the manifests of two seeds
CHUNK = 50
TOLD_EVERY = 500  # manifests, which take about a minute
SOURCES = {"samples": (fuzzed,), "schema": (from_schema,), "both": (fuzzed, from_schema)}
_dry_runs: list[DryRuns] = []  # of a worker


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="manifests to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="processes that ask")
    parser.add_argument("--source", choices=SOURCES, default="both", help="where manifests come from; both: in turn")
    options = parser.parse_args()
    first = options.seed * APART
    taken = found = 0
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder) / "plane") as plane:
        plane.apply(f"{CRD_PATH}/tournaments.tiltyard.dev", CRD.read_bytes())
        plane.wait_for_resource("tiltyard.dev/v1alpha1", "tournaments")
        began = time.monotonic()
        verdicts = _verdicts(range(first, first + options.count), options, plane)
        for done, verdict in enumerate(verdicts, start=1):
            taken += verdict.taken
            if verdict.disagreement:
                found += 1
                print(verdict, flush=True)
            if done % TOLD_EVERY == 0:
                print(f"{done} of {options.count}, {found} disagreements", file=sys.stderr, flush=True)
        took = time.monotonic() - began
    refused = options.count - taken - found
    print(f"{options.count} manifests of seed {options.seed} in {took:.0f} s: {taken} are taken by both, ", end="")
    print(f"{refused} are refused with paths, {found} disagreements")
    return 1 if found else 0


def _verdicts(numbers: range, options: argparse.Namespace, plane: ControlPlane) -> Iterator[Verdict]:
    with ProcessPoolExecutor(options.workers, initializer=_begin, initargs=(plane.port, plane.ca)) as pool:
        yield from pool.map(partial(_judge, options.source), numbers, chunksize=CHUNK)


def _begin(port: int, ca: Path) -> None:
    _dry_runs.append(DryRuns(port, ca))


def _judge(source: str, number: int) -> Verdict:
    makers = SOURCES[source]
    return judged(number, _dry_runs[0].ask, makers[number % len(makers)])


if __name__ == "__main__":
    sys.exit(main())
