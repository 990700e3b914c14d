"""k-center greedy against the step-by-step method on scikit-learn's distances and on float32 products.

Needs: pip install scikit-learn, beside the project with its `jobs` extra.

    PYTHONPATH=jobs python bench/curation/kcenter.py --vectors 200000 --centres 5000

The peers' time grows with the number of steps alone, so it is taken over `--steps` of them and multiplied; that the
picks and the radius are the same is checked on a smaller set that both do in full. Seconds of wall clock and of CPU:
set OPENBLAS_NUM_THREADS=1 where other work shares the machine.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.grid import Grid
from tiltyard_jobs.curation.kcenter import k_center_greedy, nearest_to_mean

Vectors = NDArray[np.float32]
Distances = Callable[[Vectors, Vectors], NDArray[Any]]


class Seconds(NamedTuple):
    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Seconds, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu), result


def unit_vectors(count: int, dimension: int, kind: str, seed: int) -> Vectors:
    """Vectors around many topics, as sentence embeddings lie (`topics`), or in no order at all (`sphere`)."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    if kind == "topics":
        topics = rng.standard_normal((max(1, count // 100), dimension), dtype=np.float32)
        vectors *= rng.uniform(0.2, 1.0, (count, 1)).astype(np.float32)
        vectors += topics[rng.integers(0, len(topics), count)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def scikit_learn() -> Distances:
    pairwise: Any = importlib.import_module("sklearn.metrics").pairwise_distances
    return lambda vectors, centre: pairwise(vectors, centre[None, :])[:, 0]


def float32_product() -> Distances:
    return lambda vectors, centre: np.sqrt(np.maximum(2.0 - 2.0 * (vectors @ centre), 0.0))


def step_by_step(vectors: Vectors, steps: int, distances: Distances) -> tuple[list[int], float]:
    picks = [nearest_to_mean(vectors, Grid(vectors))]
    nearest = distances(vectors, vectors[picks[0]])
    while len(picks) < steps:
        picks.append(int(np.argmax(nearest)))
        np.minimum(nearest, distances(vectors, vectors[picks[-1]]), out=nearest)
    return picks, float(nearest.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--centres", type=int, default=5_000)
    parser.add_argument("--steps", type=int, default=25, help="steps of the peers that are timed")
    parser.add_argument("--kind", choices=["topics", "sphere"], default="topics")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    peers: dict[str, Distances] = {"float32 product, step by step": float32_product()}
    try:
        peers = {"scikit-learn, step by step": scikit_learn(), **peers}
    except ModuleNotFoundError:
        print("left out: scikit-learn is not installed (pip install scikit-learn)")

    small = unit_vectors(20_000, arguments.dimension, arguments.kind, arguments.seed)
    ours = k_center_greedy(small, 500)
    print("20000 vectors, 500 centres, all in full:")
    print(f"  {'tiltyard':30} radius {ours.radius:.9f}")
    for name, distances in peers.items():
        picks, radius = step_by_step(small, 500, distances)
        same = int((np.array(picks) == ours.indices).sum())
        print(f"  {name:30} radius {radius:.9f}, {same} of 500 picks the same")

    vectors = unit_vectors(arguments.vectors, arguments.dimension, arguments.kind, arguments.seed)
    spent, result = timed(partial(k_center_greedy, vectors, arguments.centres))
    print(f"\n{arguments.vectors} x {arguments.dimension} ({arguments.kind}) -> {arguments.centres}:")
    print(f"  {'':30} {'wall s':>8} {'CPU s':>8} {'times (wall)':>13} {'times (CPU)':>12}")
    print(f"  {'tiltyard':30} {spent.wall:8.1f} {spent.cpu:8.1f} {1:13.1f} {1:12.1f}   radius {result.radius:.6f}")
    for name, distances in peers.items():
        step_by_step(vectors, 2, distances)
        few, _ = timed(partial(step_by_step, vectors, 2, distances))
        many, _ = timed(partial(step_by_step, vectors, 2 + arguments.steps, distances))
        scale = arguments.centres / arguments.steps
        whole = Seconds((many.wall - few.wall) * scale, (many.cpu - few.cpu) * scale)
        print(
            f"  {name:30} {whole.wall:8.1f} {whole.cpu:8.1f} {whole.wall / spent.wall:13.1f} "
            f"{whole.cpu / spent.cpu:12.1f}   extrapolated from {arguments.steps} steps"
        )


if __name__ == "__main__":
    main()
