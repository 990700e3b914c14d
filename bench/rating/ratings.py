"""Bradley-Terry ratings, their intervals and bootstraps: ours, FastChat's best way, and arena-rank, in one run.

    python bench/rating/ratings.py [--outcomes 1000000] [--players 32] [--instructions 32000] [--samples 1000]

Needs numpy and scipy (the `jobs` extra); `PYTHONPATH=jobs` where tiltyard is not installed. Peers:

- FastChat's best: weighted logistic regression on the distinct (pair, outcome) rows, a multinomial draw of their counts
  for each sample, L-BFGS-B for each fit, over a pool of processes (lm-sys/FastChat, fastchat/serve/monitor/
  rating_systems.py, compute_bootstrap_bt, from pull request 3523). It is in no release on PyPI, so the algorithm is
  written again below; `--fastchat path/to/rating_systems.py` times the original file instead (needs pandas and tqdm).
- arena-rank 0.1.1, where it can be imported: its bootstrap, extrapolated from a few samples. Best run in an interpreter
  of its own: pip install arena-rank==0.1.1 scipy.

Times run from integer or name columns to ratings or intervals, and are medians of `--repeat` runs (peers: one run). CPU
seconds count all processes and threads; where cores are shared with other work, they tell more than the clock.
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
from tiltyard_jobs.rating.elo import CENTRE, elo
from tiltyard_jobs.rating.intervals import intervals

FloatArray = NDArray[np.float64]


class Cost(NamedTuple):
    """Seconds by the clock, and of processors."""

    clock: float
    processor: float


class Line(NamedTuple):
    """A line of the table: what ran, how long, and the largest difference of its ratings from ours, in points."""

    name: str
    cost: Cost
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


def timed(work: Callable[[], Any], repeat: int = 1) -> tuple[Cost, Any]:
    """Median cost of `repeat` runs, and the last result."""
    costs = []
    for _ in range(repeat):
        start, used = time.perf_counter(), sum(os.times()[:4])
        result = work()
        costs.append(Cost(time.perf_counter() - start, sum(os.times()[:4]) - used))
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True))), result


# FastChat's algorithm, written again: see the module's docstring.


def fit_distinct(weights: FloatArray, pairs: NDArray[np.int64], outcomes: FloatArray, players: int) -> FloatArray:
    """Ratings of one weighting of the distinct rows, by L-BFGS-B at FastChat's settings, in its units of 400 points."""
    unit = np.log(10.0)

    def loss(strength: FloatArray) -> tuple[float, FloatArray]:
        probability = expit(unit * (strength[pairs[:, 0]] - strength[pairs[:, 1]]))
        likelihood = outcomes * np.log(probability) + (1.0 - outcomes) * np.log(1.0 - probability)
        residual = unit * weights * (probability - outcomes)
        gradient = np.zeros(players)
        np.add.at(gradient, pairs, residual[:, None] * np.array([1.0, -1.0]))
        return float(-(weights @ likelihood)), gradient

    result = minimize(loss, np.zeros(players), jac=True, method="L-BFGS-B", options={"maxiter": 100, "gtol": 1e-6})
    ratings: FloatArray = result.x * 400.0 + CENTRE
    return ratings


def distinct_rows(battles: Battles) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]:
    """The distinct (player a, player b, outcome) rows and how often each comes."""
    rows = np.stack([battles.player_a, battles.player_b, (2 * battles.score).astype(np.int64)], axis=1)
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    return unique[:, :2], unique[:, 2] / 2.0, counts


def fastchat_ratings(battles: Battles) -> FloatArray:
    """One fit of all data."""
    pairs, outcomes, counts = distinct_rows(battles)
    return fit_distinct(counts.astype(np.float64), pairs, outcomes, battles.players)


def fastchat_bootstrap(battles: Battles, samples: int) -> FloatArray:
    """(samples, N) ratings, fitted by a pool of processes."""
    pairs, outcomes, counts = distinct_rows(battles)
    total = len(battles.score)
    weights = np.random.default_rng(0).multinomial(total, counts / total, size=samples) / total
    fit = partial(fit_distinct, pairs=pairs, outcomes=outcomes, players=battles.players)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        return np.array(list(pool.imap(fit, weights)))


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
    cost, fitted = timed(lambda: module.compute_bt(data))
    difference = float(np.abs(fitted.sort_index().to_numpy() - ratings).max())
    bootstrap_cost, _ = timed(lambda: module.compute_bootstrap_bt(data, samples))
    return [
        Line("FastChat, its own file: ratings", cost, difference),
        Line("FastChat, its own file: bootstrap", bootstrap_cost),
    ]


