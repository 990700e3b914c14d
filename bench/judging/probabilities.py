"""Plain and calibrated votes by probabilities, by simulation: ranks, the size of gaps, coverage.

    python bench/judging/probabilities.py [--tournaments 200] [--instructions 60]

Needs numpy and scipy (the `jobs` extra); `PYTHONPATH=jobs` where tiltyard is not installed.

Six players; three neutral judges see the difference of two answers' qualities with an error that lasts and one of each
order, and give its log-odds times a scale of their own, moved by the place of an answer. Shown are Kendall's tau with
the true order, the ratio of the spread of the ratings to that of the truth (how often an answer is the better one),
and how often the ratings' intervals hold the truth.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import kendalltau

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.intervals import intervals
from tiltyard_jobs.rating.probability import calibrated, scales
from tiltyard_jobs.rating.votes import Verdicts, tally

PLAYERS = 6
JURIES = {
    "scales 0.1, 0.1, 0.1": ((0.1, 0.1, 0.1), (0.0, 0.0, 0.0), 0.5),
    "scales 0.1, 1, 3": ((0.1, 1.0, 3.0), (0.0, 0.0, 0.0), 0.5),
    "scales 0.1, 1, 3, position": ((0.1, 1.0, 3.0), (0.3, 0.5, -1.0), 0.5),
    "scales 1, 1, 1": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.5),
    "scales 3, 3, 0.1 with noise 3": ((3.0, 3.0, 0.1), (0.0, 0.0, 0.0), 3.0),
}


def tournament(
    scale: tuple[float, ...], position: tuple[float, ...], noise: float, instructions: int, rng: np.random.Generator
) -> tuple[Verdicts, NDArray[np.float64]]:
    """Verdicts on all pairs, and the players' strengths; the last judge has the noise."""
    strength = rng.normal(0, 0.7, PLAYERS)
    quality = strength + rng.normal(0, 0.7, (instructions, PLAYERS))
    a, b = np.triu_indices(PLAYERS, 1)
    rows, attacker, defender = (
        np.repeat(np.arange(instructions), len(a)),
        np.tile(a, instructions),
        np.tile(b, instructions),
    )
    columns = []
    for judge, (size, shift) in enumerate(zip(scale, position, strict=True)):
        spread = noise if judge == len(scale) - 1 else 0.5
        seen = quality[rows, attacker] - quality[rows, defender] + rng.normal(0, spread, len(rows))
        for first in (True, False):
            odds = size * (seen + rng.normal(0, spread / 2, len(rows))) + (shift if first else -shift) * size
            columns.append(
                (rows, attacker, defender, np.full_like(rows, judge), np.full(len(rows), first), expit(odds))
            )
    joined: list[Any] = [np.concatenate(column) for column in zip(*columns, strict=True)]
    instruction, a, b, judged_by, in_order, vote = joined
    return Verdicts(instruction, a, b, judged_by, in_order, vote, PLAYERS, len(scale)), strength


def truth_of(strength: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Ratings of a great many battles in which the better answer always wins."""
    quality = strength + rng.normal(0, 0.7, (4000, PLAYERS))
    a, b = np.triu_indices(PLAYERS, 1)
    won = (quality[:, a] > quality[:, b]).astype(float).ravel()
    rows = np.repeat(np.arange(4000), len(a))
    return bradley_terry(Battles(rows, np.tile(a, 4000), np.tile(b, 4000), won, PLAYERS)).ratings


def line(name: str, arguments: argparse.Namespace) -> str:
    """All measures, plain and calibrated."""
    rng = np.random.default_rng(arguments.seed)
    found: dict[str, list[list[float]]] = {"plain": [[], [], []], "calibrated": [[], [], []]}
    for _ in range(arguments.tournaments):
        verdicts, strength = tournament(*JURIES[name], arguments.instructions, rng)
        truth = truth_of(strength, rng)
        for kind, votes in (("plain", verdicts), ("calibrated", calibrated(verdicts, scales(verdicts)))):
            battles = tally(votes).battles()
            ratings, between = bradley_terry(battles).ratings, intervals(battles)
            found[kind][0].append(float(kendalltau(ratings, truth).statistic))
            found[kind][1].append(float(np.std(ratings) / np.std(truth)))
            found[kind][2].append(float(np.mean((between.low <= truth) & (truth <= between.high))))
    cells = [f"{np.mean(found[kind][measure]):>15.2f}" for measure in range(3) for kind in found]
    return f"{name:32}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=60)
    parser.add_argument("--tournaments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    heads = [f"{measure}, {kind}" for measure in ("tau", "spread", "held") for kind in ("plain", "cal.")]
    print(f"{'':32}" + "".join(f"{head:>15}" for head in heads))
    for name in JURIES:
        print(line(name, arguments), flush=True)


if __name__ == "__main__":
    main()
