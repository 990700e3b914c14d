"""What a tournament will cost: counted by hand for one of each kind."""

from __future__ import annotations

from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import (
    ANSWER_SHARE,
    GPU_FLOPS,
    UTILISATION,
    Cost,
    estimate,
    expected_loads,
    expected_training,
    settle,
)
from tiltyard.plan.graph import Graph
from tiltyard.plan.schedule import Room
from tiltyard_jobs.contracts.recipes.battles import JUDGE_PROMPT_TOKENS
from tiltyard_jobs.contracts.recipes.evaluation import LM_EVAL_QUESTIONS, TASK_TOKENS
from tiltyard_jobs.contracts.recipes.instructions import (
    GRADE_PROMPT_TOKENS,
    GRADE_TOKENS,
    INSTRUCTION_TOKENS,
    PREFIX_TOKENS,
)
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS

ROWS = 8
SAMPLING = {"answer": {"maxTokens": 1000}}


def graph_of(**spec: Any) -> Graph:
    return build_graph(tournament(3, per_competitor=ROWS, **spec))


def costs(graph: Graph, done: dict[str, frozenset[int]] | None = None) -> dict[str, tuple[int, float, float]]:
    """Calls, and tokens of one call, by bundle; those that call nobody left out."""
    return {
        name: (cost.calls, cost.prompt_tokens / cost.calls, cost.completion_tokens / cost.calls)
        for name, cost in estimate(graph, done or {}).items()
        if cost.calls
    }


def test_each_stage_costs_what_it_asks() -> None:
    found = costs(graph_of(battles=SAMPLING, instructions={"mine": {"perCompetitor": ROWS, "maxTokens": 300}}))
    answer_tokens = ANSWER_SHARE * 1000
    # Both answers are read, in both orders.
    both = JUDGE_PROMPT_TOKENS + INSTRUCTION_TOKENS + 2 * answer_tokens
    expected: dict[str, tuple[int, float, float]] = {
        "mine/m0": (ROWS, PREFIX_TOKENS, 300),
        "grade/m1/m0": (ROWS, GRADE_PROMPT_TOKENS + INSTRUCTION_TOKENS, GRADE_TOKENS),
        "answer/m0/m0": (ROWS, INSTRUCTION_TOKENS, answer_tokens),
        "judge/m2/m0": (2 * ROWS, both, VERDICT_METHODS["Logprobs"].tokens),
    }
    assert found.items() >= expected.items()
    stages = {name.partition("/")[0] for name in found}
    assert stages == {"mine", "grade", "answer", "judge"}


@pytest.mark.parametrize("method", sorted(VERDICT_METHODS))
@pytest.mark.parametrize(("orders", "times"), [("Both", 2), ("Alternate", 1)])
def test_a_verdict_costs_by_its_method_and_its_orders(method: str, orders: str, times: int) -> None:
    found = costs(graph_of(battles={"orders": orders, "verdict": {"method": method}}))["judge/m2/m0"]
    assert (found[0], found[2]) == (times * ROWS, VERDICT_METHODS[method].tokens)
    assert (
        VERDICT_METHODS["Logprobs"].tokens == 1 < VERDICT_METHODS["Choice"].tokens < VERDICT_METHODS["Reasoned"].tokens
    )


def test_the_longest_of_the_minings_settings_counts() -> None:
    graph = graph_of(instructions={"mine": {"perCompetitor": ROWS, "temperatures": ["0.5", "1"], "maxTokens": 77}})
    assert costs(graph)["mine/m2"] == (ROWS, PREFIX_TOKENS, 77)


def test_benchmarks_cost_a_call_a_task() -> None:
    evaluation = {
        "benchmarks": ["humaneval"], "competitors": True, "maxTokens": 600, "allowCodeExecution": True,
        "lmEval": [{"name": "gsm8k", "metric": "exact_match"}, {"name": "arc", "metric": "acc", "limit": 70}],
    }  # fmt: skip
    found = costs(graph_of(evaluation=evaluation))
    for name, calls in (("humaneval", 164), ("gsm8k", LM_EVAL_QUESTIONS), ("arc", 70)):
        asked: tuple[int, float, float] = (calls, TASK_TOKENS, ANSWER_SHARE * 600)
        assert found[f"solve/m0/{name}"] == asked


