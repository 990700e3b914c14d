"""One program of a model's, in a process of its own: `python -I -m tiltyard_jobs.sandbox.guest FD`.

It reads an order as JSON from its input, confines itself, runs the program, and writes one word of outcome to the file
descriptor FD. The word's token is known to this module alone, so that a program which ends early, prints, or
exits with 0 has not passed. A program that looks for the token in this process's memory can still lie about itself;
it cannot touch another.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path

from tiltyard_jobs.sandbox.confine import ConfinementError, confine, limit_resources

CONFINED = b"confined "  # said before the program runs: from then on nothing that is said can blame the machine
DETAIL_LENGTH = 500


def readable() -> list[Path]:
    """What a Python program needs to see: the interpreter, its packages, the C library, time zones, the processors."""
    prefixes = {sys.prefix, sys.base_prefix, *(sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib"))}
    system = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache")
    devices = ("/dev/zero", "/dev/urandom", "/dev/random")
    # TensorFlow, PyTorch and their kin look at the machine, and at their own command line.
    machine = ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/proc/self/cmdline")
    return [Path(path) for path in (*sorted(prefixes), *system, *devices, *machine)]


def main() -> None:
    """Run the program of the input. Ends the process."""
    outcome = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    order = json.loads(sys.stdin.buffer.read())
    scratch = Path(order["scratch"])
    os.chdir(scratch)
    try:
        limit_resources(memory=order["memory"], seconds=order["seconds"], file_bytes=order["fileBytes"])
        confine(scratch=scratch, readable=readable())
    except (ConfinementError, OSError, ValueError) as error:
        outcome.write(f"unconfined {error}".encode())
        os._exit(0)
    outcome.write(CONFINED)
    token, source = order.pop("token"), order.pop("source")
    del order
    namespace = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        exec(compile(source, "program.py", "exec"), namespace)  # noqa: S102 - this is what the sandbox is for
    except BaseException as error:
        detail = f"{type(error).__name__}: {error}"[:DETAIL_LENGTH]
        outcome.write(b"failed " + detail.encode("utf-8", "backslashreplace"))
    else:
        outcome.write(f"passed {token}".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
