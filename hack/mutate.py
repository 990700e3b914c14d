"""Plants small faults in the code, one at a time, and tells which of them the unit tests do not notice.

    python hack/mutate.py [--sample N] [--seed S] [--workers W] [PATH ...]

A comparison that is turned, a constant that is one too large, a statement that is dropped (`mutation/faults.py`): each
fault goes into the source of one module as it is imported, in a process of its own; no file of the tree is changed.
Against each run the unit tests that reach its line, the fastest first, until one fails. Which tests reach which lines
is found by one run of all of them under a tracer, kept in .tiltyard/ for as long as neither code nor tests change.

Prints the share of faults that were found, by package, and each one that was not as a diff. Exit code 1 where less
than `--at-least` percent were found.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

# Before numpy is there: processes that are forked must not share a pool of threads, and cores are few.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).resolve().parent))

import hypothesis.extra.numpy  # noqa: F401  # what the tests import is there already in each process
import jsonschema  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import pytest
import scipy.special  # noqa: F401

from mutation.faults import Fault, faults_under
from mutation.tests import Reached, digest_of, look, put_in_place, read, run_tests

ROOT = Path(__file__).resolve().parent.parent
TESTS = Path("tests/unit")
SUPPORT = Path("tests/support")
SOURCES = (Path("operator"), Path("jobs"))
PURE = ("api", "plan", "status", "render", "observe")
PATHS = (*(Path("operator/tiltyard") / name for name in PURE), Path("jobs/tiltyard_jobs/rating"))
KEPT = Path(".tiltyard/mutate")
FOUND, SURVIVED, TIMED_OUT, UNREACHED = "found", "survived", "timed out", "not reached"
MEMORY = 4 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _options(arguments)
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no process is left behind
    faults = list(faults_under(options.paths))
    if options.sample:
        faults = random.Random(options.seed).sample(faults, min(options.sample, len(faults)))
    faults.sort()
    reached = _reached(options.tests)
    print(f"{len(faults)} faults, {len(reached.tests)} tests, seed {options.seed}", flush=True)
    results: dict[Fault, str] = {}
    for fault, result in _results(faults, reached, options.workers, options.timeout):
        results[fault] = result
        if len(results) % 25 == 0:
            print(f"{len(results)} of {len(faults)}", flush=True)
        if result in (SURVIVED, UNREACHED):
            print(f"\n{fault.path}:{fault.line}: {fault.kind}, {result}\n{fault.diff()}", flush=True)
    share = _tell(results, options.paths)
    return 0 if share >= options.at_least else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which small faults do the unit tests not notice?")
    parser.add_argument("paths", nargs="*", type=Path, default=PATHS, metavar="PATH", help="modules or packages")
    parser.add_argument(
        "--tests", nargs="+", type=Path, default=[TESTS], metavar="FOLDER", help=f"that may notice; default: {TESTS}"
    )
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many faults of all; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; default: 0")
    parser.add_argument("--workers", type=int, default=2, help="processes at once; default: 2")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one fault; default: 120")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="PERCENT", help="that must be found; default: 0")
    return parser.parse_args(arguments)


def _reached(tests: Sequence[Path]) -> Reached:
    """What the tests in these folders reach, by a run of them or by one that is kept."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"{digest_of([*tests, SUPPORT, *SOURCES])[:16]}.json"
    if not kept.exists():
        print("running the tests once, to see which lines they reach", flush=True)
        process = os.fork()
        if process == 0:
            _quiet(KEPT / "reach.log")
            os._exit(look(tests, SOURCES, KEPT / "reach.json"))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            sys.exit(f"the tests cannot be run: see {KEPT / 'reach.log'}")
        if code:  # one that counts bytes, say: the tracer takes some
            print(f"some tests fail without any fault, and find none: see {KEPT / 'reach.log'}", flush=True)
        for old in KEPT.glob("????????????????.json"):
            old.unlink()
        (KEPT / "reach.json").rename(kept)
    return read(kept)


def _results(faults: Sequence[Fault], reached: Reached, workers: int, timeout: float) -> Iterator[tuple[Fault, str]]:
    """Each fault with what became of it, as it is known."""
    waiting = list(reversed(faults))
    running: dict[int, tuple[Fault, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                fault = waiting.pop()
                tests = [name for name, _ in reached.of(fault.path, fault.line)]
                if not tests:
                    yield fault, UNREACHED
                    continue
                running[_start(fault, tests)] = fault, time.monotonic() + timeout
            for process, (fault, until) in list(running.items()):
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    del running[process]
                    # Tests that fail, and modules or tests that cannot be imported: it was noticed.
                    yield fault, SURVIVED if os.waitstatus_to_exitcode(status) == 0 else FOUND
                elif time.monotonic() > until:
                    del running[process]
                    _end(process)
                    yield fault, TIMED_OUT
            time.sleep(0.01)
    finally:
        for process in running:
            _end(process)


def _end(process: int) -> None:
    """Kill a process with all that it has started."""
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _start(fault: Fault, tests: list[str]) -> int:
    """A process that tries a fault; its id, which is its group's too."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(process, process)
        return process
    code = 3
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        _quiet(Path(os.devnull))
        # Most faults are found in the folder of the package's own tests, and to collect the others takes time.
        own = TESTS / fault.path.parent.name
        near = [name for name in tests if Path(name).is_relative_to(own)]
        far = [name for name in tests if not Path(name).is_relative_to(own)]
        put_in_place(fault.path, fault.applied())
        code = next((failed for chosen in (near, far) if chosen and (failed := run_tests(chosen))), 0)
    finally:
        os._exit(code)


def _quiet(log: Path) -> None:
    """What this process prints goes into a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _tell(results: dict[Fault, str], paths: Sequence[Path]) -> float:
    """Print the table; percent that were found, by a failing test or by never ending."""
    print(f"\n{'':<36}{'faults':>8}{FOUND:>8}{TIMED_OUT:>11}{SURVIVED:>10}{UNREACHED:>13}{'share':>9}")
    share = 100.0
    for path in (*paths, None):
        counts = Counter(result for fault, result in results.items() if path is None or fault.path.is_relative_to(path))
        share = 100 * (counts[FOUND] + counts[TIMED_OUT]) / counts.total() if counts else 100.0
        print(
            f"{path or 'all'!s:<36}{counts.total():>8}{counts[FOUND]:>8}{counts[TIMED_OUT]:>11}{counts[SURVIVED]:>10}"
            f"{counts[UNREACHED]:>13}{share:>7.1f}%"
        )
    return share


if __name__ == "__main__":
    sys.exit(main())
