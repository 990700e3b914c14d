"""A run's judges held against labels: a file of the user's that names the better of two answers.

Nothing is judged again, and no artifact is made: labels may come at any time.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tiltyard_jobs.contracts.calibration import Calibration
from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.rating.jury import Opinions, opinions_of
from tiltyard_jobs.results.ballots import Ballots, Roster, read_ballots, sources_of
from tiltyard_jobs.results.calibrated import Labels, by_labels
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import CalibrateContext
from tiltyard_jobs.shard.pace import Pace
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.userfiles import read_records

COLUMNS = ("instruction_id", "model_a", "model_b", "winner")
WINNERS = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5}


async def calibrate(context: CalibrateContext) -> Summary:
    """Write what the labels say of the judges to the task's file."""
    found = await asyncio.to_thread(_calibrate, context)
    await asyncio.to_thread(Path(context.task.file).write_bytes, found.canonical())
    return Summary(exit_code=0)


def _calibrate(context: CalibrateContext) -> Calibration:
    task = context.task
    roster = Roster.of(task.ratings.lineup)
    records = [
        row for row in read_records(task.labels, task.store) if task.part is None or row.get("part") == task.part
    ]
    if task.part is not None and not records:
        raise ConfigurationError(f"{readable(task.labels)}: no label has {task.part!r} in its column 'part'")
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        artifacts = Artifacts(context.store, Path(folder))
        pace = Pace(context.stop, Progress(None, context.clock), len(sources_of(task.ratings.lineup)))
        ballots = read_ballots(artifacts, task.ratings.lineup, pace)
    opinions = opinions_of(ballots.verdicts)
    given = labels_of(records, readable(task.labels), ballots, opinions, roster)
    if np.isnan(given.label).all():
        raise ConfigurationError(
            f"{readable(task.labels)}: none of {len(records)} labels names the better answer of a battle of this run"
            f" (ties: {given.ties}, other battles: {given.unknown}); instruction_id, model_a and model_b must be those"
            " of tables/battles.parquet"
        )
    return by_labels(opinions, given, ballots, roster)


def labels_of(
    records: Iterable[dict[str, Any]], file: str, ballots: Ballots, opinions: Opinions, roster: Roster
) -> Labels:
    """The label of each battle, either way round; of several for one battle the majority.

    Raises:
        ConfigurationError: a record lacks a column, or has another winner.
    """
    names = [player.name for player in roster.players]
    known = np.unique(ballots.verdicts.instruction)
    place = {ballots.ids[int(number)].as_py(): rank for rank, number in enumerate(known)}
    columns = (opinions.instruction.tolist(), opinions.attacker.tolist(), opinions.defender.tolist())
    battles = list(zip(*columns, strict=True))
    fought = {*battles, *((where, b, a) for where, a, b in battles)}
    found: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    unknown = 0
    for number, row in enumerate(records, start=1):
        if missing := [name for name in COLUMNS if row.get(name) is None]:
            raise ConfigurationError(
                f"{file}: record {number} has no {missing[0]!r}; it must have {', '.join(COLUMNS)}"
            )
        if row["winner"] not in WINNERS:
            raise ConfigurationError(
                f"{file}: 'winner' is {row['winner']!r} in record {number}, but must be model_a, model_b or tie"
            )
        where, first, second = (
            place.get(str(row["instruction_id"]), -1),
            *(names.index(row[side]) if row[side] in names else -1 for side in ("model_a", "model_b")),
        )
        if (where, first, second) not in fought:
            unknown += 1
            continue
        found[where, first, second].append(WINNERS[row["winner"]])
        found[where, second, first].append(1.0 - WINNERS[row["winner"]])
    label, ties = np.full(len(opinions.instruction), np.nan), 0
    for number, battle in enumerate(battles):
        if (votes := found.get(battle)) is not None:
            mean = float(np.mean(votes))
            ties += mean == 0.5
            label[number] = np.nan if mean == 0.5 else float(mean > 0.5)
    return Labels(label, ties, unknown)
