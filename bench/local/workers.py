"""CPU time of the quick start with forked workers, beside workers that are started one by one.

    PYTHONPATH=operator:jobs python bench/local/workers.py [--manifest examples/quickstart.yaml]

CPU seconds of the run and of all its processes, simulated models included; wall-clock time on a machine that does
nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ONE_BY_ONE = """
import sys
from tiltyard.local import workers
workers.FORKS = False
from tiltyard.cli import main
sys.exit(main())
"""


def seconds(command: list[str]) -> tuple[float, float]:
    """CPU and wall-clock seconds of a command."""
    before, began = os.times(), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, default=Path("examples/quickstart.yaml"))
    manifest = str(parser.parse_args().manifest)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, start in (("forked", "from tiltyard.cli import main; main()"), ("one by one", _ONE_BY_ONE)):
            place = ["--out", f"{folder}/{name}", "--state", f"{folder}/{name}.state", "--progress", "none"]
            found[name] = seconds([sys.executable, "-c", start, "run", manifest, *place])
            cpu, wall = found[name]
            print(f"{name:12}{cpu:8.1f} CPU s{wall:8.1f} s")
    (cpu, wall), (cpu_alone, wall_alone) = found["forked"], found["one by one"]
    print(f"ratio       {cpu_alone / cpu:8.1f}      {wall_alone / wall:8.1f}")


if __name__ == "__main__":
    main()
