"""How models are served: each one's own settings, and how many are up at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.llm import Parallelism, Router
from tiltyard.api.pods import MODEL_PATHS, MODEL_VOLUMES, ObjectReference, PodPatch, own_paths, own_volumes
from tiltyard.api.resources import RESOURCES_BY_NAME, Quantities, Resources, resources_by_name, unknown_resources
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Argument, ObjectName, OpaqueObject, QuantityText
from tiltyard.api.shapes import Whole, matches

LLM = "LLMInferenceService"

# In vLLM's spellings: `--flag=value`, `--flag value`, `_` for `-`. The API server bounds what a rule costs, and what a
# pattern costs hangs on its length.
_TAKEN = "^--((model|revision|uri|host|port|uds|api.key)([= ]|$)|served.|root.|ssl.)"


def _taken(serving: ModelServing) -> Iterator[Violation]:
    for position, arg in enumerate(serving.args):
        if re.search(_TAKEN, arg):
            yield Violation(("args", position), f'"{arg}"')


TAKEN_ARGUMENTS: Rule[ModelServing] = Rule(
    sentence="must not set the model, its name or its address:"
    " these come from model.uri, model.revision and name; remove the argument",
    check=_taken,
    cel=f"!has(self.args) || !self.args.exists(a, a.matches('{_TAKEN}'))",
    field_path=".args",
)


# An option with its value behind a blank, or two options in one item: a server takes such a text for one word. So it
# does with an option behind a blank, or behind the dash that an editor has made of two hyphens.
_JOINED = r"^(\s+-|[–—]|--?[A-Za-z][^\s=]*(\s|=\S*\s+--?[A-Za-z]))"


def _joined(serving: ModelServing) -> Iterator[Violation]:
    for position, arg in enumerate(serving.args):
        if matches(f"{_JOINED}.*", arg):
            yield Violation(("args", position), f'"{arg}"')


ONE_ARGUMENT_EACH: Rule[ModelServing] = Rule(
    sentence="must be one argument: write an option as --NAME=VALUE, or its value as an item of its own",
    check=_joined,
    cel="!has(self.args) || !self.args.exists(a, a.matches('" + _JOINED.replace("\\", "\\\\") + "'))",
    field_path=".args",
)


def _only_llm(serving: ModelServing) -> Iterator[Violation]:
    given = [serving.parallelism, serving.worker, serving.router, serving.base_refs or None]
    if serving.kind == "InferenceService" and any(one is not None for one in given):
        yield Violation(("kind",), serving.kind)


def _no_runtime(serving: ModelServing) -> Iterator[Violation]:
    if serving.kind == LLM and serving.runtime is not None:
        yield Violation(("runtime",), f'"{serving.runtime}"')


ONLY_LLM: Rule[ModelServing] = Rule(
    sentence=f"must be {LLM} where parallelism, worker, router or baseRefs is set: these are its fields",
    check=_only_llm,
    cel=f"(has(self.kind) && self.kind == '{LLM}')"
    " || !(has(self.parallelism) || has(self.worker) || has(self.router)"
    " || (has(self.baseRefs) && size(self.baseRefs) > 0))",
    field_path=".kind",
)
NO_RUNTIME: Rule[ModelServing] = Rule(
    sentence=f"must not be set with kind {LLM}, which has no runtime: name an LLMInferenceServiceConfig in baseRefs",
    check=_no_runtime,
    cel=f"!has(self.kind) || self.kind != '{LLM}' || !has(self.runtime)",
    field_path=".runtime",
)


KSERVE_RUNTIME = "kserve-vllmserver"
"""KServe's own serving runtime for vLLM, from its release 0.20 on; KServe takes its image for CPUs without a GPU."""


class ModelServing(ApiModel):
    """How one model is served.

    On one machine `args` go to the local vLLM process; `resources` and `replicas` only count against
    `spec.serving.budget`.
    """

    RULES = (
        TAKEN_ARGUMENTS,
        ONE_ARGUMENT_EACH,
        ONLY_LLM,
        NO_RUNTIME,
        own_paths(MODEL_PATHS),
        own_volumes(MODEL_VOLUMES),
    )

    kind: Literal["InferenceService", "LLMInferenceService"] = "InferenceService"
    """KServe's kind of object that serves the model. An LLMInferenceService may span nodes. Default:
    InferenceService."""
    runtime: ObjectName | None = None
    """The KServe ServingRuntime or ClusterServingRuntime that serves the model. Absent: the chart's, where it is
    installed (`runtimes.vllm`), otherwise KServe's kserve-vllmserver."""
    replicas: Annotated[int, Whole(1, 64)] = 1
    """The number of replicas behind one address. Default: 1."""
    args: Annotated[tuple[Argument, ...], Field(max_length=64)] = ()
    """Command line arguments of the server. Those that can change replies are part of the model's identity: changing
    one recomputes the model's artifacts."""
    resources: Resources = Resources()
    """The resources of one replica; of an LLMInferenceService that spans nodes, those of one of its pods."""
    pod: PodPatch = PodPatch()
    """Additions to the model's pods."""
    parallelism: Parallelism | None = None
    """How an LLMInferenceService divides one replica among GPUs and nodes."""
    worker: OpaqueObject | None = None
    """The pods of an LLMInferenceService on the nodes after the first: a Kubernetes PodSpec, as KServe's
    `spec.worker`. Absent: as the first, where `parallelism` requires more than one node."""
    router: Router | None = None
    """How requests reach an LLMInferenceService. Absent: by its Service, each replica in turn."""
    base_refs: Annotated[tuple[ObjectReference, ...], Field(max_length=8)] = ()
    """The LLMInferenceServiceConfigs that an LLMInferenceService is based on, besides KServe's own."""

    def option(self, name: str) -> str | None:
        """The last value of one of the server's options, as `--name=value` or in two arguments; None: not given."""
        value = None
        for position, argument in enumerate(self.args):
            option, equals, given = argument.partition("=")
            if option.replace("_", "-") == name:
                value = given if equals else "".join(self.args[position + 1 : position + 2])
        return value

    def demand(self) -> dict[str, Decimal]:
        """What the model takes from `spec.serving.budget` while it is up, all replicas together."""
        pods = self.replicas * self.nodes
        return {name: amount * pods for name, amount in self.resources.demand().items()}

    @property
    def nodes(self) -> int:
        """The number of pods that make up one replica."""
        return self.parallelism.nodes if self.parallelism is not None else 1