def test_what_is_there_costs_nothing() -> None:
    graph = graph_of()
    (ref,) = graph.by_name["answer/m0/m1"].makes
    assert ref.shards == 2
    assert costs(graph, {ref.key: frozenset({1})})["answer/m0/m1"][0] == ROWS // 2
    assert "answer/m0/m1" not in costs(graph, {ref.key: frozenset({0, 1})})
    everything = {ref.key: frozenset(range(ref.shards)) for ref in graph.artifacts}
    assert set(estimate(graph, everything).values()) == {Cost()}
    assert not any(expected_loads(graph, everything, Room(1)).values())


def test_costs_add_up_field_by_field() -> None:
    assert Cost(1, 20, 300) + Cost(4, 50, 600) == Cost(5, 70, 900)


def hours(base: str = "hf://org/base-7b", done: tuple[str, ...] = (), **training: Any) -> float | None:
    graph = graph_of(training={"baseModel": {"uri": base}, **training})
    there = {ref.key: frozenset(range(ref.shards)) for ref in graph.artifacts if ref.stage in done}
    return expected_training(graph, there)


def by_hand(parameters: float, passes: float, *, operations: int = 6, share: float = 1.0, tokens: int = 2048) -> float:
    rows = 3 * ROWS
    return operations * parameters * rows * share * passes * tokens / (GPU_FLOPS * UTILISATION * 3600)


def test_a_training_costs_six_operations_for_each_parameter_and_token() -> None:
    assert hours() == pytest.approx(by_hand(7e9, 3))
    assert hours(hyperparameters={"epochs": 5, "maxLength": 512}) == pytest.approx(by_hand(7e9, 5, tokens=512))
    assert hours(done=("mine", "answer", "dataset")) == hours()
    assert hours(done=("train",)) is None


def test_dpo_reads_two_answers_once_more() -> None:
    assert hours(method="SftThenDpo") == pytest.approx(by_hand(7e9, 3 + 2))
    assert hours(method="SftThenDpo", hyperparameters={"epochs": 1}) == pytest.approx(by_hand(7e9, 1 + 2))


def test_adapters_save_a_third_and_a_part_of_the_rows_its_share() -> None:
    assert hours(lora={}) == pytest.approx(by_hand(7e9, 3, operations=4))
    assert hours(select={"fraction": "0.25"}) == pytest.approx(by_hand(7e9, 3, share=0.25))


@pytest.mark.parametrize(
    ("base", "parameters"),
    [
        ("hf://org-70b/base-1.5B-instruct", 1.5e9),
        ("hf://org/smol-135M", 135e6),
        ("hf://org/0.5b", 0.5e9),
        ("pvc://claim/models/base-13b", 13e9),
        ("hf://org-7b/base", None),
        ("hf://org/base-7bit", None),
        ("hf://org/v2.7.6b", None),
    ],
)
def test_the_size_is_read_from_the_models_own_name(base: str, parameters: float | None) -> None:
    found = hours(base)
    assert found is None if parameters is None else found == pytest.approx(by_hand(parameters, 3))


def test_models_that_are_up_make_all_that_they_can() -> None:
    graph = graph_of()
    complete: set[str] = set()
    settle(graph, complete, {"m0", "m1", "m2"})
    assert complete == {ref.key for ref in graph.artifacts}
    complete = set()
    settle(graph, complete, {"m1"})
    # It mines; its instructions wait for those of m0, with which they are compared.
    assert complete == set(graph.by_name["mine/m1"].keys)
    settle(graph, complete, set())
    assert complete == set(graph.by_name["mine/m1"].keys)
