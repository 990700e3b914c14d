"""What a tournament will cost, before anything starts: calls, tokens and model loads.

All of it is an upper bound but for the prompts' tokens, which recipes guess (`Recipe.requests`): instructions and
answers are not written yet. What curation drops costs nothing later, so the truth is lower. Which models think before a
grade or a verdict is not known beforehand: such a model writes up to `maxTokens` for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.schedule import Room, decide
from tiltyard_jobs.contracts.recipes import AnswerRecipe, JudgeRecipe, PairsRecipe, TrainRecipe

ANSWER_SHARE = 0.5  # of `battles.answer.maxTokens` that an answer takes
EXISTING = 1024  # instead, where all answers exist already

GPU_FLOPS = 312e12  # an A100's or A800's, dense bfloat16
UTILISATION = 0.4  # of them, as trainers on one node reach
_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)([bBmM])(?![a-zA-Z])")  # `6.7b` in a model's name


class Cost(NamedTuple):
    """Calls and tokens, summed with `+`.

    Attributes:
        calls: requests, without retries.
        prompt_tokens: tokens read.
        completion_tokens: tokens written.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]  # a sum of counts, not of tuples
        """Add field by field."""
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


def expected_training(graph: Graph, done: Mapping[str, frozenset[int]]) -> float | None:
    """GPU-hours of the training that is not done, as `training_hours`; None where there is none, or none can tell."""
    labelled = {recipe.ref.key for recipe in graph.recipes(PairsRecipe)}  # judged too, and learnt by nobody
    judged = (recipe for recipe in graph.recipes(JudgeRecipe) if recipe.instructions.key not in labelled)
    rows = {recipe.instructions.key: recipe.rows for recipe in judged}
    trained = [recipe for recipe in graph.recipes(TrainRecipe) if len(done.get(recipe.ref.key, ())) < recipe.shards]
    return training_hours(trained[0], sum(rows.values())) if trained else None


def training_hours(recipe: TrainRecipe, rows: int) -> float | None:
    """GPU-hours of a training, at most, on GPUs of `GPU_FLOPS`; None where the base model's name tells no size.

    6 floating point operations for each parameter and token (Kaplan et al., arXiv 2001.08361, section 2.1), with rows
    that fill their sequence; adapters save a third of it, for the weights' own gradients.

    Args:
        recipe: how it is trained.
        rows: of the data set, at most.
    """
    size = _SIZE.search(recipe.base.uri.rpartition("/")[2])
    if size is None:
        return None
    parameters = float(size[1]) * (1e9 if size[2].lower() == "b" else 1e6)
    share = float(recipe.select.fraction) if recipe.select is not None else 1.0
    passes = recipe.epochs + (2 if recipe.method == "SftThenDpo" else 0)  # DPO reads the better and the worse answer
    operations = (4 if recipe.lora is not None else 6) * parameters * rows * share * passes * recipe.max_length
    return operations / (GPU_FLOPS * UTILISATION) / 3600


def estimate(graph: Graph, done: Mapping[str, frozenset[int]]) -> dict[str, Cost]:
    """The cost of what is not done, by bundle name.

    Args:
        graph: the tournament.
        done: parts that exist, by artifact key.
    """
    longest = max((recipe.sampling.max_tokens for recipe in graph.recipes(AnswerRecipe)), default=EXISTING)
    answer_tokens = round(ANSWER_SHARE * longest)
    return {bundle.name: _bundle_cost(bundle, done, answer_tokens) for bundle in graph.bundles}


def _bundle_cost(bundle: Bundle, done: Mapping[str, frozenset[int]], answer_tokens: int) -> Cost:
    total = Cost()
    for recipe, ref in zip(bundle.recipes, bundle.makes, strict=True):
        asked = recipe.requests(answer_tokens)
        calls = round(asked.calls * (ref.shards - len(done.get(ref.key, ()))) / ref.shards)
        total += Cost(calls, calls * asked.prompt_tokens, calls * asked.completion_tokens)
    return total


def expected_loads(graph: Graph, done: Mapping[str, frozenset[int]], room: Room) -> dict[str, int]:
    """How often each served model will be loaded, in a world where nothing fails and only loads take time.

    Raises:
        ValueError: a model that is needed fits in no room.
    """
    complete = set(graph.complete_keys(done))
    loads = {model.name: 0 for model in graph.models if model.served}
    up = {model.name for model in graph.models if not model.served}
    while True:
        settle(graph, complete, up)
        if all(bundle.keys <= complete for bundle in graph.bundles):
            return loads
        decision = decide(graph, frozenset(complete), frozenset(up & loads.keys()), room)
        if not decision.start and not decision.stop:
            alone = [model.name for model in graph.models if not room.fits([model])]
            raise ValueError(f"{', '.join(alone)} cannot be loaded, even alone")
        up = (up - set(decision.stop)) | set(decision.start)
        for name in decision.start:
            loads[name] += 1


def settle(graph: Graph, complete: set[str], up: set[str]) -> None:
    """Add to `complete` all that the models that are up can make."""
    todo = [bundle for bundle in graph.bundles if not bundle.keys <= complete]
    moved = True
    while moved:
        moved = False
        for bundle in todo:
            ready = bundle.needs <= complete and (bundle.model is None or bundle.model in up)
            if ready and not bundle.keys <= complete:
                complete |= bundle.keys
                moved = True
