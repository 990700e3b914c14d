"""What the trainer is to do, from a recipe: one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiltyard_jobs.contracts.located import DIGEST
from tiltyard_jobs.contracts.recipes import TrainRecipe
from tiltyard_jobs.training import trainer

DPO_BETA = 0.1  # TRL's default; DPO's paper (arXiv 2305.18290) uses it throughout
DPO_LEARNING_RATE = 0.1  # of the one before: a model that is trained already moves on in small steps
CHECKPOINTS = 20  # in one run, at most about so many


def order_of(
    recipe: TrainRecipe,
    *,
    base: str,
    rows: Mapping[str, Path],
    counts: Mapping[str, int],
    out: Path,
    cpu: bool,
    device_batch: int = 1,
) -> dict[str, Any]:
    """The order.

    Args:
        recipe: what is made.
        base: a folder, or a name on the Hugging Face hub.
        rows: JSON lines with the rows of each stage, `sft` and `dpo`.
        counts: how many rows each has.
        out: a folder for checkpoints and results.
        cpu: train without a GPU.
        device_batch: sequences that a device takes at once.
    """
    learning_rate = float(recipe.learning_rate)
    stages = [_stage("sft", recipe, rows["sft"], learning_rate)]
    if recipe.method == "SftThenDpo":
        stages.append(_stage("dpo", recipe, rows["dpo"], learning_rate * DPO_LEARNING_RATE) | {"beta": DPO_BETA})
    steps = sum(recipe.epochs * max(1, counts[stage["kind"]] // recipe.global_batch_size) for stage in stages)
    return {
        "base": base,
        "revision": None if (recipe.base.revision or "").startswith(DIGEST) else recipe.base.revision,
        "chatTemplate": recipe.chat_template,
        "out": str(out),
        "stages": stages,
        "lora": recipe.lora.model_dump(mode="json", by_alias=True) if recipe.lora else None,
        "maxLength": recipe.max_length,
        "packing": recipe.packing,
        "precision": recipe.precision,
        "gradientCheckpointing": recipe.gradient_checkpointing,
        "deviceBatchSize": device_batch,
        "saveSteps": max(1, steps // CHECKPOINTS),
        "seed": recipe.seed,
        # Adapters are merged where the whole model is; what is trained of it is small anyway.
        "fullyShard": recipe.lora is None and not cpu,
        "cpu": cpu,
        "final": True,
    }


def is_trained(order: Mapping[str, Any]) -> bool:
    """Whether all stages of an order are done."""
    return all((Path(order["out"]) / stage["kind"] / trainer.DONE).exists() for stage in order["stages"])


def one_by_one(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An order as several, each with one stage more than the one before, which a trainer finds done."""
    stages = order["stages"]
    return [{**order, "stages": stages[:count], "final": count == len(stages)} for count in range(1, len(stages) + 1)]


def _stage(kind: str, recipe: TrainRecipe, rows: Path, learning_rate: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "rows": str(rows),
        "epochs": recipe.epochs if kind == "sft" else 1,
        "batch": recipe.global_batch_size,
        "learningRate": learning_rate,
        "warmupRatio": float(recipe.warmup_ratio),
        "weightDecay": float(recipe.weight_decay),
    }
