"""What a jury is worth, and win rates corrected by labels: on recorded votes, and by simulation.

    python bench/judging/worth.py --verdicts FILE [--labels FILE]
    python bench/judging/worth.py [--tournaments 200] [--instructions 120]

Needs numpy and scipy (the `jobs` extra), and pyarrow for files; `PYTHONPATH=jobs` where tiltyard is not installed.

`--verdicts`: columns instruction_id, model_a, model_b, judge, order (AB or BA), winner (model_a, model_b or tie); a
player's verdicts on its own battles are left out. `--labels`: instruction_id, model_a, model_b, winner, either way
round, several for one battle if need be (the majority counts, a tie says nothing). Without labels the higher-rated
player's answer stands in for the better one. prd.py makes both files from PRD's recorded tournament of five models and
its human votes, of which docs/method.md has the table.

Without a file: players with planted strengths, judges that prefer the better answer by rates that are planted too,
and err together as often as asked for. Shown is how often the interval of a corrected win rate holds the truth, and
how far the plain rate is from it, by the number of labelled battles.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.calibration import corrected, rates, with_jury
from tiltyard_jobs.rating.jury import Opinions, Worth, agreement, opinions_of, worth
from tiltyard_jobs.rating.votes import Verdicts, tally

VOTES = {"model_a": 1.0, "model_b": 0.0}


def recorded(path: str) -> tuple[Verdicts, list[Any], list[str]]:
    """Verdicts of judges that do not play, the instructions' names by rank, and the players'."""
    import pyarrow.parquet as pq

    rows = [row for row in pq.read_table(path).to_pylist() if row["judge"] not in (row["model_a"], row["model_b"])]
    names = sorted({row[side] for row in rows for side in ("model_a", "model_b", "judge")})
    ids = sorted({row["instruction_id"] for row in rows})

    def column(name: str, place: list[Any]) -> NDArray[np.int64]:
        return np.array([place.index(row[name]) for row in rows])

    a, b, judge = (column(name, names) for name in ("model_a", "model_b", "judge"))
    in_order = np.array([row["order"] == "AB" for row in rows])
    votes = np.array([VOTES.get(row["winner"], 0.5) for row in rows])
    verdicts = Verdicts(column("instruction_id", ids), a, b, judge, in_order, votes, len(names), len(names))
    return verdicts, ids, names


def labels_of(path: str, opinions: Opinions, ids: list[Any], names: list[str]) -> NDArray[np.float64]:
    """The label of each battle: 1 the attacker's answer is better, 0 the defender's, 1/2 nothing is said."""
    import pyarrow.parquet as pq

    found: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        a, b, vote = names.index(row["model_a"]), names.index(row["model_b"]), VOTES.get(row["winner"], 0.5)
        found[ids.index(row["instruction_id"]), a, b].append(vote)
        found[ids.index(row["instruction_id"]), b, a].append(1.0 - vote)
    battles = zip(opinions.instruction.tolist(), opinions.attacker.tolist(), opinions.defender.tolist(), strict=True)
    return np.array([np.mean(found.get(battle, [0.5])) for battle in battles])


def show(title: str, found: Worth, names: list[str]) -> None:
    """One jury."""
    print(f"{title}: {found.battles} battles, {found.judges:.2f} judges on each")
    (votes,), (low,), (high,) = found.votes
    print(f"  effective votes {votes:.2f} ({low:.2f} to {high:.2f}), correlation of errors {found.correlation:.2f}")
    print(
        f"  the jury is right in {100 * found.right.value[-1]:.1f}%, with independent errors "
        f"{100 * found.independent:.1f}%"
    )
    for place, name in enumerate(names):
        right, gain, nothing = found.right.value[place], found.gain, found.adds_nothing[place]
        print(
            f"  {name:14} right {100 * right:.1f}%, adds {100 * gain.value[place]:+.1f} points "
            f"({100 * gain.low[place]:+.1f} to {100 * gain.high[place]:+.1f}){', adds nothing' if nothing else ''}"
        )


def simulated(
    players: int, instructions: int, judges: int, together: float, rng: np.random.Generator
) -> tuple[Opinions, NDArray[np.bool_]]:
    """Opinions in all pairs, and whether the first answer of each is the better one."""
    skill = rng.normal(0, 0.8, players)
    quality = skill + rng.normal(0, 1.0, (instructions, players))
    a, b = np.triu_indices(players, 1)
    better = (quality[:, a] > quality[:, b]).ravel()
    right, wrong = rng.uniform(0.6, 0.9, judges), rng.uniform(0.1, 0.4, judges)
    chance = np.where(better[:, None], right, wrong)
    common = rng.uniform(size=(len(better), 1))
    own = rng.uniform(size=chance.shape)
    share = (np.where(rng.uniform(size=own.shape) < together, common, own) < chance).astype(float)
    rows = np.repeat(np.arange(instructions), len(a))
    return Opinions(rows, np.tile(a, instructions), np.tile(b, instructions), share), better


def line(labels: int, arguments: argparse.Namespace, rng: np.random.Generator) -> str:
    """Coverage of the corrected win rates, and the errors of both."""
    held, off, plain, told = [], [], [], []
    for _ in range(arguments.tournaments):
        opinions, better = simulated(5, arguments.instructions, 3, 0.4, rng)
        labelled = np.zeros(len(better), dtype=np.bool_)
        labelled[rng.choice(len(better), labels, replace=False)] = True
        whole = with_jury(opinions)
        found = corrected(whole, rates(whole.select(labelled), better[labelled]), 5)
        fought = np.bincount(opinions.attacker, minlength=5) + np.bincount(opinions.defender, minlength=5)
        won = np.bincount(opinions.attacker, better, minlength=5) + np.bincount(opinions.defender, ~better, minlength=5)
        truth = won / fought
        known = ~np.isnan(found.rate)
        told.append(known.mean())
        held.append(((found.low <= truth) & (truth <= found.high))[known].mean() if known.any() else np.nan)
        off.append(np.abs(found.rate - truth)[known].mean() if known.any() else np.nan)
        plain.append(np.abs(found.plain - truth)[known].mean() if known.any() else np.nan)
    return (
        f"{labels:8} {np.mean(told):10.2f} {np.nanmean(held):10.3f} {np.nanmean(off):12.3f} {np.nanmean(plain):12.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=120)
    parser.add_argument("--tournaments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verdicts", metavar="FILE", help="recorded verdicts, as parquet")
    parser.add_argument("--labels", metavar="FILE", help="the better answers, as parquet")
    arguments = parser.parse_args()
    if arguments.verdicts:
        verdicts, ids, names = recorded(arguments.verdicts)
        opinions = opinions_of(verdicts)
        print(f"Krippendorff's alpha {agreement(opinions):.2f}")
        ratings = bradley_terry(tally(verdicts).battles()).ratings
        show("by ratings", worth(opinions, ratings[opinions.attacker] > ratings[opinions.defender]), names)
        if arguments.labels:
            label = labels_of(arguments.labels, opinions, ids, names)
            show("by labels", worth(opinions.select(label != 0.5), label[label != 0.5] > 0.5), names)
        return
    rng = np.random.default_rng(arguments.seed)
    print("Win rates of five players by three judges and their jury, corrected by labels")
    print(f"{'labels':>8} {'told':>10} {'coverage':>10} {'error':>12} {'plain error':>12}")
    for labels in (30, 100, 300, 1000):
        print(line(labels, arguments, rng), flush=True)


if __name__ == "__main__":
    main()
