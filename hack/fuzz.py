"""Asks `tiltyard validate` and a real API server about changed manifests, and prints those on which they do not agree.

    python hack/fuzz.py [--count N] [--seed S] [--workers W]

Manifest I of seed S is the same everywhere (`tests/support/fuzzed_manifests.py`): a valid one with up to eight changes,
from harmless to hostile. The API server is asked by strict dry runs, so nothing is stored. A disagreement is also an
answer that names no field, a crash, a 5xx and a rule that the API server gives up on; `tests/support/agreement.py` has
what only `validate` refuses, since CEL cannot say it. Exit code 1 where there is a disagreement.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("hack", "tests", "operator", "jobs")]

from cluster.controlplane import ControlPlane  # noqa: E402
from cluster.managers import CRD_PATH  # noqa: E402
from support.agreement import DryRuns, Verdict, judged  # noqa: E402

CRD = ROOT / "charts" / "tiltyard" / "files" / "tournaments.tiltyard.dev.yaml"
APART = 1_000_000_000  # between the manifests of two seeds
CHUNK = 50
TOLD_EVERY = 500  # manifests, which take about a minute
_dry_runs: list[DryRuns] = []  # of a worker


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="manifests to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="processes that ask")
    options = parser.parse_args()
    first = options.seed * APART
    taken = found = 0
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder) / "plane") as plane:
        plane.apply(f"{CRD_PATH}/tournaments.tiltyard.dev", CRD.read_bytes())
        plane.wait_for_resource("tiltyard.dev/v1alpha1", "tournaments")
        began = time.monotonic()
        verdicts = _verdicts(range(first, first + options.count), options.workers, plane)
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


def _verdicts(numbers: range, workers: int, plane: ControlPlane) -> Iterator[Verdict]:
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(plane.port, plane.ca)) as pool:
        yield from pool.map(_judge, numbers, chunksize=CHUNK)


def _begin(port: int, ca: Path) -> None:
    _dry_runs.append(DryRuns(port, ca))


def _judge(number: int) -> Verdict:
    return judged(number, _dry_runs[0].ask)


if __name__ == "__main__":
    sys.exit(main())
