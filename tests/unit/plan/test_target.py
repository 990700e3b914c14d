"""The graph of a tournament that trains a target and scores it."""

from __future__ import annotations

from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import expected_loads, expected_training
from tiltyard.plan.schedule import Room
from tiltyard_jobs.contracts.recipes import SolveRecipe

TRAINING: dict[str, Any] = {"baseModel": {"uri": "hf://org/base"}}
EVALUATION: dict[str, Any] = {"benchmarks": ["humaneval", "mbpp"], "allowCodeExecution": True}


def solve(**spec: Any) -> dict[str, SolveRecipe]:
    bundles = build_graph(tournament(3, **spec)).bundles
    return {b.name: recipe for b in bundles for recipe in b.recipes if isinstance(recipe, SolveRecipe)}


def test_the_base_and_the_trained_model_are_scored_before_and_after() -> None:
    graph = build_graph(tournament(3, training=TRAINING, evaluation=EVALUATION))
    names = [bundle.name for bundle in graph.bundles if bundle.stage in ("train", "solve", "score", "report")]
    assert names == [
        "train",
        "solve/base-model/humaneval", "solve/base-model/mbpp",
        "solve/trained-model/humaneval", "solve/trained-model/mbpp",
        "score/base-model/humaneval", "score/base-model/mbpp",
        "score/trained-model/humaneval", "score/trained-model/mbpp",
        "report",
    ]  # fmt: skip
    by_name = graph.by_name
    assert by_name["train"].needs == by_name["dataset"].keys
    assert by_name["solve/base-model/mbpp"].needs == frozenset()
    assert by_name["solve/trained-model/mbpp"].needs == by_name["train"].keys
    assert by_name["score/trained-model/mbpp"].needs == by_name["solve/trained-model/mbpp"].keys
    assert by_name["train"].keys < by_name["report"].needs
    assert [model.name for model in graph.models] == ["m0", "m1", "m2", "base-model", "trained-model"]


def test_a_base_model_goes_on_with_a_text_and_the_others_are_asked() -> None:
    asked = solve(training=TRAINING, evaluation={**EVALUATION, "benchmarks": ["humaneval"], "competitors": True})
    assert {name.split("/")[1]: recipe.style for name, recipe in asked.items()} == {
        "base-model": "Completion", "trained-model": "Chat", "m0": "Chat", "m1": "Chat", "m2": "Chat",
    }  # fmt: skip


def test_questions_of_a_harness_are_worded_once_for_all_that_are_asked_alike() -> None:
    evaluation = {"benchmarks": [], "lmEval": [{"name": "gsm8k", "metric": "exact_match"}], "competitors": True}
    graph = build_graph(tournament(3, training=TRAINING, evaluation=evaluation))
    by_name = graph.by_name
    assert [name for name in by_name if name.startswith("questions/")] == [
        "questions/gsm8k/completion", "questions/gsm8k/chat",
    ]  # fmt: skip
    assert by_name["solve/base-model/gsm8k"].needs == by_name["questions/gsm8k/completion"].keys
    chat = by_name["questions/gsm8k/chat"].keys
    assert by_name["solve/trained-model/gsm8k"].needs == chat | by_name["train"].keys
    for player in ("m0", "m1", "m2"):
        assert by_name[f"solve/{player}/gsm8k"].needs == chat
    # Another metric measures again, and asks nobody.
    evaluation = {**evaluation, "lmEval": [{"name": "gsm8k", "metric": "exact_match,strict-match"}]}
    other = build_graph(tournament(3, training=TRAINING, evaluation=evaluation)).by_name
    changed = {name for name, bundle in by_name.items() if bundle.version != other[name].version}
    assert {name.partition("/")[0] for name in changed} == {"score", "report"}


def test_what_can_be_solved_is_found_once_and_waits_for_nothing() -> None:
    environment = {"benchmark": "ds1000", "image": "registry.example/science:1"}
    evaluation = {
        "benchmarks": ["humaneval", "ds1000"], "environments": [environment], "competitors": True,
        "allowCodeExecution": True,
    }  # fmt: skip
    by_name = build_graph(tournament(3, evaluation=evaluation)).by_name
    references = by_name["references/ds1000"]
    assert (references.model, references.needs) == (None, frozenset())
    for player in ("m0", "m1", "m2"):
        solved = by_name[f"solve/{player}/ds1000"].keys
        assert by_name[f"score/{player}/ds1000"].needs == solved | references.keys
        assert by_name[f"score/{player}/humaneval"].needs == by_name[f"solve/{player}/humaneval"].keys
    # Other libraries: what runs runs again, and nobody is asked.
    evaluation = {**evaluation, "environments": [{**environment, "image": "registry.example/science:2"}]}
    other = build_graph(tournament(3, evaluation=evaluation)).by_name
    changed = {name for name, bundle in by_name.items() if bundle.version != other[name].version}
    assert changed == {"references/ds1000", "report", *(f"score/{player}/ds1000" for player in ("m0", "m1", "m2"))}


def test_competitors_are_scored_without_a_training() -> None:
    asked = solve(evaluation={**EVALUATION, "competitors": True})
    assert sorted({name.split("/")[1] for name in asked}) == ["m0", "m1", "m2"]


def test_an_edit_of_the_training_makes_the_target_alone_anew() -> None:
    spec: dict[str, Any] = {"evaluation": {**EVALUATION, "competitors": True}}
    one = build_graph(tournament(3, training=TRAINING, **spec))
    other = build_graph(tournament(3, training={**TRAINING, "hyperparameters": {"epochs": 1}}, **spec))
    changed = {name for name, bundle in one.by_name.items() if bundle.version != other.by_name[name].version}
    scored = {f"{stage}/trained-model/{name}" for stage in ("solve", "score") for name in ("humaneval", "mbpp")}
    assert changed == {"train", "report", *scored}
    versions = {model.name: model.version for model in one.models if model.version != other.model[model.name].version}
    assert set(versions) == {"trained-model"}


def test_with_room_for_one_the_target_costs_two_loads_more() -> None:
    plain = build_graph(tournament(3))
    graph = build_graph(tournament(3, training=TRAINING, evaluation=EVALUATION))
    room = Room(max_active=1)
    loads = expected_loads(graph, {}, room)
    assert loads["base-model"] == loads["trained-model"] == 1
    assert sum(loads.values()) == sum(expected_loads(plain, {}, room).values()) + 2


def test_the_papers_training_takes_some_forty_gpu_hours() -> None:
    hyperparameters = {"epochs": 3}
    base = {"uri": "hf://deepseek-ai/deepseek-coder-6.7b-base"}
    spec: dict[str, Any] = {"instructions": {"mine": {"perCompetitor": 10000}}, "curation": {"decontaminate": []}}
    graph = build_graph(tournament(5, training={"baseModel": base, "hyperparameters": hyperparameters}, **spec))
    # 3 epochs of 14,000 rows of 2,048 tokens; the paper's 448 steps of 512 rows would be 5.3 times that.
    assert expected_training(graph, {}) == pytest.approx(7.7, abs=0.1)
    pairs = {"uri": "s3://bucket/pairs.jsonl", "answers": ["one", "other"], "sample": 10000}
    judged = tournament(
        5, training={"baseModel": base, "hyperparameters": hyperparameters}, judging={"calibration": pairs}, **spec
    )
    assert expected_training(build_graph(judged), {}) == expected_training(graph, {})  # labelled pairs are no rows
    assert expected_training(build_graph(tournament(3)), {}) is None
    unnamed = build_graph(tournament(3, training=TRAINING))
    assert expected_training(unnamed, {}) is None
