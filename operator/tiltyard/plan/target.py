"""The target of a tournament: the base model and what it becomes, as models that are served like all others."""

from __future__ import annotations

from tiltyard.api import ModelSource, Participant, Tournament
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.target_recipes import BASE_MODEL, TRAINED_MODEL, LoraRecipe, SelectRecipe, TrainRecipe

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


def targets(tournament: Tournament) -> tuple[Participant, ...]:
    """The base and the trained model, where they are to be scored; else none.

    The trained model has the base's uri here, for its size: what it is served from is an artifact.
    """
    training, evaluation = tournament.spec.training, tournament.spec.evaluation
    if training is None or evaluation is None:
        return ()
    base = training.base_model
    source = ModelSource(uri=base.uri, revision=base.revision, license=base.license)
    return tuple(
        Participant.model_construct(name=name, model=source, serving=evaluation.serving)
        for name in (BASE_MODEL, TRAINED_MODEL)
    )
