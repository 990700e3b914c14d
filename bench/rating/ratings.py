"""Bradley-Terry ratings and bootstrap intervals: ours, FastChat's best way, and arena-rank, in one run.

    python bench/rating/ratings.py [--outcomes 1000000] [--players 32] [--instructions 32000] [--samples 1000]

Needs numpy and scipy (the `jobs` extra); `PYTHONPATH=jobs` where tiltyard is not installed. Peers:

- FastChat's best: weighted logistic regression on the distinct (pair, outcome) rows, a multinomial draw of their counts
  for each sample, L-BFGS-B for each fit, over a pool of processes (lm-sys/FastChat, fastchat/serve/monitor/
  rating_systems.py, compute_bootstrap_bt, from pull request 3523). It is in no release on PyPI, so the algorithm is
  written again below; `--fastchat path/to/rating_systems.py` times the original file instead (needs pandas and tqdm).
- arena-rank 0.1.1, where it can be imported: its bootstrap, extrapolated from a few samples. Best run in an interpreter
  of its own: pip install arena-rank==0.1.1 scipy.

Every time is the median of `--repeat` runs (peers: one run) from integer or name columns to ratings or intervals. Where
cores are shared, compare the ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from tiltyard_jobs.rating import bootstrap
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.elo import elo
from tiltyard_jobs.rating.scale import CENTRE, POINTS_PER_NAT

FloatArray = NDArray[np.float64]


class Line(NamedTuple):
    """A line of the table: what ran, its seconds, and the largest difference of its ratings from ours, in points."""

    name: str
    seconds: float
    difference: float | None = None
    note: str = ""


def tournament(players: int, outcomes: int, instructions: int, seed: int) -> Battles:
    """Attacker against defenders, wins, ties and losses from a Bradley-Terry model."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0.0, 0.6, players)
    row = np.arange(outcomes)
    instruction = row % instructions
    attacker = instruction % players
    defender = (attacker + 1 + (row // instructions) % (players - 1)) % players
    score = rng.binomial(2, expit(strength[attacker] - strength[defender])) / 2.0
    return Battles(instruction, attacker, defender, score, players)


def timed(work: Callable[[], Any], repeat: int = 1) -> tuple[float, Any]:
    """Median seconds of `repeat` runs, and the last result."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


# FastChat's algorithm, written again: see the module's docstring.


def fit_distinct(weights: FloatArray, pairs: NDArray[np.int64], outcomes: FloatArray, players: int) -> FloatArray:
    """Strengths in nats of one weighting of the distinct rows, by L-BFGS-B at FastChat's settings."""

    def loss(strength: FloatArray) -> tuple[float, FloatArray]:
        probability = expit(strength[pairs[:, 0]] - strength[pairs[:, 1]])
        likelihood = outcomes * np.log(probability) + (1.0 - outcomes) * np.log(1.0 - probability)
        residual = weights * (probability - outcomes)
        gradient = np.zeros(players)
        np.add.at(gradient, pairs, residual[:, None] * np.array([1.0, -1.0]))
        return float(-(weights @ likelihood)), gradient

    result = minimize(
        loss, np.zeros(players), jac=True, method="L-BFGS-B", options={"maxiter": 100, "gtol": 1e-6 / np.log(10.0)}
    )
    strength: FloatArray = result.x
    return strength


def distinct_rows(battles: Battles) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]:
    """The distinct (player a, player b, outcome) rows and how often each comes."""
    rows = np.stack([battles.player_a, battles.player_b, (2 * battles.score).astype(np.int64)], axis=1)
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    return unique[:, :2], unique[:, 2] / 2.0, counts


def fastchat_ratings(battles: Battles) -> FloatArray:
    """One fit of all data."""
    pairs, outcomes, counts = distinct_rows(battles)
    return fit_distinct(counts / counts.sum(), pairs, outcomes, battles.players) * POINTS_PER_NAT + CENTRE


def fastchat_bootstrap(battles: Battles, samples: int) -> FloatArray:
    """(samples, N) ratings, fitted by a pool of processes."""
    pairs, outcomes, counts = distinct_rows(battles)
    total = len(battles.score)
    weights = np.random.default_rng(0).multinomial(total, counts / total, size=samples) / total
    fit = partial(fit_distinct, pairs=pairs, outcomes=outcomes, players=battles.players)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        return np.array(list(pool.imap(fit, weights))) * POINTS_PER_NAT + CENTRE


def frame(battles: Battles) -> Any:
    """The battles as the peers read them."""
    import pandas as pd

    names = np.array([f"player-{index:03d}" for index in range(battles.players)])
    winner = np.array(["model_b", "tie", "model_a"])[(2 * battles.score).astype(np.int64)]
    return pd.DataFrame({"model_a": names[battles.player_a], "model_b": names[battles.player_b], "winner": winner})


def load_fastchat(path: str) -> ModuleType:
    """FastChat's own rating_systems.py."""
    spec = importlib.util.spec_from_file_location("rating_systems", path)
    if spec is None or spec.loader is None:
        sys.exit(f"--fastchat {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["rating_systems"] = module  # its pool pickles functions by this name
    spec.loader.exec_module(module)
    return module


def original_fastchat(path: str, battles: Battles, samples: int, ratings: FloatArray) -> list[Line]:
    """Times of FastChat's own file."""
    module, data = load_fastchat(path), frame(battles)
    seconds, fitted = timed(lambda: module.compute_bt(data))
    difference = float(np.abs(fitted.sort_index().to_numpy() - ratings).max())
    bootstrap_seconds, _ = timed(lambda: module.compute_bootstrap_bt(data, samples))
    return [
        Line("FastChat, its own file: ratings", seconds, difference),
        Line("FastChat, its own file: bootstrap", bootstrap_seconds),
    ]


def arena_rank(battles: Battles, samples: int, few: int, ratings: FloatArray) -> list[Line]:
    """Times of arena-rank, its bootstrap from `few` samples on."""
    try:
        from arena_rank.models.bradley_terry import BradleyTerry
        from arena_rank.utils.data_utils import PairDataset
    except ImportError:
        print("arena-rank is not installed here: left out (pip install arena-rank==0.1.1)", file=sys.stderr)
        return []
    data = frame(battles)

    def fit(**options: Any) -> FloatArray:
        model = BradleyTerry(n_competitors=battles.players, **options)
        return np.asarray(model.compute_ratings_and_cis(PairDataset.from_pandas(data))["ratings"])

    default_seconds, default = timed(fit)
    _, exact = timed(lambda: fit(ftol=0.0, gtol=1e-12))
    prepared = PairDataset.from_pandas(data)
    model = BradleyTerry(n_competitors=battles.players)
    model.fit(prepared)
    seconds, _ = timed(
        lambda: model.compute_ratings_and_cis(prepared, ci_method="bootstrap", num_bootstrap=few, n_jobs=1)
    )
    return [
        Line("arena-rank: ratings, its defaults", default_seconds, float(np.abs(default - ratings).max())),
        Line("arena-rank: ratings, to the maximum", default_seconds, float(np.abs(exact - ratings).max()), "ftol=0"),
        Line("arena-rank: bootstrap, one process", seconds * samples / few, None, f"from {few} samples"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, default=1_000_000)
    parser.add_argument("--players", type=int, default=32)
    parser.add_argument("--instructions", type=int, default=32_000)
    parser.add_argument("--samples", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--fastchat", metavar="FILE", help="FastChat's rating_systems.py")
    parser.add_argument("--arena-samples", type=int, default=5)
    parser.add_argument("--elo", action="store_true", help="time Elo over 100 orders as well")
    arguments = parser.parse_args()
    battles = tournament(arguments.players, arguments.outcomes, arguments.instructions, arguments.seed)
    samples = arguments.samples

    seconds, ours = timed(lambda: bradley_terry(battles), arguments.repeat)
    ratings = ours.ratings
    plain_seconds, plain = timed(lambda: bootstrap.plain(battles, seed=0, samples=samples), arguments.repeat)
    clustered_seconds, _ = timed(lambda: bootstrap.clustered(battles, seed=0, samples=samples), arguments.repeat)
    lines = [
        Line("tiltyard: ratings", seconds, 0.0),
        Line("tiltyard: bootstrap, plain", plain_seconds),
        Line("tiltyard: bootstrap, clustered", clustered_seconds, None, "the product's default"),
    ]
    if arguments.elo:
        elo_seconds, _ = timed(lambda: elo(battles, seed=0))
        lines.append(Line("tiltyard: Elo, 100 orders", elo_seconds))
    peer_seconds, peer = timed(lambda: fastchat_ratings(battles))
    lines.append(Line("FastChat's algorithm: ratings", peer_seconds, float(np.abs(peer - ratings).max())))
    bootstrap_seconds, peer_samples = timed(lambda: fastchat_bootstrap(battles, samples))
    lines.append(Line("FastChat's algorithm: bootstrap", bootstrap_seconds))
    if arguments.fastchat:
        lines += original_fastchat(arguments.fastchat, battles, samples, ratings)
    lines += arena_rank(battles, samples, arguments.arena_samples, ratings)

    print(
        f"{len(battles.score):,} outcomes, {battles.players} players, {arguments.instructions:,} instructions,", end=" "
    )
    print(f"{samples:,} samples, {os.cpu_count()} cores")
    print(f"{'':38}{'seconds':>10}{'x plain':>10}{'x clustered':>13}{'max |difference|':>18}")
    for line in lines:
        difference = "" if line.difference is None else f"{line.difference:.1e}"
        print(
            f"{line.name:38}{line.seconds:10.3f}{line.seconds / plain_seconds:10.1f}"
            f"{line.seconds / clustered_seconds:13.1f}{difference:>18}  {line.note}"
        )
    widths = [
        float(np.ptp(np.percentile(each, [2.5, 97.5], axis=0), axis=0).mean()) for each in (plain.samples, peer_samples)
    ]
    print(f"mean width of the plain intervals, points: tiltyard {widths[0]:.3f}, FastChat's algorithm {widths[1]:.3f}")


if __name__ == "__main__":
    main()
