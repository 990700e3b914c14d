"""False marks and power of the judges' report card, by simulation with planted faults.

    python bench/judging/card.py [--tournaments 500] [--instructions 120]

Needs numpy and scipy (the `jobs` extra); `PYTHONPATH=jobs` where tiltyard is not installed.

Answers are those of simulated experts, of lengths that are further apart, read by judges as `tiltyard_jobs.sim.judging`
has it: the difference of two qualities, moved by a judge's lasting error, an error of each order, and its biases; noise
and biases are in units of quality. One judge has a fault, or none. Shown are the shares of the tournaments in which a
column marks a judge that does not have that fault (false), and, where there is a fault of that column, the judge that
has it (found); last, the mean of that judge's scale, the measure of its noise.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.covariate import length_difference
from tiltyard_jobs.rating.judge_bias import Families
from tiltyard_jobs.rating.report_card import report_card
from tiltyard_jobs.rating.votes import Verdicts
from tiltyard_jobs.sim.answering import write_answer
from tiltyard_jobs.sim.assessment import assess
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.mining import write_instruction
from tiltyard_jobs.sim.parameters import parse_sim_uri

SKILLS = (0.82, 0.74, 0.66, 0.58, 0.5)
VERBOSITY = (0.3, 0.6, 0.2, 0.5, 0.4)
SPREAD = 0.5  # of the logarithm of an answer's length, beyond what its words need
BANK = 1500  # instructions that a tournament's are drawn from
SHARPNESS, TIE = 12.0, 0.24  # see `sim.judging`


@dataclass(frozen=True)
class Fault:
    """What judge 0 has beyond the other judges; kin: the place of the player whose family it is of."""

    noise: float = 0.15
    position: float = 0.03
    length: float = 0.02
    family: float = 0.0
    kin: int | None = None
    verbosity: float | None = None


FAULTS = {
    "none": (Fault(), None),
    "none, of the strongest family": (Fault(kin=0), None),
    "none, of the weakest family": (Fault(kin=-1), None),
    "noise 0.6, of the strongest family": (Fault(noise=0.6, kin=0), None),
    "noise 0.6, of the weakest family": (Fault(noise=0.6, kin=-1), None),
    "noise 1, of the strongest family": (Fault(noise=1.0, kin=0), None),
    "noise 1, of the weakest family": (Fault(noise=1.0, kin=-1), None),
    "noise 3": (Fault(noise=3.0), "scale"),
    "verbosity 0.2, of the strongest family": (Fault(verbosity=0.2, kin=0), None),
    "verbosity 0.2, of the weakest family": (Fault(verbosity=0.2, kin=-1), None),
    "position 0.1": (Fault(position=0.1), "position"),
    "length 0.1": (Fault(length=0.1), "length"),
    "family 0.06, the strongest": (Fault(family=0.06, kin=0), "family"),
    "family 0.06, the weakest": (Fault(family=0.06, kin=-1), "family"),
}
COLUMNS = ("position", "scale", "length", "family")


@dataclass(frozen=True)
class Layout:
    """Who plays and who judges: neutral judges, or the players one another."""

    name: str
    players: int
    neutral: int = 0


@cache
def answers(skill: float, verbosity: float, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quality as it is read, and length, of an expert's answers to the bank's instructions."""
    expert = parse_sim_uri(f"sim://p{number}?skill={skill}&verbosity={verbosity}")
    texts = [write_answer(expert, text, Chance("answer", number, text), 0.0) for text in bank()]
    return np.array([assess(text).quality for text in texts]), np.array([float(len(text)) for text in texts])


@cache
def bank() -> tuple[str, ...]:
    """Instructions."""
    experts = [parse_sim_uri(f"sim://p{number}?skill={skill}") for number, skill in enumerate(SKILLS)]
    return tuple(write_instruction(experts[row % len(experts)], Chance("bank", row), 0.8) for row in range(BANK))


