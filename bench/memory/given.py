"""Memory and time of reading given instructions, at N rows and at ten times as many, in each kind of file.

    python bench/memory/given.py [--rows 100000] [--bytes 100] [--kinds jsonl,json,csv,…]

Each file is read in a fresh process as preflight reads it: every text is looked at, its repeats and its id are
counted. Printed are the process's peak resident memory and the seconds. Needs the `jobs` extra alone. The goal: a
million rows of 100 bytes in less than 192 MiB, whatever the size of the file.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "jobs"))

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from tiltyard_jobs.contracts.tasks import StoreRef  # noqa: E402
from tiltyard_jobs.usertexts import check_texts  # noqa: E402

KINDS = ("jsonl", "jsonl.gz", "jsonl.zst", "json", "csv", "txt", "parquet", "arrow")
BATCH = 1000


class Measured(NamedTuple):
    peak_mib: float
    seconds: float
    mib: float


def rows_of(count: int, size: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        start = f"Instruction {number}: sort the list, then print it. "
        yield {"id": number, "prompt": (start + f"{number:x} " * size)[:size]}


def write(path: Path, count: int, size: int) -> None:
    """Write a file of the kind that its name says, itself in little memory."""
    rows = rows_of(count, size)
    kind = path.name.partition(".")[2]
    if kind in ("parquet", "arrow"):
        schema = pa.Table.from_pylist([{"id": 0, "prompt": ""}]).schema
        writer = pq.ParquetWriter(path, schema) if kind == "parquet" else pa.ipc.new_file(str(path), schema)
        with writer:
            while batch := list(islice(rows, BATCH)):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        return
    if kind == "csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["id", "prompt"])
            table.writeheader()
            table.writerows(rows)
        return
    lines = (f"{row['prompt']}\n" if kind == "txt" else json.dumps(row) + "\n" for row in rows)
    if kind == "json":
        lines = (("[" if number == 0 else ",") + line for number, line in enumerate(lines))
    openers: dict[str, Any] = {
        "jsonl.gz": partial(gzip.open, mode="wb", compresslevel=1),
        "jsonl.zst": pa.output_stream,
    }
    opened = openers.get(kind, partial(open, mode="wb"))(str(path))
    with opened as packed:
        for line in lines:
            packed.write(line.encode())
        if kind == "json":
            packed.write(b"]")


def child(path: Path) -> None:
    started = time.perf_counter()
    columns = {} if path.suffix == ".txt" else {"id": "id"}
    check_texts(path.as_uri(), "prompt", StoreRef(uri="file:///nowhere"), **columns)  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps((peak, time.perf_counter() - started)))


def measure(kind: str, rows: int, size: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"prompts.{kind}")
        write(path, rows, size)
        command = [sys.executable, __file__, "--child", str(path)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peak, seconds = json.loads(output)
        return Measured(peak, seconds, path.stat().st_size / (1 << 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="and ten times as many")
    parser.add_argument("--bytes", type=int, default=100, help="of one text")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child)
        return
    print(f"{'kind':<10} {'rows':>9} {'file MiB':>9} {'peak MiB':>9} {'seconds':>8} {'peak ratio':>11}")
    for kind in options.kinds.split(","):
        first: Measured | None = None
        for rows in (options.rows, 10 * options.rows):
            found = measure(kind, rows, options.bytes)
            ratio = "" if first is None else f"{found.peak_mib / first.peak_mib:>11.2f}"
            print(f"{kind:<10} {rows:>9} {found.mib:>9.0f} {found.peak_mib:>9.0f} {found.seconds:>8.1f} {ratio}")
            first = found


if __name__ == "__main__":
    main()
