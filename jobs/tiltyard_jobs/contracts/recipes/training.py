"""The target model."""

from __future__ import annotations

from typing import ClassVar, Literal

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, EngineName, Fraction, Milestone, Phase, Recipe
from tiltyard_jobs.contracts.vocabulary import Precision, SelectBy, TrainingMethod

BASE_MODEL, TRAINED_MODEL = "base-model", "trained-model"
"""Under which names the target of a training is served and scored; no competitor and no judge has them."""

TRAINED_SCHEME = "trained://"
"""Begins the identity of a model that a tournament trains: the key of its artifact follows."""


class LoraRecipe(Contract):
    """Low-rank adapters on all linear layers (arXiv 2106.09685), merged into the weights in the end."""

    rank: int
    alpha: int


class SelectRecipe(Contract):
    """Which rows are trained on.

    Attributes:
        fraction: of them.
        by: Margin: those whose gold answer leads by most. Random: drawn by the seed, as the control.
    """

    fraction: Fraction
    by: SelectBy


class TrainRecipe(Recipe):
    """A base model fine-tuned on a tournament's rows (paper, section 3.4 and appendix).

    Attributes:
        base: the model to start from.
        chat_template: in place of the base tokenizer's own.
        dataset: its `sft` rows, and its `preference` rows for SftThenDpo.
        select: absent: all rows.
        lora: absent: all weights are trained.
        global_batch_size: packed sequences of one optimiser step, over all devices.
        max_length: tokens of one sequence.
    """

    PHASE: ClassVar[Phase] = "Training"
    MILESTONE: ClassVar[Milestone] = Milestone("Trained", "the target model is trained")

    stage: Literal["train"] = "train"
    version: int = 2
    base: ModelIdentity
    chat_template: str | None
    dataset: ArtifactRef
    select: SelectRecipe | None
    method: TrainingMethod
    lora: LoraRecipe | None
    learning_rate: Fraction
    epochs: int
    global_batch_size: int
    warmup_ratio: Fraction
    weight_decay: Fraction
    max_length: int
    packing: bool
    precision: Precision
    gradient_checkpointing: bool
    seed: int

    @property
    def engine(self) -> EngineName | None:
        """TRL."""
        return "Trl"
