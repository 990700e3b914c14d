"""The worker beside other clients, against one fast stub server, in one run: CPU time, rate, and what faults cost.

    $(python hack/envs.py bench) bench/worker/compare.py [--n 6000] [--repeats 3] [--latency 0ms,50ms]
    $(python hack/envs.py bench) bench/worker/compare.py --faults

Ours is the worker whole: `python -m tiltyard_jobs judge` over a shard of n verdicts, from its start to its sealed
tables (see judge_shard.py). Its CPU time, user and system, is that of the process, start-up included; the start-up, an
empty shard, is shown beside it, and its rate counts from the first connection to the last seal. The others send the
same requests (prompts of 3.7 kB), read a verdict out of each reply and keep nothing; theirs is the loop alone, without
start-up. Printed are medians over the repeats, which take turns, and ratios to Go's net/http and the openai package.

With --faults the stub refuses 10% of the requests (429) and resets 1%; printed is how many records each client lost,
with its own defaults: the openai package repeats a request twice, the plain loops and Go never.

Needs: Go 1.24 or later (the stub server and the yardstick are built from bench/worker/go), and the `bench` environment,
or the `jobs` extra and those of openai, httpx and pyreqwest that are to be measured: a peer that is not installed is
left out. Slow ones (openai, httpx) send a fifth of the requests, except with --faults.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "jobs"))

from judge_shard import JudgeShard  # noqa: E402

OURS, GO = "tiltyard", "go"
PACKAGES = {
    "aiohttp_loop": "aiohttp",
    "pyreqwest_loop": "pyreqwest",
    "openai_package": "openai",
    "httpx_loop": "httpx",
}
SLOW = frozenset({"openai_package", "httpx_loop"})
FAULTS = ("--fault-429", "0.1", "--fault-reset", "0.01")


class Measured(NamedTuple):
    """One client at one latency and concurrency; a median of several is one too."""

    cpu_per_1000: float  # seconds
    rate: float  # requests per second
    lost: float
    sent: float
    retries: float = 0


class Bench:
    """The programs and the store of one comparison, in a temporary folder.

    Args:
        folder: for the binaries and the store.
        n: records of a run.
    """

    def __init__(self, folder: Path, n: int) -> None:
        if shutil.which("go") is None:
            sys.exit("Go is not installed: the stub server is built from bench/worker/go")
        subprocess.run(["go", "build", "-o", f"{folder}/", "./..."], cwd=HERE / "go", check=True)
        self._folder = folder
        self._shard = JudgeShard(folder / "full", n, folder / "bytecode")
        self._empty = JudgeShard(folder / "empty", 0, folder / "bytecode")
        self.n = self._shard.n
        self.start_up("http://127.0.0.1:1")  # compiles the modules

    @contextmanager
    def stub(self, latency: str, *options: str) -> Iterator[str]:
        """The stub server; its URL."""
        command = [str(self._folder / "stub"), "--port", "0", "--latency", latency, *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
            server.communicate()  # the server ends when its standard input does

    def measure(self, client: str, url: str, n: int, concurrency: int) -> Measured:
        """Run one client in a process of its own."""
        if client == OURS:
            run = self._shard.run(url, concurrency)
            return Measured(1000 * run.cpu_seconds / self.n, self.n / run.seconds, run.lost, self.n, run.retries)
        if client == GO:
            command = [str(self._folder / "load"), f"--url={url}", f"--n={n}", f"--concurrency={concurrency}"]
        else:
            command = [sys.executable, str(HERE / "peer.py"), client, url, str(n), str(concurrency)]
        # A peer must not send the requests to a proxy.
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        result = json.loads(done.stdout)
        return Measured(1000 * result["cpu_seconds"] / n, n / result["seconds"], result["failures"], n)

    def start_up(self, url: str) -> float:
        """CPU seconds of the worker where there is nothing to ask."""
        return self._empty.run(url, 1).cpu_seconds


def compare(bench: Bench, arguments: argparse.Namespace) -> None:
    for latency in arguments.latency.split(","):
        for concurrency in map(int, arguments.concurrencies.split(",")):
            runs: dict[str, list[Measured]] = {client: [] for client in arguments.clients}
            starts = []
            with bench.stub(latency) as url:
                for _ in range(arguments.repeats):  # in turn, so that what else the machine does meets all alike
                    starts.append(bench.start_up(url))
                    for client in arguments.clients:
                        n = bench.n // 5 if client in SLOW else bench.n
                        runs[client].append(bench.measure(client, url, n, concurrency))
            print(f"\nlatency {latency}, concurrency {concurrency}")
            print_table({client: median(results) for client, results in runs.items()}, statistics.median(starts))


def median(results: list[Measured]) -> Measured:
    return Measured(*(statistics.median(values) for values in zip(*results, strict=True)))


def print_table(measured: Mapping[str, Measured], start_up: float) -> None:
    print(f"{'client':<22}{'CPU s / 1000':>14}{'of Go':>8}{'openai is':>11}{'rate / s':>10}{'of Go':>8}{'failed':>8}")
    rows = dict(measured)
    if ours := measured.get(OURS):
        started = ours._replace(cpu_per_1000=ours.cpu_per_1000 - 1000 * start_up / ours.sent)
        rows = {OURS: ours, f"  but {start_up:.2f} s of start": started, **measured}
    go, openai = measured.get(GO), measured.get("openai_package")
    for client, one in rows.items():
        cpu = one.cpu_per_1000
        of_go = f"{cpu / go.cpu_per_1000:.1f}x" if go else "-"
        of_openai = f"{openai.cpu_per_1000 / cpu:.1f}x" if openai else "-"
        rate_of_go = f"{one.rate / go.rate:.2f}" if go else "-"
        print(f"{client:<22}{cpu:>14.3f}{of_go:>8}{of_openai:>11}{one.rate:>10.0f}{rate_of_go:>8}{one.lost:>8.0f}")


def compare_losses(bench: Bench, arguments: argparse.Namespace) -> None:
    print("10% of requests refused (429), 1% reset; 50 ms, 64 at once")
    print(f"{'client':<18}{'records':>9}{'lost':>8}{'sent again':>12}{'CPU s / 1000':>14}{'rate / s':>10}")
    for client in arguments.clients:
        with bench.stub("50ms", *FAULTS) as url:  # a server for each: the same draws of faults
            one = bench.measure(client, url, bench.n, 64)
        again = f"{one.retries:.0f}" if client == OURS else "-"
        print(f"{client:<18}{one.sent:>9.0f}{one.lost:>8.0f}{again:>12}{one.cpu_per_1000:>14.3f}{one.rate:>10.0f}")


def chosen(names: str) -> list[str]:
    """The clients named, without those that are not installed."""
    clients = []
    for client in names.split(","):
        if client not in (OURS, GO, *PACKAGES):
            sys.exit(f"no client {client!r}: there are {', '.join([OURS, GO, *PACKAGES])}")
        if client in PACKAGES and importlib.util.find_spec(PACKAGES[client]) is None:
            print(f"{client} is left out: pip install {PACKAGES[client]}", file=sys.stderr)
        else:
            clients.append(client)
    return clients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=6000, help="records of each run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clients", default=",".join([OURS, GO, *PACKAGES]))
    parser.add_argument("--latency", default="0ms,50ms")
    parser.add_argument("--concurrencies", default="64,256")
    parser.add_argument("--faults", action="store_true", help="count lost records instead, at 50 ms and 64 at once")
    arguments = parser.parse_args()
    arguments.clients = chosen(arguments.clients)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.n)
        (compare_losses if arguments.faults else compare)(bench, arguments)


if __name__ == "__main__":
    main()
