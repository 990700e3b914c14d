"""How often 95% intervals hold the truth: the product's, and the percentile bootstrap over instructions, in one run.

    python bench/rating/coverage.py [--tournaments 200] [--players 2 3 6 12 24] [--instructions 10 30 60]

Takes a minute of processor time. Needs numpy and scipy (the `jobs` extra); `PYTHONPATH=jobs` where tiltyard is not
installed. Attackers meet all defenders; each answer has luck of its own (`--luck` nats), so that the battles of one
instruction hang together. `--votes` may name any of these:

- `jury`: three judges in both orders name a winner; `graded`: two orders, shares of votes; `coin`: one vote;
  `ties`: one vote, a tie in 95 of 100 battles.
- `near`: the best player is three nats above the rest (95 of 100).

The truth is what endless instructions would give. `ratings`, `gaps`: share of intervals that hold it (gaps between
players that were chosen beforehand); `open`: share of ends that are open; `ranks`: share of players whose true rank is
in their rank range; `width`: mean of closed intervals, in points.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating import bootstrap
from tiltyard_jobs.rating import bradley_terry as bt
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.elo import CENTRE, POINTS_PER_NAT
from tiltyard_jobs.rating.intervals import intervals, rank_range

FloatArray = NDArray[np.float64]

TIED = 0.95  # of the votes in `ties`


def truth(strength: FloatArray, luck: float, tied: float) -> FloatArray:
    """Ratings from endless instructions: luck and ties draw expected scores to the middle."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    difference = strength[:, None] - strength[None, :]
    score = expit(difference[..., None] + np.sqrt(2.0) * luck * nodes) @ (weights / weights.sum())
    score = tied / 2 + (1 - tied) * score
    np.fill_diagonal(score, 0.0)
    graph = bt.connectivity(score[None])
    ratings: FloatArray = bt.to_points(bt.fit(score[None], graph), graph.same)[0]
    return ratings


def tournament(rng: np.random.Generator, strength: FloatArray, instructions: int, luck: float, votes: str) -> Battles:
    """Battles of attackers against all defenders."""
    players = len(strength)
    instruction = np.repeat(np.arange(instructions), players - 1)
    attacker = (instruction + rng.integers(players)) % players
    defender = (attacker + 1 + np.tile(np.arange(players - 1), instructions)) % players
    quality = strength + luck * rng.normal(size=(instructions, players))
    chance = expit(quality[instruction, attacker] - quality[instruction, defender])
    if votes == "graded":
        score = rng.beta(4 * chance + 1e-9, 4 * (1 - chance) + 1e-9, size=(2, len(chance))).mean(axis=0)
    else:
        number = 6 if votes == "jury" else 1
        score = rng.binomial(number, chance) / number
    if votes == "ties":
        score[rng.random(len(score)) < TIED] = 0.5
    return Battles(instruction, attacker, defender, score, players)


def cell(players: int, instructions: int, votes: str, near: bool, luck: float, number: int, samples: int) -> list[str]:
    """A line of the table."""
    rng = np.random.default_rng([players, instructions, near])
    counts: dict[str, list[float]] = {name: [] for name in ("new", "gap", "open", "rank", "width", "old", "old gap")}
    for _ in range(number):
        strength = rng.normal(0.0, 0.6, players)
        if near:
            strength[0] = np.delete(strength, 0).mean() + 3.0
        true = truth(strength, luck, TIED if votes == "ties" else 0.0)
        battles = tournament(rng, strength, instructions, luck, votes)
        # Gaps in the players' own order, which knows nothing of the outcome.
        found = intervals(battles, list(range(players)))
        gaps = true[:-1] - true[1:]
        known = ~np.isnan(found.gap[:-1])
        counts["new"].extend((found.low <= true) & (true <= found.high))
        counts["gap"].extend(((found.gap_low[:-1] <= gaps) & (gaps <= found.gap_high[:-1]))[known])
        counts["open"].extend(np.isinf([found.low, found.high]).mean(axis=0))
        width = (found.high - found.low)[np.isfinite(found.high - found.low)]
        counts["width"].extend(width)
        best, worst = rank_range(found.above)
        rank = 1 + (true[None, :] > true[:, None]).sum(axis=1)
        counts["rank"].extend((best <= rank) & (rank <= worst))
        old = bootstrap.clustered(battles, seed=0, samples=samples)
        counts["old"].extend((old.low <= true) & (true <= old.high))
        low, high = np.nanpercentile(old.samples[:, :-1] - old.samples[:, 1:], bootstrap.PERCENTILES, axis=0)
        counts["old gap"].extend((low <= gaps) & (gaps <= high))
    mean = {name: float(np.mean(values)) if values else float("nan") for name, values in counts.items()}
    return [f"{mean[name]:.2f}" for name in ("new", "gap", "open", "rank")] + [
        f"{mean['width']:.0f}", f"{mean['old']:.2f}", f"{mean['old gap']:.2f}"
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tournaments", type=int, default=200)
    parser.add_argument("--players", type=int, nargs="+", default=[2, 3, 6, 12, 24])
    parser.add_argument("--instructions", type=int, nargs="+", default=[10, 30, 60])
    parser.add_argument("--votes", nargs="+", default=["graded"], choices=["jury", "graded", "coin", "ties"])
    parser.add_argument("--luck", type=float, default=0.7)
    parser.add_argument("--samples", type=int, default=100, help="of the bootstrap")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # samples that fall apart
    print(f"{arguments.tournaments} tournaments a line, luck {arguments.luck}; mean rating {CENTRE:.0f},", end=" ")
    print(f"{POINTS_PER_NAT:.1f} points a nat")
    print("| players | instructions | votes | ratings | gaps | open | ranks | width | bootstrap: ratings | gaps |")
    print("|---" * 10 + "|")
    for players in arguments.players:
        for instructions in arguments.instructions:
            for votes in arguments.votes:
                for near in (False, True):
                    line = cell(
                        players, instructions, votes, near, arguments.luck, arguments.tournaments, arguments.samples
                    )
                    name = f"{votes}, near" if near else votes
                    print(f"| {players} | {instructions} | {name} | {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
