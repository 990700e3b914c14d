"""Training: the base model learns from the winners' answers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tiltyard_jobs.contracts.layout import checkpoint_prefix
from tiltyard_jobs.contracts.recipes import TrainRecipe
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.outcome.model_card import model_card
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.training.nodes import Nodes
from tiltyard_jobs.training.order import is_trained, order_of
from tiltyard_jobs.training.rows import dpo_row, select, sft_row, write_rows
from tiltyard_jobs.training.saved import SavedTraining
from tiltyard_jobs.training.supervise import train as run_trainer

SAVE_SECONDS = 2.0  # between two looks for a new checkpoint
PUBLISH_SECONDS = 1800.0

MODEL = "model."
"""What the names of the trained model's own files begin with, in the part's seal."""


async def train(context: ShardContext) -> Outcome:
    """Make `trained`: the model's files, `curve` and the card `README`. Killed, it goes on from its last checkpoint.

    Of several machines that train together the first keeps checkpoints and publishes; all of them continue from these.
    """
    ((recipe, shard),) = context.parts
    assert isinstance(recipe, TrainRecipe)
    trainer = context.task.trainer
    assert trainer is not None
    folder = context.work_dir
    try:
        nodes = Nodes.of(trainer.nodes, os.environ)
        keeps = context.checkpoints and nodes.is_first
        counts = await asyncio.to_thread(_write_rows, context, recipe, folder)
        order = order_of(
            recipe,
            base=trainer.base,
            rows={kind: folder / f"{kind}.jsonl" for kind in counts},
            counts=counts,
            out=folder / "training",
            cpu=trainer.devices == 0,
            nodes=nodes.count,
        )
        out = folder / "training"
        out.mkdir(exist_ok=True)
        saved = SavedTraining(context.store, checkpoint_prefix(recipe.ref, shard), folder)
        if context.checkpoints:
            await asyncio.to_thread(saved.restore, out)
        saving = asyncio.create_task(_keep_saving(saved, out) if keeps else asyncio.sleep(0))
        # What was trained before this attempt needs no other machine: those may have ended already.
        launcher = [] if is_trained(order) else nodes.launcher(max(1, trainer.devices))
        work = run_trainer(
            trainer.python or sys.executable,
            order,
            folder,
            folder / "trainer.log",
            launcher=launcher,
            each=context.progress.advance,
        )
        try:
            await unless_stopped(work, context.stop)
        finally:
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)
            if keeps:
                await asyncio.to_thread(saved.save, out)
    except ConfigurationError as error:
        raise error.under(trainer.field) from error
    if not nodes.is_first:
        return await unless_stopped(_published(context, recipe, shard), context.stop)
    outcome = await asyncio.to_thread(_publish, context, recipe, shard, order, counts)
    if context.checkpoints:
        await asyncio.to_thread(saved.discard)
    return outcome


async def _published(context: ShardContext, recipe: TrainRecipe, shard: int) -> Outcome:
    """Wait until the first machine has published what all of them have trained: its seal tells of the rows.

    Raises:
        TransientError: it does not; it may need this machine once more.
    """
    began = context.clock()
    while await asyncio.to_thread(context.artifacts.seal, recipe.ref, shard) is None:
        if context.clock() - began > PUBLISH_SECONDS:
            raise TransientError(f"the first machine has not published the model after {PUBLISH_SECONDS:.0f} s")
        await asyncio.sleep(SAVE_SECONDS)
    return Outcome()


async def _keep_saving(saved: SavedTraining, out: Path) -> None:
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        await asyncio.to_thread(saved.save, out)


def _write_rows(context: ShardContext, recipe: TrainRecipe, folder: Path) -> dict[str, int]:
    """The rows of each stage as a file; returns how many each has.

    Raises:
        ConfigurationError: there is none.
    """
    makers = {"sft": ("sft", sft_row)}
    if recipe.method == "SftThenDpo":
        makers["dpo"] = ("preference", dpo_row)
    counts = {}
    for kind, (table, make) in makers.items():
        rows = list(context.artifacts.rows(recipe.dataset, table=table))
        kept = select(rows, recipe.select, recipe.seed)
        counts[kind] = write_rows(folder / f"{kind}.jsonl", map(make, kept))
        if not kept:
            raise ConfigurationError(
                f"the tournament left no {table} row to train on: mine more instructions, or loosen spec.curation and"
                " spec.dataset.minMargin"
            )
    return counts


def _publish(
    context: ShardContext, recipe: TrainRecipe, shard: int, order: dict[str, Any], counts: dict[str, int]
) -> Outcome:
    out, last = Path(order["out"]), order["stages"][-1]["kind"]
    curve = out / "curve.json"
    points = json.loads(curve.read_text())
    card = context.work_dir / "README.md"
    card.write_text(model_card(recipe, context.task.tournament, counts, points), encoding="utf-8")
    files = {
        f"{MODEL}{path.name.removesuffix(path.suffix)}": path
        for path in sorted((out / last / "model").iterdir())
        if path.is_file() and path.name not in ("training_args.bin", "README.md")
    }
    seal = context.artifacts.publish(
        recipe.ref, shard, {**files, "curve": curve, "README": card}, rows=counts["sft"], counts=counts
    )
    return Outcome.of([seal])
