"""Training: what the base model becomes."""

from __future__ import annotations

from tiltyard.api import Tournament
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import LoraRecipe, SelectRecipe, TrainRecipe

TRAINED_SCHEME = "trained://"
"""Begins the identity of a model that a tournament trains: the key of its artifact follows."""


def train_recipe(tournament: Tournament, dataset: ArtifactRef) -> TrainRecipe | None:
    """How the target is trained; None where the manifest asks for no training."""
    training, seed = tournament.spec.training, tournament.spec.seed
    if training is None:
        return None
    given = training.hyperparameters
    return TrainRecipe(
        base=ModelIdentity(uri=training.base_model.uri, revision=training.base_model.revision),
        chat_template=training.chat_template,
        dataset=dataset,
        select=SelectRecipe(fraction=training.select.fraction, by=training.select.by) if training.select else None,
        method=training.method,
        lora=LoraRecipe(rank=training.lora.rank, alpha=training.lora.alpha) if training.lora else None,
        learning_rate=given.learning_rate,
        epochs=given.epochs,
        global_batch_size=given.global_batch_size,
        warmup_ratio=given.warmup_ratio,
        weight_decay=given.weight_decay,
        max_length=given.max_length,
        packing=given.packing,
        precision=given.precision,
        gradient_checkpointing=given.gradient_checkpointing,
        seed=seed,
    )
