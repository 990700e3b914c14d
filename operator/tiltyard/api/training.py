"""Fine-tuning of a target model on the training data."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import OWN_VARIABLES, TRAINING_PATHS, TRAINING_VOLUMES, PodPatch, own_paths, own_volumes
from tiltyard.api.resources import Resources
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import ObjectName, PositiveShare, Prefix, Share, TokenLimit
from tiltyard.api.shapes import Whole
from tiltyard.api.weights import Weights
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
    sentence="must be set if kind is TrainJob, and only then",
    check=_runtime,
    cel="(self.kind == 'TrainJob') == has(self.runtimeRef)",
    field_path=".runtimeRef",
)
ONE_NODE_FOR_JOB: Rule[Trainer] = Rule(
    sentence="must be 1 if kind is Job; use kind TrainJob for more nodes",
    check=_one_node,
    cel="self.kind == 'TrainJob' || self.numNodes == 1",
    field_path=".numNodes",
)


class Trainer(ApiModel):
    """What runs the fine-tuning."""

    RULES = (RUNTIME_FOR_TRAIN_JOB, ONE_NODE_FOR_JOB)

    kind: Literal["Job", "TrainJob"] = "Job"
    """The kind of workload. Job: TRL in one pod. TrainJob: the same on many nodes, by Kubeflow Trainer v2. Default:
    Job."""
    runtime_ref: RuntimeReference | None = None
    """The training runtime, for TrainJob: one with `mlPolicy.torch` whose replicated job and container are named
    `node`."""
    num_nodes: Annotated[int, Whole(1, 1024)] = 1
    """The number of nodes, for TrainJob. Default: 1."""
    device_batch_size: Annotated[int, Whole(1, 1024)] = 1
    """The number of sequences that one GPU processes at once. More is faster where memory allows, and changes the
    result only by rounding. Default: 1."""


class Hyperparameters(ApiModel):
    """The hyperparameters of fine-tuning. The defaults are the paper's (section 4.1)."""

    learning_rate: PositiveShare = Decimal("1e-5")
    """The peak learning rate. Default: 1e-5."""
    epochs: Annotated[int, Whole(1, 1000)] = 3
    """The number of passes over the data. Default: 3."""
    global_batch_size: Annotated[int, Whole(1, 65536)] = 512
    """The number of sequences in one optimiser step, over all devices. Default: 512."""
    warmup_ratio: Share = Decimal("0.2")
    """The share of the steps in which the learning rate rises. Default: 0.2."""
    weight_decay: Share = Decimal("3e-7")
    """The weight decay. Default: 3e-7."""
    max_length: TokenLimit = 2048
    """The length of one sequence in tokens, at most. Default: 2048."""
    packing: bool = True
    """Whether short rows are packed into one sequence. Default: true."""
    precision: Precision = "Bfloat16"
    """The precision of computation and of the saved model. The trained weights are kept in 32 bits meanwhile.
    Default: Bfloat16."""
    gradient_checkpointing: bool = True
    """Whether activations are recomputed in the backward pass: less memory, more time. Default: true."""


class Lora(ApiModel):
    """Low-rank adapters (LoRA) on all linear layers, merged into the weights at the end."""

    rank: Annotated[int, Whole(1, 1024)] = 16
    """The rank of the adapters. Default: 16."""
    alpha: Annotated[int, Whole(1, 4096)] = 32
    """The scale of the adapters, as a multiple of 1/rank. Default: 32."""


class Select(ApiModel):
    """A selection of the training rows."""

    fraction: PositiveShare
    """The share of the rows to train on."""
    by: SelectBy = "Margin"
    """How rows are selected. Margin: those whose gold answer has the largest lead. Random: at random, as a control.
    Default: Margin."""


def _priority(training: Training) -> Iterator[Violation]:
    if training.trainer.kind == "TrainJob" and training.pod.priority_class_name is not None:
        yield Violation(("pod", "priorityClassName"), training.pod.priority_class_name)


PRIORITY_OF_RUNTIME: Rule[Training] = Rule(
    sentence="must not be set for a TrainJob: its runtime sets the priority",
    check=_priority,
    cel="!has(self.trainer) || self.trainer.kind != 'TrainJob' || !has(self.pod) || !has(self.pod.priorityClassName)",
    field_path=".pod.priorityClassName",
)


_OF_RUNTIME = {
    "runtimeClassName": "runtime_class_name",
    "schedulerName": "scheduler_name",
    "topologySpreadConstraints": "topology_spread_constraints",
    "securityContext": "security_context",
    "resourceClaims": "resource_claims",
}
"""Fields of `pod` that a TrainJob cannot set, with their names in Python."""
_LISTS = ("topologySpreadConstraints", "resourceClaims")


def _of_runtime(training: Training) -> Iterator[Violation]:
    given = [name for name, attribute in _OF_RUNTIME.items() if getattr(training.pod, attribute) not in (None, ())]
    if training.trainer.kind == "TrainJob" and given:
        yield Violation(("pod",), " and ".join(given))


FIELDS_OF_RUNTIME: Rule[Training] = Rule(
    sentence=f"must not set {', '.join(_OF_RUNTIME)} for a TrainJob: its runtime sets them",
    check=_of_runtime,
    cel="!has(self.trainer) || self.trainer.kind != 'TrainJob' || !has(self.pod) || !("
    + " || ".join(
        f"has(self.pod.{name})" + (f" && size(self.pod.{name}) > 0" if name in _LISTS else "") for name in _OF_RUNTIME
    )
    + ")",
    field_path=".pod",
)


class Training(ApiModel):
    """Fine-tuning of a target model on the training data."""

    RULES = (
        PRIORITY_OF_RUNTIME,
        FIELDS_OF_RUNTIME,
        OWN_VARIABLES,
        own_paths(TRAINING_PATHS),
        own_volumes(TRAINING_VOLUMES),
    )

    base_model: Weights
    """The model to start from."""
    chat_template: Prefix | None = None
    """The chat template to train with, instead of the base model's own. Required if the base model has none."""
    select: Select | None = None
    """A selection of the training rows. Absent: all rows."""
    trainer: Trainer = Trainer()
    """What runs the fine-tuning."""
    method: TrainingMethod = "Sft"
    """The training method. Sft: supervised fine-tuning on the gold answers. SftThenDpo: then DPO on the preferences.
    Default: Sft."""
    hyperparameters: Hyperparameters = Hyperparameters()
    """The hyperparameters of fine-tuning."""
    lora: Lora | None = None
    """Low-rank adapters instead of all weights. Absent: all weights are trained."""
    resources: Resources = Resources()
    """The resources of one pod, and so the number of GPUs, of any maker. On a cluster the limits are 16 CPUs and 64Gi
    for each GPU where none are given. On one machine only the number of GPUs counts."""
    pod: PodPatch = PodPatch()
    """Additions to the training pods."""

    @property
    def gpus(self) -> int:
        """The GPUs of one pod."""
        return sum(self.resources.gpus.values()) + len(self.pod.resource_claims)
