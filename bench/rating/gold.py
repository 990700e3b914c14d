"""How often each gold rule picks what all pairs would, for a fraction of the verdicts.

    python bench/rating/gold.py [--instructions 150] [--tournaments 20] [--verdicts FILE.parquet]

Needs numpy and scipy (the `jobs` extra); `PYTHONPATH=jobs` where tiltyard is not installed.

An answer's quality is its author's strength, chance, and on the author's own instruction an advantage; judges vote by
the difference of two qualities, in both orders. All pairs meet; each rule sees only the battles of the attacker. Shown
is how often it picks the answer that all pairs pick (the mean over N - 1 opponents each), and the best answer in truth.

`--verdicts`: recorded verdicts on all pairs instead, of players that have no instructions of their own: attackers are
assigned at random, again for each tournament. Columns instruction_id, model_a, model_b, judge, winner (model_a, model_b
or tie); a player's verdicts on its own battles are left out. bench/judging/prd.py makes such a file from PRD's recorded
tournament of five models, the last line of the table in docs/method.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.contracts.vocabulary import GoldRule
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.covariate import home_side, with_covariate
from tiltyard_jobs.rating.elo import POINTS_PER_NAT, elo
from tiltyard_jobs.rating.gold import gold_answers

RULES = ("Sum", "Mean", "Pairwise, no home", "Pairwise")


class World(NamedTuple):
    """All pairs, who asks each instruction, and whose answer is best in truth (None: unknown)."""

    pairs: Battles
    attacker: NDArray[np.int64]
    best: NDArray[np.int64] | None


def simulated(players: int, instructions: int, home: float, votes: int, rng: np.random.Generator) -> World:
    """A tournament with planted strengths and a planted advantage of the attacker, in points."""
    attacker = rng.permutation(np.arange(instructions) % players)
    quality = rng.normal(0, 0.7, players) + rng.normal(0, 1.0, (instructions, players))
    quality[np.arange(instructions), attacker] += home / POINTS_PER_NAT
    a, b = np.triu_indices(players, 1)
    won = rng.binomial(votes, expit(quality[:, a] - quality[:, b])) / votes
    rows = np.repeat(np.arange(instructions), len(a))
    pairs = Battles(rows, np.tile(a, instructions), np.tile(b, instructions), won.ravel(), players)
    return World(pairs, attacker, quality.argmax(axis=1))


def recorded(path: str, rng: np.random.Generator) -> World:
    """Recorded verdicts, with attackers dealt out at random."""
    import pyarrow.parquet as pq

    votes: dict[tuple[Any, str, str], list[float]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        if row["judge"] not in (row["model_a"], row["model_b"]):
            vote = {"model_a": 1.0, "model_b": 0.0}.get(row["winner"], 0.5)
            votes[row["instruction_id"], row["model_a"], row["model_b"]].append(vote)
    names = sorted({name for _, *both in votes for name in both})
    ids = sorted({instruction for instruction, _, _ in votes})
    instruction = np.array([ids.index(key[0]) for key in votes])
    a, b = (np.array([names.index(key[side]) for key in votes]) for side in (1, 2))
    pairs = Battles(instruction, a, b, np.array([np.mean(given) for given in votes.values()]), len(names))
    return World(pairs, rng.permutation(np.arange(len(ids)) % len(names)), None)


def picks(world: World) -> dict[str, NDArray[np.int64]]:
    """Whose answer each rule picks, and `all pairs`."""
    count = len(world.attacker)
    side = home_side(world.pairs, world.attacker)
    seen = world.pairs.turned(side < 0).select(side != 0)
    plain, home = (with_covariate(seen, np.full(len(seen.score), z)) for z in (0.0, 1.0))
    ratings = elo(seen, seed=0).ratings

    def by(rule: GoldRule, battles: Battles, ratings: NDArray[np.float64], home: Any = 0.0) -> NDArray[np.int64]:
        return gold_answers(battles, ratings, instructions=count, rule=rule, home=home).player

    whole = with_covariate(world.pairs, side)

    return {
        "all pairs": by("Mean", world.pairs, whole.ratings, whole.worth * side),
        "Sum": by("Sum", seen, ratings),
        "Mean": by("Mean", seen, ratings),
        "Pairwise, no home": by("Pairwise", seen, plain.ratings),
        "Pairwise": by("Pairwise", seen, home.ratings, home.worth),
    }


def line(name: str, worlds: list[World]) -> str:
    """Agreement of each rule, over all tournaments."""
    agreed: dict[str, list[float]] = defaultdict(list)
    right: dict[str, list[float]] = defaultdict(list)
    for world in worlds:
        picked = picks(world)
        for rule in RULES:
            agreed[rule].append(float(np.mean(picked[rule] == picked["all pairs"])))
            if world.best is not None:
                right[rule].append(float(np.mean(picked[rule] == world.best)))
    cells = [
        f"{np.mean(agreed[rule]):.2f}" + (f" ({np.mean(right[rule]):.2f})" if right[rule] else "") for rule in RULES
    ]
    return f"{name:34}" + "".join(f"{cell:>19}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=150)
    parser.add_argument("--tournaments", type=int, default=20)
    parser.add_argument("--votes", type=int, default=8, help="verdicts on each battle")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verdicts", metavar="FILE", help="recorded verdicts, as parquet")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    print("Agreement with all pairs (and with the best answer in truth)")
    print(f"{'':34}" + "".join(f"{rule:>19}" for rule in RULES))
    if arguments.verdicts:
        print(line("recorded", [recorded(arguments.verdicts, rng) for _ in range(arguments.tournaments)]))
        return
    for players in (3, 5, 8):
        for home in (0.0, 50.0, 150.0, 300.0):
            worlds = [
                simulated(players, arguments.instructions, home, arguments.votes, rng)
                for _ in range(arguments.tournaments)
            ]
            print(line(f"{players} players, home {home:.0f} points", worlds))


if __name__ == "__main__":
    main()
