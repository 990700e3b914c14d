"""CPU time and rate of our client beside others, against one fast stub server, in one run.

    python bench/worker/compare.py [--n 20000] [--repeats 3] [--clients tiltyard_worker,go] [--latency 0ms,50ms]

Each client sends the same judge's prompts (3 kB) and reads a verdict from the log-probabilities; ours also counts usage
and appends a row to a file. Measured is the client's process alone: user and system CPU seconds for 1,000 requests, and
requests per second. Printed are medians over the repeats and the ratios to Go's net/http and to the openai package.

Needs: Go 1.24 or later (the stub server and the yardstick are built from bench/worker/go) and, for those peers that are
to be measured, `pip install openai httpx pyreqwest`; a peer that is not installed is left out. The slow ones (openai,
httpx) send a tenth of the requests.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
GO = "go"
PACKAGES = {
    "tiltyard_worker": "tiltyard_jobs",
    "aiohttp_loop": "aiohttp",
    "pyreqwest_loop": "pyreqwest",
    "openai_package": "openai",
    "httpx_loop": "httpx",
}
SLOW = frozenset({"openai_package", "httpx_loop"})


class Measured(NamedTuple):
    """One client at one latency and concurrency."""

    cpu_per_1000: float  # seconds
    rate: float  # requests per second


def build_go(folder: Path) -> None:
    if shutil.which("go") is None:
        sys.exit("Go is not installed: the stub server is built from bench/worker/go")
    subprocess.run(["go", "build", "-o", f"{folder}/", "./..."], cwd=HERE / "go", check=True)


@contextmanager
def stub_server(folder: Path, latency: str) -> Iterator[str]:
    command = [str(folder / "stub"), "--port", "0", "--latency", latency]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        server.communicate()  # the server ends when its standard input does


def measure(client: str, folder: Path, url: str, n: int, concurrency: int) -> Measured:
    """Run one client in a process of its own."""
    options = ["--url", url, "--n", str(n), "--concurrency", str(concurrency)]
    command = [str(folder / "load")] if client == GO else [sys.executable, __file__, "--client", client]
    # A peer must not send the requests to a proxy.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, env=environment)
    result = json.loads(done.stdout)
    if result["failures"]:
        sys.exit(f"{client}: {result['failures']} of {n} requests failed")
    return Measured(1000 * result["cpu_seconds"] / n, n / result["seconds"])


def run_client(client: str, url: str, n: int, concurrency: int) -> None:
    """In the child: send the requests and print what they cost."""
    run = importlib.import_module(f"clients.{client}").run

    def cpu_seconds() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    cpu, start = cpu_seconds(), time.perf_counter()
    asyncio.run(run(url, n, concurrency))
    result = {"failures": 0, "seconds": time.perf_counter() - start, "cpu_seconds": cpu_seconds() - cpu}
    print(json.dumps(result), flush=True)
    os._exit(0)  # pyreqwest's threads can abort the interpreter while it ends


def print_table(latency: str, concurrency: int, measured: dict[str, Measured]) -> None:
    print(f"\nlatency {latency}, concurrency {concurrency}")
    print(f"{'client':<18}{'CPU s / 1000':>14}{'of Go':>8}{'openai is':>11}{'rate / s':>10}{'of Go':>8}")
    go, openai = measured.get(GO), measured.get("openai_package")
    for client, (cpu, rate) in measured.items():
        of_go = f"{cpu / go.cpu_per_1000:.1f}x" if go else "-"
        of_openai = f"{openai.cpu_per_1000 / cpu:.1f}x" if openai else "-"
        rate_of_go = f"{rate / go.rate:.2f}" if go else "-"
        print(f"{client:<18}{cpu:>14.3f}{of_go:>8}{of_openai:>11}{rate:>10.0f}{rate_of_go:>8}")


def compare(arguments: argparse.Namespace) -> None:
    clients = [client for client in arguments.clients.split(",") if client == GO or is_installed(client)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_go(folder)
        for latency in arguments.latency.split(","):
            for concurrency in map(int, arguments.concurrencies.split(",")):
                runs: dict[str, list[Measured]] = {client: [] for client in clients}
                with stub_server(folder, latency) as url:
                    for _ in range(arguments.repeats):  # in turn, so that what else the machine does meets all alike
                        for client in clients:
                            n = arguments.n // 10 if client in SLOW else arguments.n
                            runs[client].append(measure(client, folder, url, n, concurrency))
                medians = {
                    client: Measured(*(statistics.median(values) for values in zip(*results, strict=True)))
                    for client, results in runs.items()
                }
                print_table(latency, concurrency, medians)


def is_installed(client: str) -> bool:
    if client not in PACKAGES:
        sys.exit(f"no client {client!r}: there are {', '.join([GO, *PACKAGES])}")
    if importlib.util.find_spec(PACKAGES[client]) is not None:
        return True
    print(f"{client} is left out: pip install {PACKAGES[client]}", file=sys.stderr)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="requests of each run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clients", default=",".join([GO, *PACKAGES]))
    parser.add_argument("--latency", default="0ms,50ms")
    parser.add_argument("--concurrencies", default="64,256")
    parser.add_argument("--client", help=argparse.SUPPRESS)  # in a child process
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--concurrency", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        run_client(arguments.client, arguments.url, arguments.n, arguments.concurrency)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
