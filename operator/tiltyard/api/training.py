"""Fine-tuning a target model on the data."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from tiltyard.api.base import ApiModel
from tiltyard.api.participant import Weights
from tiltyard.api.pods import PodPatch, Resources
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import ObjectName, PositiveShare, Prefix, Share, TokenLimit
from tiltyard.api.shapes import Whole
from tiltyard_jobs.contracts.vocabulary import Precision, SelectBy, TrainingMethod


class RuntimeReference(ApiModel):
    """A training runtime of Kubeflow Trainer."""

    name: ObjectName
    """The object's name."""
    kind: Literal["ClusterTrainingRuntime", "TrainingRuntime"] = "ClusterTrainingRuntime"
    """The object's kind. Default: ClusterTrainingRuntime."""


def _runtime(trainer: Trainer) -> Iterator[Violation]:
    if (trainer.kind == "TrainJob") != (trainer.runtime_ref is not None):
        yield Violation(("runtimeRef",), f"{trainer.kind} with {'a' if trainer.runtime_ref else 'no'} runtimeRef")


def _one_node(trainer: Trainer) -> Iterator[Violation]:
    if trainer.kind == "Job" and trainer.num_nodes > 1:
        yield Violation(("numNodes",), str(trainer.num_nodes))


RUNTIME_FOR_TRAIN_JOB: Rule[Trainer] = Rule(
    sentence="the trainer has a runtimeRef exactly when its kind is TrainJob",
    check=_runtime,
    cel="(self.kind == 'TrainJob') == has(self.runtimeRef)",
    field_path=".runtimeRef",
)
ONE_NODE_FOR_JOB: Rule[Trainer] = Rule(
    sentence="a trainer of kind Job uses one node; take kind TrainJob for more",
    check=_one_node,
    cel="self.kind == 'TrainJob' || self.numNodes == 1",
    field_path=".numNodes",
)


class Trainer(ApiModel):
    """What runs the fine-tuning."""

    RULES = (RUNTIME_FOR_TRAIN_JOB, ONE_NODE_FOR_JOB)

    kind: Literal["Job", "TrainJob"] = "Job"
    """Job: accelerate and TRL in one pod. TrainJob: the same on many nodes, by Kubeflow Trainer v2. Default: Job."""
    runtime_ref: RuntimeReference | None = None
    """For TrainJob: the runtime, one with `mlPolicy.torch` whose job and container are named `node`."""
    num_nodes: Annotated[int, Whole(1, 1024)] = 1
    """For TrainJob: how many nodes. Default: 1."""
    device_batch_size: Annotated[int, Whole(1, 1024)] = 1
    """Sequences that a GPU takes at once: more is faster where memory allows, and changes the result by rounding alone.
    Default: 1."""


class Hyperparameters(ApiModel):
    """The paper's fine-tuning (section 4.1)."""

    learning_rate: PositiveShare = Decimal("1e-5")
    """Peak learning rate. Default: 1e-5."""
    epochs: Annotated[int, Whole(1, 1000)] = 3
    """Passes over the data. Default: 3."""
    global_batch_size: Annotated[int, Whole(1, 65536)] = 512
    """Rows of one optimiser step, over all devices. Default: 512."""
    warmup_ratio: Share = Decimal("0.2")
    """Share of the steps over which the learning rate rises. Default: 0.2."""
    weight_decay: Share = Decimal("3e-7")
    """Weight decay. Default: 3e-7."""
    max_length: TokenLimit = 2048
    """Tokens of one packed sequence. Default: 2048."""
    packing: bool = True
    """Short rows share a sequence. Default: true."""
    precision: Precision = "Bfloat16"
    """What is computed in, and saved in; weights that are trained are kept in 32 bits. Default: Bfloat16."""
    gradient_checkpointing: bool = True
    """Less memory for more time. Default: true."""


class Lora(ApiModel):
    """Low-rank adapters on all linear layers, merged into the weights in the end."""

    rank: Annotated[int, Whole(1, 1024)] = 16
    """Their rank. Default: 16."""
    alpha: Annotated[int, Whole(1, 4096)] = 32
    """Their scale, as a multiple of 1/rank. Default: 32."""


class Select(ApiModel):
    """A part of the rows."""

    fraction: PositiveShare
    """How much of them."""
    by: SelectBy = "Margin"
    """Margin: those whose gold answer leads by most. Random: the control. Default: Margin."""


def _priority(training: Training) -> Iterator[Violation]:
    if training.trainer.kind == "TrainJob" and training.pod.priority_class_name is not None:
        yield Violation(("pod", "priorityClassName"), training.pod.priority_class_name)


PRIORITY_OF_RUNTIME: Rule[Training] = Rule(
    sentence="the priority of a TrainJob's pods is its runtime's to say",
    check=_priority,
    cel="!has(self.trainer) || self.trainer.kind != 'TrainJob' || !has(self.pod) || !has(self.pod.priorityClassName)",
    field_path=".pod.priorityClassName",
)


class Training(ApiModel):
    """Fine-tuning a target model on the data."""

    RULES = (PRIORITY_OF_RUNTIME,)

    base_model: Weights
    """The model to start from."""
    chat_template: Prefix | None = None
    """The chat template to learn, in place of the base tokenizer's own; needed where that has none."""
    select: Select | None = None
    """Train on a part of the rows; absent: on all."""
    trainer: Trainer = Trainer()
    """What runs it."""
    method: TrainingMethod = "Sft"
    """Sft: supervised on the gold answers. SftThenDpo: then on the preferences. Default: Sft."""
    hyperparameters: Hyperparameters = Hyperparameters()
    """How it learns."""
    lora: Lora | None = None
    """Train adapters instead of all weights; absent: all weights."""
    resources: Resources = Resources()
    """Resources of one pod."""
    pod: PodPatch = PodPatch()
    """What is added to its pods."""