AccessMode = Literal["ReadWriteOnce", "ReadWriteMany"]


def _one_claim(claim: WeightsClaim) -> Iterator[Violation]:
    if (claim.name is None) == (claim.size is None):
        yield Violation((), "both" if claim.name is not None else "neither")
    elif claim.name is not None and (claim.storage_class_name is not None or claim.access_mode != "ReadWriteOnce"):
        yield Violation(("name",), f'"{claim.name}" with storageClassName or accessMode')


NAME_OR_SIZE: Rule[WeightsClaim] = Rule(
    "must have exactly one of name (an existing claim) and size (claims that Tiltyard creates); storageClassName and"
    " accessMode apply only to those that it creates",
    _one_claim,
    cel="has(self.name) != has(self.size) && (!has(self.name) || !(has(self.storageClassName)"
    " || self.accessMode != 'ReadWriteOnce'))",
)


class WeightsClaim(ApiModel):
    """Persistent volume claims that hold weights. The first load of a model fills one, and each load mounts it."""

    RULES = (NAME_OR_SIZE,)

    name: ObjectName | None = None
    """An existing claim in the tournament's namespace, for the models of all tournaments that name it. Models on
    several nodes need one with ReadWriteMany."""
    size: QuantityText | None = None
    """The size of the claims that Tiltyard creates: one for each model, deleted with the model."""
    storage_class_name: ObjectName | None = None
    """The storage class of claims that Tiltyard creates. Absent: the cluster's default."""
    access_mode: AccessMode = "ReadWriteOnce"
    """The access mode of claims that Tiltyard creates. A model with several replicas needs ReadWriteMany. Default:
    ReadWriteOnce."""


class WeightsCache(ApiModel):
    """KServe's local model cache: nodes of a group hold the weights on their own disks. KServe must have it enabled."""

    node_group: ObjectName
    """The LocalModelNodeGroup whose nodes hold the weights."""
    size: QuantityText
    """The size of one model at most: KServe checks it against the group's limit."""
    service_account_name: ObjectName | None = None
    """The service account whose Secrets KServe downloads with. Absent: KServe's default."""


def _one_way(weights: ServedWeights) -> Iterator[Violation]:
    if (weights.claim is None) == (weights.cache is None):
        yield Violation((), "both" if weights.claim is not None else "neither")


CLAIM_OR_CACHE: Rule[ServedWeights] = Rule(
    "must have exactly one of claim and cache", _one_way, cel="has(self.claim) != has(self.cache)"
)


class ServedWeights(ApiModel):
    """How the weights of models on the Hugging Face hub are kept on a cluster between a model's loads."""

    RULES = (CLAIM_OR_CACHE,)

    claim: WeightsClaim | None = None
    """Persistent volume claims, which one of Tiltyard's init containers fills."""
    cache: WeightsCache | None = None
    """KServe's local model cache."""


def _known_budget(serving: Serving) -> Iterator[Violation]:
    return unknown_resources("budget", serving.budget)


KNOWN_BUDGET: Rule[Serving] = Rule(RESOURCES_BY_NAME, _known_budget, resources_by_name("budget"), ".budget")


class Serving(ApiModel):
    """How many models run at once, and how long one may take to start."""

    RULES = (KNOWN_BUDGET,)

    max_active: Annotated[int, Whole(1, 64)] | None = None
    """The number of models that run at once, at most. Absent: no limit; on a cluster models that fit no node wait, and
    those that have nothing to do for now give way to them."""
    budget: Quantities = Field(default_factory=dict)
    """The resources that all running models may take together, for example `nvidia.com/gpu: "8"`. Resources that are
    not listed are not limited."""
    startup_deadline_seconds: Annotated[int, Whole(1, 86400)] = 1800
    """The time in seconds after which a model that is not ready has failed. On a cluster it begins when a node has
    taken the model's pod; a model that fits no node waits. Default: 1800."""
    weights: ServedWeights | None = None
    """Where the weights of models on the Hugging Face hub are kept, so that each model is downloaded once. Absent: each
    load downloads them. On one machine the hub's own cache keeps them, and this field has no effect."""
