#!/usr/bin/env python3
"""Run an end-to-end test of a whole tournament on each KServe that people have, and with NetworkPolicies enforced.

    python hack/test_clusters.py                    all variants
    python hack/test_clusters.py ingress oldest     these

A variant is a value of `TILTYARD_KSERVE` (hack/cluster/kserve.py). Each has a cluster of its own, made as for
`make test-e2e`. Ends with a line for each, and with 1 if one has failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import kserve, up

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = tuple(filter(None, kserve.VARIANTS))
TEST = "tests/e2e/test_cluster.py::test_the_quick_start_from_apply_to_the_report_in_s3"
TEST_OF_POLICIES = "tests/e2e/test_policies.py"


def main() -> int:
    """Run the variants."""
    parser = argparse.ArgumentParser(description="The end-to-end test on each KServe that people have.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"{', '.join(VARIANTS)} (default: all)")
    chosen = parser.parse_args().variants or VARIANTS
    if wrong := [name for name in chosen if name not in VARIANTS]:
        parser.error(f"{', '.join(wrong)}: allowed are {', '.join(VARIANTS)}")
    if up.find() is not None:
        parser.error("a cluster is up, with a KServe of its own: take it down first (make cluster-down)")
    environment = {name: value for name, value in os.environ.items() if name != "TILTYARD_KEEP_CLUSTER"}
    results = []
    for name in chosen:
        print(f"=== {name}", flush=True)
        began = time.monotonic()
        test = TEST_OF_POLICIES if kserve.VARIANTS[name].policies else TEST
        command = [sys.executable, "-m", "pytest", test, "-q"]
        done = subprocess.run(command, cwd=ROOT, env={**environment, "TILTYARD_KSERVE": name}, check=False)
        results.append((name, done.returncode, time.monotonic() - began))
    print("\n=== summary")
    for name, code, seconds in results:
        print(f"{name:<10} {'passed' if code == 0 else 'FAILED'} after {seconds:.0f} s")
    return int(any(code for _, code, _ in results))


if __name__ == "__main__":
    sys.exit(main())
