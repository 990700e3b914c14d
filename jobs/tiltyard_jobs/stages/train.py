"""Training: the base model learns from the winners' answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tiltyard_jobs.contracts.layout import checkpoint_prefix
from tiltyard_jobs.contracts.recipes import TrainRecipe
from tiltyard_jobs.contracts.trainer import TrainerRef
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.results.model_card import model_card
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.training.nodes import Nodes
from tiltyard_jobs.training.order import is_trained, one_by_one, order_of
from tiltyard_jobs.training.rows import dpo_row, select, sft_row, write_rows
from tiltyard_jobs.training.saved import SavedTraining
from tiltyard_jobs.training.supervise import train as run_trainer

SAVE_SECONDS = 2.0  # between two looks for a new checkpoint
PUBLISH_SECONDS = 1800.0  # for the first machine to upload a stage's model

MODEL = "model."
"""What the names of the trained model's own files begin with, in the part's seal."""


async def train(context: ShardContext[TrainRecipe]) -> Outcome:
    """Make `trained`: the model's files, `curve` and the card `README`. Killed, it goes on from its last checkpoint.

    Of several machines that train together the first saves its progress in the store and publishes the result; all of
    them go on from what is saved.
    """
    recipe, shard = context.recipe, context.shard
    trainer = context.task.trainer
    assert trainer is not None
    if trainer.token_env is not None and trainer.token_env in os.environ:  # on one machine; a pod has it by its name
        os.environ["HF_TOKEN"] = os.environ[trainer.token_env]
    if trainer.hub is not None:
        os.environ["HF_ENDPOINT"] = trainer.hub
    folder = context.work_dir
    try:
        nodes = Nodes.of(trainer.nodes, os.environ)
        counts = await asyncio.to_thread(_write_rows, context, folder)
        out = folder / "training"
        order = order_of(
            recipe,
            base=trainer.base,
            rows={kind: folder / f"{kind}.jsonl" for kind in counts},
            counts=counts,
            out=out,
            cpu=trainer.devices == 0,
            device_batch=trainer.device_batch,
        )
        prefix = checkpoint_prefix(recipe.ref, shard, context.artifacts.reads_of(recipe, shard))
        saved = SavedTraining(context.store, prefix, folder, checkpoint_prefix(recipe.ref, shard))
        if nodes.count > 1:
            shutil.rmtree(out, ignore_errors=True)  # what a machine has for itself the others may lack
        out.mkdir(exist_ok=True)
        if context.checkpoints:
            await asyncio.to_thread(saved.restore, out)
        keeps = context.checkpoints and nodes.is_first
        saving = asyncio.create_task(_keep_saving(saved, out) if keeps else asyncio.sleep(0))
        try:
            await unless_stopped(_train(context, trainer, order, nodes, saved), context.stop)
        finally:
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)
            if keeps:
                await asyncio.to_thread(saved.save, out)
    except ConfigurationError as error:
        raise error.under(trainer.field) from error
    if not nodes.is_first:
        await unless_stopped(_until(context, partial(context.artifacts.seal, recipe.ref, shard)), context.stop)
        return Outcome()  # what there is to tell is the first machine's
    outcome = await asyncio.to_thread(_publish, context, order, counts)
    if context.checkpoints:
        await asyncio.to_thread(saved.discard)
    return outcome


async def _train(
    context: ShardContext[TrainRecipe], trainer: TrainerRef, order: dict[str, Any], nodes: Nodes, saved: SavedTraining
) -> None:
    """Run the trainer; on several machines stage by stage, each begun by all with what the first has made."""
    parts = one_by_one(order) if nodes.count > 1 else [order]
    for part in parts:
        # What was trained in an earlier attempt needs no other machine: they may have ended.
        launcher = [] if is_trained(part) else nodes.launcher(max(1, trainer.devices))
        if launcher or nodes.is_first:
            await run_trainer(
                trainer.python or sys.executable,
                part,
                context.work_dir,
                context.work_dir / "trainer.log",
                launcher=launcher,
                each=context.progress.advance,
            )
        if part is not parts[-1]:
            await _hand_on(context, part, nodes, saved)


async def _hand_on(
    context: ShardContext[TrainRecipe], part: dict[str, Any], nodes: Nodes, saved: SavedTraining
) -> None:
    """Bring what the first machine has trained to all: it saves, they fetch."""
    out = Path(part["out"])
    if nodes.is_first:
        await asyncio.to_thread(saved.save, out)
        return

    def fetched() -> bool:
        if not is_trained(part):
            shutil.rmtree(out)
            out.mkdir()
            saved.restore(out)
        return is_trained(part)

    await _until(context, fetched)


async def _until(context: ShardContext[TrainRecipe], holds: Callable[[], object]) -> None:
    """Wait for what the first machine makes.

    Raises:
        TransientError: it does not come; it may need this machine once more.
    """
    began = context.clock()
    while not await asyncio.to_thread(holds):
        if context.clock() - began > PUBLISH_SECONDS:
            raise TransientError(f"the first machine has not published the model after {PUBLISH_SECONDS:.0f} s")
        await asyncio.sleep(SAVE_SECONDS)


async def _keep_saving(saved: SavedTraining, out: Path) -> None:
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        await asyncio.to_thread(saved.save, out)


def _write_rows(context: ShardContext[TrainRecipe], folder: Path) -> dict[str, int]:
    """The rows of each stage as a file; returns how many each has.

    Raises:
        ConfigurationError: there is none.
    """
    recipe = context.recipe
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


def _publish(context: ShardContext[TrainRecipe], order: dict[str, Any], counts: dict[str, int]) -> Outcome:
    recipe, shard = context.recipe, context.shard
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
