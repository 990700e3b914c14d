"""One peer in a process of its own, for compare.py: `python peer.py CLIENT URL N CONCURRENCY`.

It sends the requests and prints one line of JSON: failures, seconds, and the CPU seconds (user and system) of the loop.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import sys
import time


def main(client: str, url: str, n: str, concurrency: str) -> None:
    run = importlib.import_module(f"clients.{client}").run
    cpu, start = cpu_seconds(), time.perf_counter()
    failures = asyncio.run(run(url, int(n), int(concurrency)))
    result = {"failures": failures, "seconds": time.perf_counter() - start, "cpu_seconds": cpu_seconds() - cpu}
    print(json.dumps(result), flush=True)
    os._exit(0)  # pyreqwest's threads can abort the interpreter while it ends


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
