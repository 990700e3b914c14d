"""Training: what the base model becomes."""

from __future__ import annotations

from tiltyard.api import Tournament
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import LoraRecipe, SelectRecipe, TrainRecipe


def train_recipe(tournament: Tournament, dataset: ArtifactRef) -> TrainRecipe | None:
    """How the target is trained; None where the manifest asks for no training."""
    training, seed = tournament.spec.training, tournament.spec.seed
    if training is None:
        return None
    base, select, lora = training.base_model, training.select, training.lora
    return TrainRecipe(
        base=ModelIdentity(uri=base.uri, revision=base.revision),
        chat_template=training.chat_template,
        dataset=dataset,
        select=SelectRecipe(**select.model_dump()) if select is not None else None,
        method=training.method,
        lora=LoraRecipe(**lora.model_dump()) if lora is not None else None,
        **training.hyperparameters.model_dump(),
        seed=seed,
    )