def tournament(
    layout: Layout, fault: Fault, instructions: int, rng: np.random.Generator
) -> tuple[Verdicts, NDArray[np.float64], Families]:
    """Verdicts, length differences and families."""
    players, judges = layout.players, layout.neutral or layout.players
    order = rng.permutation(players)  # of the skills; judge 0 and player 0 are anyone
    texts = [
        answers(SKILLS[order[p]], VERBOSITY[p] if fault.verbosity is None or p else fault.verbosity, int(order[p]))
        for p in range(players)
    ]
    rows = rng.integers(0, BANK, instructions)
    quality, length = (np.stack([text[part][rows] for text in texts], axis=1) for part in (0, 1))
    length = length * np.exp(rng.normal(0, SPREAD, length.shape))
    instruction = np.repeat(np.arange(instructions), players - 1)
    attacker = instruction % players
    defender = (attacker + np.tile(np.arange(1, players), instructions)) % players

    noise = np.full(judges, 0.15)
    noise[0] = fault.noise
    position, longer = np.full(judges, 0.03), np.full(judges, 0.02)
    position[0], longer[0] = fault.position, fault.length
    lasting = rng.normal(0, 0.5, (instructions, players, judges)) * noise
    a, b = quality[instruction, attacker], quality[instruction, defender]
    seen = (a - b)[:, None] + lasting[instruction, attacker] - lasting[instruction, defender]
    ratio = np.log2((length[instruction, attacker] + 1) / (length[instruction, defender] + 1))
    seen = seen + longer * ratio[:, None]
    families = Families(np.arange(players), np.full(judges, -1))
    if fault.kin is not None:
        others = [p for p in np.argsort(order) if layout.neutral or p != 0]  # by skill, strongest first
        kin = int(others[fault.kin])
        families.judges[0] = kin
        seen[:, 0] += fault.family * ((attacker == kin).astype(float) - (defender == kin))
    shown = []
    for judge in range(judges):
        sees = np.flatnonzero((attacker != judge) & (defender != judge) if not layout.neutral else attacker >= 0)
        size = len(sees)
        for first in (True, False):
            mood = rng.normal(0, np.sqrt(0.5) * noise[judge], size)
            half = SHARPNESS * (seen[sees, judge] + mood + (position[judge] if first else -position[judge])) / 2
            up, down = np.exp(half), np.exp(-half)
            vote = (up + np.exp(TIE) / 2) / (up + down + np.exp(TIE))
            battle = (instruction[sees], attacker[sees], defender[sees])
            shown.append((*battle, np.full(size, judge), np.full(size, first), vote))
    columns: list[Any] = [np.concatenate(column) for column in zip(*shown, strict=True)]
    rows, a, b, judged_by, in_order, votes = columns
    verdicts = Verdicts(rows, a, b, judged_by, in_order, votes, players, judges)
    lengths = [length[verdicts.instruction, player] for player in (verdicts.attacker, verdicts.defender)]
    return verdicts, length_difference(*lengths), families


def line(name: str, layout: Layout, arguments: argparse.Namespace) -> str:
    """False marks in each column, and how often the fault was found."""
    fault, planted = FAULTS[name]
    rng = np.random.default_rng(arguments.seed)
    false, found, scales = dict.fromkeys(COLUMNS, 0), 0, []
    for _ in range(arguments.tournaments):
        verdicts, difference, families = tournament(layout, fault, arguments.instructions, rng)
        card = report_card(verdicts, length_difference=difference, families=families)
        scales.append(card.scale.value[0])
        for column in COLUMNS:
            marked = getattr(card, column).marked
            found += bool(column == planted and marked[0])
            false[column] += bool(marked[int(column == planted) :].any())
    cells = [f"{100 * false[column] / arguments.tournaments:.1f}%" for column in COLUMNS]
    power = f"{100 * found / arguments.tournaments:.0f}%" if planted else ""
    return f"{name:38}" + "".join(f"{cell:>10}" for cell in (*cells, power, f"{np.nanmean(scales):.2f}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=120)
    parser.add_argument("--tournaments", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for layout in (Layout("four players, four neutral judges", 4, 4), Layout("five players judge one another", 5)):
        print(f"{layout.name}, {arguments.instructions} instructions")
        print(f"{'fault of one judge':38}" + "".join(f"{head:>10}" for head in (*COLUMNS, "found", "its scale")))
        for name in FAULTS:
            print(line(name, layout, arguments), flush=True)
        print()


if __name__ == "__main__":
    main()