def arena_rank(battles: Battles, samples: int, few: int, ratings: FloatArray) -> list[Line]:
    """Times of arena-rank, its bootstrap extrapolated from `few` samples.

    The samples are fitted by the function that its pool maps, in this process: a pool forked from a process that runs
    JAX may hang.
    """
    try:
        from arena_rank.models.bradley_terry import BradleyTerry, fit_single_bootstrap_sample
        from arena_rank.utils.data_utils import PairDataset
    except ImportError:
        print("arena-rank is not installed here: left out (pip install arena-rank==0.1.1)", file=sys.stderr)
        return []
    data = frame(battles)

    def fit(**options: Any) -> FloatArray:
        model = BradleyTerry(n_competitors=battles.players, **options)
        return np.asarray(model.compute_ratings_and_cis(PairDataset.from_pandas(data))["ratings"])

    default_cost, default = timed(fit)
    exact_cost, exact = timed(lambda: fit(ftol=0.0, gtol=1e-12))
    prepared = PairDataset.from_pandas(data)
    model = BradleyTerry(n_competitors=battles.players)
    model.fit(prepared)
    counts = np.asarray(prepared.counts)
    draws = np.random.default_rng(0).multinomial(int(counts.sum()), counts / counts.sum(), size=few).astype(np.float64)
    cost, _ = timed(lambda: [fit_single_bootstrap_sample(draw, model, prepared)["ratings"] for draw in draws])
    return [
        Line("arena-rank: ratings, its defaults", default_cost, float(np.abs(default - ratings).max())),
        Line("arena-rank: ratings, to the maximum", exact_cost, float(np.abs(exact - ratings).max()), "ftol=0"),
        Line(
            "arena-rank: bootstrap, one process",
            Cost(*(each * samples / few for each in cost)),
            note=f"from {few} samples",
        ),
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

    cost, ours = timed(lambda: bradley_terry(battles), arguments.repeat)
    ratings = ours.ratings
    plain_cost, plain = timed(lambda: bootstrap.plain(battles, seed=0, samples=samples), arguments.repeat)
    clustered_cost, _ = timed(lambda: bootstrap.clustered(battles, seed=0, samples=samples), arguments.repeat)
    profile_cost, _ = timed(lambda: intervals(battles), arguments.repeat)
    lines = [
        Line("tiltyard: ratings", cost, 0.0),
        Line("tiltyard: intervals", profile_cost, None, "the product's: profile and jackknife"),
        Line("tiltyard: bootstrap, plain", plain_cost),
        Line("tiltyard: bootstrap, clustered", clustered_cost),
    ]
    if arguments.elo:
        elo_cost, _ = timed(lambda: elo(battles, seed=0))
        lines.append(Line("tiltyard: Elo, 100 orders", elo_cost))
    peer_cost, peer = timed(lambda: fastchat_ratings(battles))
    lines.append(Line("FastChat's algorithm: ratings", peer_cost, float(np.abs(peer - ratings).max())))
    bootstrap_cost, peer_samples = timed(lambda: fastchat_bootstrap(battles, samples))
    lines.append(Line("FastChat's algorithm: bootstrap", bootstrap_cost))
    if arguments.fastchat:
        lines += original_fastchat(arguments.fastchat, battles, samples, ratings)
    lines += arena_rank(battles, samples, arguments.arena_samples, ratings)

    print(
        f"{len(battles.score):,} outcomes, {battles.players} players, {arguments.instructions:,} instructions,", end=" "
    )
    print(f"{samples:,} samples, {os.cpu_count()} cores")
    print(f"{'':36}{'clock s':>9}{'CPU s':>9}{'clock / plain':>15}{'/ clustered':>13}{'CPU / plain':>13}{'off by':>9}")
    for line in lines:
        difference = "" if line.difference is None else f"{line.difference:.1e}"
        clock, processor = line.cost
        print(
            f"{line.name:36}{clock:9.3f}{processor:9.3f}{clock / plain_cost.clock:15.1f}"
            f"{clock / clustered_cost.clock:13.1f}{processor / plain_cost.processor:13.1f}{difference:>9}  {line.note}"
        )
    width = float((plain.high - plain.low).mean())
    peer_width = float(np.ptp(np.percentile(peer_samples, [2.5, 97.5], axis=0), axis=0).mean())
    print(f"mean width of the plain intervals, points: tiltyard {width:.3f}, FastChat's algorithm {peer_width:.3f}")


if __name__ == "__main__":
    main()
