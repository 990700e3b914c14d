"""Near-duplicate removal against datasketch's loop and rensa.

Needs: pip install datasketch rensa (rensa may be missing), beside the project with its `jobs` extra.

    PYTHONPATH=jobs python bench/curation/dedup.py --texts 50000

All see the same shingles (the set of lower-case words). Rates are texts per CPU second of the whole process. Recall is
the share of pairs at Jaccard >= 0.5 that become candidates, over all pairs of a seeded sample of texts with every other
text; precision the share of dropped texts that have a text before them at Jaccard >= 0.5 (kept before them, for ours).
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from corpus import instructions
from numpy.typing import NDArray
from scipy import sparse

from tiltyard_jobs.curation.dedup import SignatureIndex, deduplicate
from tiltyard_jobs.curation.text import words

THRESHOLD = 0.5
PERMUTATIONS = 128


class Run(NamedTuple):
    name: str
    texts: int
    cpu_seconds: float
    dropped: NDArray[np.bool_]
    is_candidate: Callable[[int, int], bool] | None


class Truth:
    """Exact Jaccard similarities of a text with all others, from an inverted index."""

    def __init__(self, sets: list[set[str]]) -> None:
        numbers: dict[str, int] = {}
        rows = [[numbers.setdefault(word, len(numbers)) for word in sorted(words_of)] for words_of in sets]
        self.sizes = np.array([len(row) for row in rows])
        indptr = np.concatenate([[0], np.cumsum(self.sizes)])
        columns = np.concatenate([np.array(row, dtype=np.int64) for row in rows])
        self.incidence = sparse.csr_array((np.ones(columns.size, dtype=np.int32), columns, indptr))

    def twins(self, texts: Iterable[int]) -> list[tuple[int, NDArray[np.int64]]]:
        """Every other text at or above the threshold, for each of `texts`."""
        found = []
        transposed = self.incidence.T.tocsr()
        for text in texts:
            shared = (self.incidence[[text]] @ transposed).tocoo()
            others, inter = shared.coords[1], shared.data
            union = self.sizes[text] + self.sizes[others] - inter
            found.append((text, np.sort(others[(inter >= THRESHOLD * union) & (others != text)])))
        return found


def run_tiltyard(texts: list[str]) -> Run:
    deduplicate(texts[:1000])
    start = time.process_time()
    result = deduplicate(texts, threshold=THRESHOLD, permutations=PERMUTATIONS)
    spent = time.process_time() - start
    keys = SignatureIndex.of(texts, threshold=THRESHOLD, permutations=PERMUTATIONS).keys
    return Run("tiltyard", len(texts), spent, ~result.kept, lambda i, j: bool((keys[:, i] == keys[:, j]).any()))


def run_datasketch(texts: list[str], *, batch: bool) -> Run:
    datasketch: Any = importlib.import_module("datasketch")
    lsh = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    dropped = np.zeros(len(texts), dtype=np.bool_)
    hits: set[tuple[int, int]] = set()
    queries = []
    start = time.process_time()
    for number, text in enumerate(texts):
        signature = datasketch.MinHash(num_perm=PERMUTATIONS)
        shingles = [word.encode() for word in set(words(text))]
        if batch:
            signature.update_batch(shingles)
        else:
            for shingle in shingles:
                signature.update(shingle)
        found = lsh.query(signature)
        dropped[number] = bool(found)
        queries.append(found)
        lsh.insert(number, signature)
    spent = time.process_time() - start
    for number, found in enumerate(queries):
        hits.update((number, other) for other in found)
    name = "datasketch, update_batch" if batch else "datasketch, the paper's loop"
    return Run(name, len(texts), spent, dropped, lambda i, j: (max(i, j), min(i, j)) in hits)


def run_rensa(texts: list[str]) -> Run:
    rensa: Any = importlib.import_module("rensa")
    lsh = rensa.RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=32)
    dropped = np.zeros(len(texts), dtype=np.bool_)
    queries = []
    start = time.process_time()
    for number, text in enumerate(texts):
        signature = rensa.RMinHash(num_perm=PERMUTATIONS, seed=42)
        signature.update(list(set(words(text))))
        found = lsh.query(signature)
        dropped[number] = bool(found)
        queries.append(found)
        lsh.insert(number, signature)
    spent = time.process_time() - start
    hits = {(number, other) for number, found in enumerate(queries) for other in found}
    return Run("rensa, candidates, 32 x 4", len(texts), spent, dropped, lambda i, j: (max(i, j), min(i, j)) in hits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=2_000, help="texts whose pairs are all checked")
    arguments = parser.parse_args()

    texts = instructions(arguments.texts, seed=arguments.seed)
    runs = [run_tiltyard(texts)]
    for peer in (
        lambda: run_datasketch(texts, batch=False),
        lambda: run_datasketch(texts, batch=True),
        lambda: run_rensa(texts),
    ):
        try:
            runs.append(peer())
        except ModuleNotFoundError as error:
            print(f"left out: {error.name} is not installed (pip install {error.name})")

    sets = [set(words(text)) for text in texts]
    truth = Truth(sets)
    rng = np.random.default_rng(arguments.seed)
    sample = rng.choice(len(texts), min(arguments.sample, len(texts)), replace=False).tolist()
    pairs = [(text, int(other)) for text, others in truth.twins(sample) for other in others]
    loop = next((run for run in runs if "loop" in run.name), None)
    print(
        f"{len(texts)} texts, {np.mean([len(s) for s in sets]):.0f} distinct words each, {len(pairs)} true pairs in the sample\n"
    )
    print(f"{'':30} {'texts/CPU s':>12} {'times loop':>11} {'dropped':>8} {'recall':>7} {'precision':>10}")
    for run in runs:
        rate = run.texts / run.cpu_seconds
        ratio = rate / (loop.texts / loop.cpu_seconds) if loop else float("nan")
        recall = np.mean([run.is_candidate(i, j) for i, j in pairs]) if run.is_candidate else float("nan")
        dropped = np.flatnonzero(run.dropped)
        checked = (
            dropped
            if run.name == "tiltyard"
            else rng.choice(dropped, min(arguments.sample, dropped.size), replace=False)
        )
        before = [others[others < text] for text, others in truth.twins(checked.tolist())]
        if run.name == "tiltyard":
            before = [others[~run.dropped[others]] for others in before]
        precision = np.mean([others.size > 0 for others in before])
        print(f"{run.name:30} {rate:12.0f} {ratio:11.1f} {dropped.size:8d} {recall:7.3f} {precision:10.3f}")


if __name__ == "__main__":
    main()
