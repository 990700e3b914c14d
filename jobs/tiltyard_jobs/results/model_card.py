"""The trained model's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiltyard_jobs.contracts.recipes import TrainRecipe


def model_card(
    recipe: TrainRecipe, tournament: str, counts: Mapping[str, int], curve: Sequence[Mapping[str, Any]]
) -> str:
    """Markdown with the front matter that the Hugging Face hub reads.

    Args:
        recipe: what it was made by.
        tournament: whose data it learnt from.
        counts: rows of each stage, `sft` and `dpo`.
        curve: points with `stage`, `step`, `loss`.
    """
    base = recipe.base.uri.removeprefix("hf://")
    head = ["---", "library_name: transformers", "tags: [tiltyard, trl]"]
    if recipe.base.uri.startswith("hf://"):
        head.append(f"base_model: {base}")
    settings = {
        "base model": f"`{base}`" + (f" at `{recipe.base.revision}`" if recipe.base.revision else ""),
        "method": recipe.method + (f", LoRA of rank {recipe.lora.rank}" if recipe.lora else ", all weights"),
        "rows": ", ".join(f"{count} {kind}" for kind, count in counts.items()),
        "learning rate": f"{recipe.learning_rate:g}, cosine, warmup {recipe.warmup_ratio:g}",
        "epochs": str(recipe.epochs),
        "global batch": f"{recipe.global_batch_size} sequences of at most {recipe.max_length} tokens",
        "weight decay": f"{recipe.weight_decay:g}",
        "precision": recipe.precision,
        "seed": str(recipe.seed),
    }
    losses = [f"- {kind}: {_losses(curve, kind)}" for kind in counts]
    return "\n".join(
        [
            *head,
            "---",
            "",
            f"# Trained on the tournament {tournament}",
            "",
            "Fine-tuned by Tiltyard on the answers that won, after WarriorCoder (arXiv 2412.17395). The licences of the"
            " base model and of the models whose answers it learnt from hold; the dataset card names them.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in settings.items()),
            "",
            "## Loss",
            "",
            *losses,
            "",
        ]
    )


def _losses(curve: Sequence[Mapping[str, Any]], kind: str) -> str:
    points = [point for point in curve if point["stage"] == kind]
    return f"{points[0]['loss']:.4f} at the first step, {points[-1]['loss']:.4f} at the last of {points[-1]['step']}"
