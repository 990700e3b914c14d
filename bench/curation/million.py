"""A million instructions curated: lint, near duplicates, embeddings, k-center greedy; time and peak memory.

Needs: the project with its `jobs` extra.

    PYTHONPATH=jobs python bench/curation/million.py --texts 1000000 --centres 2800

The texts come from a file that is made first and read as a stream, as a shard would. The work runs in a child process,
whose peak of resident memory the system reports at its end: it holds the shingles, the embeddings and everything else
that a curation needs at once.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from corpus import instructions

from tiltyard_jobs.curation.dedup import deduplicate
from tiltyard_jobs.curation.embed import HashedNgrams
from tiltyard_jobs.curation.kcenter import k_center_greedy
from tiltyard_jobs.curation.lint import lint

_GENERATED = 50_000  # texts made by one seed


def write_texts(path: Path, count: int) -> None:
    with path.open("w") as file:
        for part, start in enumerate(range(0, count, _GENERATED)):
            file.writelines(f"{text}\n" for text in instructions(min(_GENERATED, count - start), seed=part))


def read_texts(path: Path) -> Iterator[str]:
    with path.open() as file:
        for line in file:
            yield line.rstrip("\n")


def curate(path: Path, centres: int) -> None:
    clock, cpu = time.perf_counter(), time.process_time()

    def report(stage: str, count: int) -> None:
        nonlocal clock, cpu
        now, spent = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{stage:14} {count:9d} {now - clock:8.1f} {spent - cpu:8.1f} {peak:14.2f}", flush=True)
        clock, cpu = time.perf_counter(), time.process_time()

    passed = np.fromiter((lint(text) is None for text in read_texts(path)), dtype=np.bool_)
    report("lint", int(passed.sum()))
    kept = np.zeros(passed.size, dtype=np.bool_)
    kept[passed] = deduplicate(itertools.compress(read_texts(path), passed)).kept
    report("dedup", int(kept.sum()))
    embedder = HashedNgrams()
    embeddings = np.empty((int(kept.sum()), embedder.dimension), dtype=np.float32)
    survivors = itertools.compress(read_texts(path), kept)
    for start in range(0, len(embeddings), 4096):
        embeddings[start : start + 4096] = embedder.embed(list(itertools.islice(survivors, 4096)))
    report("embed", len(embeddings))
    chosen = k_center_greedy(embeddings, centres)
    report("k-center", chosen.indices.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--centres", type=int, default=2_800)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.txt"
        write_texts(path, arguments.texts)
        print(f"{'stage':14} {'texts':>9} {'wall s':>8} {'CPU s':>8} {'peak RSS GiB':>14}")
        child = multiprocessing.get_context("spawn").Process(target=curate, args=(path, arguments.centres))
        child.start()
        child.join()
        if child.exitcode != 0:
            raise SystemExit(f"the child process ended with code {child.exitcode}")


if __name__ == "__main__":
    main()
