"""How much a result hangs on the jury: the ratings and gold answers of two runs over the same answers, side by side.

A run with other judges reuses every answer (its artifacts are there), so this costs no more than the verdicts.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.solo_tasks import CompareTask
from tiltyard_jobs.contracts.summary import Agreement, Summary
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.rating.stability import rank_stability
from tiltyard_jobs.reader.comparison import read_side, shared_battles
from tiltyard_jobs.reader.comparison_page import comparison_page
from tiltyard_jobs.reader.differences import differences
from tiltyard_jobs.reader.source import is_complete
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import CompareContext
from tiltyard_jobs.store import Store, open_store


async def compare(context: CompareContext) -> Summary:
    """Compare two runs, and write what differs: for programs if both are complete, as a page if one is requested."""
    other = context.task.second_store
    second = open_store(other) if other is not None else context.store
    try:
        stores = (context.store, second)
        found = await asyncio.to_thread(_compare, context.task, stores)
        context.warnings.extend(await asyncio.to_thread(_write, context.task, stores, found))
    finally:
        if second is not context.store:
            second.close()
    return Summary(exit_code=0, agreement=found)


def _write(task: CompareTask, stores: tuple[Store, Store], found: Agreement) -> tuple[str, ...]:
    """Write what differs; what is said where that is not possible."""
    places = tuple(zip(stores, task.runs, strict=True))
    if task.page is not None:
        _write_battles(task, places, found)
        return ()
    unfinished = [f"run {run} is not complete in {store.place}" for store, run in places if not is_complete(store, run)]
    if unfinished:
        return (f"{'; '.join(unfinished)}: battles are not compared; finish it with `tiltyard run`",)
    try:
        _write_battles(task, places, found)
    except PermanentError as error:  # a table is gone or damaged: the ratings are compared without it
        return (f"battles are not compared: {error}",)
    return ()


def _write_battles(task: CompareTask, places: tuple[tuple[Store, str], ...], found: Agreement) -> None:
    first, second = (read_side(store, run) for store, run in places)
    shared = shared_battles(first, second)
    differing = differences(first, second, shared, task.most)
    Path(task.file).write_bytes(differing.canonical())
    if task.page is not None:
        html = comparison_page(first, second, shared, differing, task.page, found)
        try:
            Path(task.page.file).write_text(html, encoding="utf-8", errors="replace")
        except OSError as error:
            raise ConfigurationError(f"{task.page.file} cannot be written: {error.strerror}") from None


def _compare(task: CompareTask, stores: tuple[Store, Store]) -> Agreement:
    with ExitStack() as folders:
        sides = []
        runs = zip(("first", "second"), stores, (task.first, task.second), task.runs, strict=True)
        for which, store, ref, run in runs:
            artifacts = Artifacts(store, Path(folders.enter_context(TemporaryDirectory(prefix="tiltyard-"))))
            seal = artifacts.seal(ref, 0)
            if seal is None:
                raise ConfigurationError(
                    f"the {which} run, {run}, has no ratings in {store.place}: finish that run first"
                )
            if (source := artifacts.changed(seal)) is not None and artifacts.knows(source):
                raise ConfigurationError(
                    f"ratings {ref.key} in {store.place} were made from an earlier {source}: run that one again"
                )
            sides.append((artifacts, ref))
        return agreement(*sides)


def agreement(first: tuple[Artifacts, ArtifactRef], second: tuple[Artifacts, ArtifactRef]) -> Agreement:
    """Agreement of two ratings, each in its store, over the players and instructions that both have."""
    rating, other_rating = _ratings(*first), _ratings(*second)
    gold, other_gold = _gold(*first), _gold(*second)
    players = sorted(rating.keys() & other_rating.keys())
    place = {player: number for number, player in enumerate(players)}
    instructions = sorted(gold.keys() & other_gold.keys())
    result = rank_stability(
        np.array([rating[player] for player in players], dtype=np.float64),
        np.array([other_rating[player] for player in players], dtype=np.float64),
        np.array([place.get(gold[name], -1) for name in instructions], dtype=np.int64),
        np.array([place.get(other_gold[name], -1) for name in instructions], dtype=np.int64),
    )
    compared = result.gold_compared
    return Agreement(
        players=len(players),
        kendall=_known(result.kendall),
        spearman=_known(result.spearman),
        same_leader=result.same_leader,
        gold_same=round(result.gold_agreement * compared) if compared else 0,
        gold_compared=compared,
    )


def _ratings(artifacts: Artifacts, ref: ArtifactRef) -> dict[str, float]:
    """Rating by model id."""
    rows = artifacts.rows(ref, table="ratings", columns=["model_id", "rating"])
    return {row["model_id"]: math.nan if row["rating"] is None else row["rating"] for row in rows}


def _gold(artifacts: Artifacts, ref: ArtifactRef) -> dict[str, str]:
    """The model that gave the gold answer, by instruction."""
    rows = artifacts.rows(ref, table="scores", columns=["instruction_id", "model_id", "gold"])
    return {row["instruction_id"]: row["model_id"] for row in rows if row["gold"]}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
