"""Near-duplicate removal against datasketch, as the paper's script uses it, and rensa.

Needs: pip install datasketch rensa (either may be missing), beside the project with its `jobs` extra.

    PYTHONPATH=jobs python bench/curation/dedup.py --texts 50000

All see the same words: lower case, without punctuation; datasketch and the project by 128 permutations at most for
the threshold 0.5. "Loop" queries each text and then inserts it. "Script" is what the paper published: it inserts all
texts, then makes each signature again and queries. Rates are texts per CPU second of the process. Recall is the share
of the pairs at Jaccard >= 0.5 that become candidates, over all pairs of a seeded sample of texts with every other
text; precision the share of dropped texts that have a text before them at Jaccard >= 0.5 (for the project: a kept one).
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
    queries = []
    start = time.process_time()
    for number, text in enumerate(texts):
        signature = datasketch.MinHash(num_perm=PERMUTATIONS)
        if batch:
            signature.update_batch([word.encode() for word in set(text.split())])
        else:
            for word in text.split():
                signature.update(word.encode())
        queries.append(lsh.query(signature))
        lsh.insert(number, signature)
    spent = time.process_time() - start
    name = f"datasketch {datasketch.__version__}, " + ("loop by update_batch" if batch else "loop")
    return from_queries(name, queries, spent)


def run_script(texts: list[str]) -> Run:
    datasketch: Any = importlib.import_module("datasketch")
    lsh = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)

    def signature_of(text: str) -> Any:
        signature = datasketch.MinHash(num_perm=PERMUTATIONS)
        for word in text.split():
            signature.update(word.encode())
        return signature

    start = time.process_time()
    for number, text in enumerate(texts):
        lsh.insert(number, signature_of(text))
    dropped = np.zeros(len(texts), dtype=np.bool_)
    for number, text in enumerate(texts):
        found = lsh.query(signature_of(text))
        dropped[number] = not (len(found) == 1 or all(other <= number for other in found))
    spent = time.process_time() - start
    # It keeps the last of a chain, so that "before" has no meaning for what it drops.
    return Run(f"datasketch {datasketch.__version__}, script", len(texts), spent, dropped, None)


def from_queries(name: str, queries: list[list[int]], spent: float) -> Run:
    hits = {(number, other) for number, found in enumerate(queries) for other in found}
    dropped = np.array([bool(found) for found in queries])
    return Run(name, len(queries), spent, dropped, lambda i, j: (max(i, j), min(i, j)) in hits)


def run_rensa(texts: list[str]) -> Run:
    rensa: Any = importlib.import_module("rensa")
    lsh = rensa.RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=32)
    queries = []
    start = time.process_time()
    for number, text in enumerate(texts):
        signature = rensa.RMinHash(num_perm=PERMUTATIONS, seed=42)
        signature.update(text.split())
        queries.append(lsh.query(signature))
        lsh.insert(number, signature)
    spent = time.process_time() - start
    return from_queries("rensa, candidates alone, 32 x 4", queries, spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=int, default=60, help="median words of a text")
    parser.add_argument("--sample", type=int, default=2_000, help="texts whose pairs are all checked")
    arguments = parser.parse_args()

    texts = instructions(arguments.texts, seed=arguments.seed, median_words=arguments.words)
    runs = [run_tiltyard(texts)]
    peers: list[Callable[[list[str]], Run]] = [
        run_rensa,
        lambda texts: run_datasketch(texts, batch=True),
        lambda texts: run_datasketch(texts, batch=False),
        run_script,
    ]
    for peer in peers:
        try:
            runs.append(peer(texts))
        except ModuleNotFoundError as error:
            print(f"left out: {error.name} is not installed (pip install {error.name})")

    sets = [set(words(text)) for text in texts]
    truth = Truth(sets)
    rng = np.random.default_rng(arguments.seed)
    sample = rng.choice(len(texts), min(arguments.sample, len(texts)), replace=False).tolist()
    pairs = [(text, int(other)) for text, others in truth.twins(sample) for other in others]
    mean = np.mean([len(words_of) for words_of in sets])
    print(f"{len(texts)} texts, {mean:.0f} distinct words each, {len(pairs)} true pairs in the sample\n")
    print(f"{'':36} {'texts/CPU s':>12} {'tiltyard is':>12} {'dropped':>8} {'recall':>7} {'precision':>10}")
    ours = runs[0].texts / runs[0].cpu_seconds
    for run in runs:
        rate = run.texts / run.cpu_seconds
        line = f"{run.name:36} {rate:12.0f} {ours / rate:10.1f} x {int(run.dropped.sum()):8d}"
        if run.is_candidate:
            recall = np.mean([run.is_candidate(i, j) for i, j in pairs])
            line += f" {recall:7.3f} {precision(run, truth, arguments.sample, rng):10.3f}"
        print(line)


def precision(run: Run, truth: Truth, sample: int, rng: np.random.Generator) -> float:
    """All dropped texts of the project are checked, a sample of the others'."""
    dropped = np.flatnonzero(run.dropped)
    ours = run.name == "tiltyard"
    if not ours:
        dropped = rng.choice(dropped, min(sample, dropped.size), replace=False)
    justified = 0
    for text, others in truth.twins(dropped.tolist()):
        before = others[others < text]
        justified += bool(before.size if not ours else (~run.dropped[before]).any())
    return justified / dropped.size


if __name__ == "__main__":
    main()
