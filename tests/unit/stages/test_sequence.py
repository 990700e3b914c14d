from __future__ import annotations

from itertools import combinations

import pytest

from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import JudgeRecipe
from tiltyard_jobs.stages.judge import orders_of, sequence

CURATED = ArtifactRef(stage="curate", key="c" * 32)


def match(a: str, b: str, orders: str = "Both") -> JudgeRecipe:
    return JudgeRecipe(
        judge=ModelIdentity(uri="sim://judge"),
        player_a=ModelIdentity(uri=f"sim://{a}"),
        player_b=ModelIdentity(uri=f"sim://{b}"),
        instructions=CURATED,
        answers_a=ArtifactRef(stage="answer", key=a * 32),
        answers_b=ArtifactRef(stage="answer", key=b * 32),
        orders=orders,
        method="Choice",
        prompt="judge-v1/code-v1",
        max_tokens=512,
        rows=4,
        seed=0,
        shard_size=10,
    )


def shown_first(recipes: list[JudgeRecipe], orders: tuple[str, ...]) -> str:
    """Whose answer each prompt shows first, in the sequence of asking."""
    return "".join(
        (recipes[index].answers_a if orders[turn] == "AB" else recipes[index].answers_b).key[0]
        for turn, index in sequence(recipes, orders)
    )


def test_answers_shown_first_follow_one_another() -> None:
    attacked = [match("a", other) for other in "bcd"]
    assert shown_first(attacked, ("AB", "BA")) == "aaabcd"
    every = [match(a, b) for a, b in combinations("abcd", 2)]
    assert shown_first(every, ("AB", "BA")) == "aaabbbcccddd"
    assert shown_first(every, ("AB",)) == "aaabbc"
    assert shown_first(every, ("BA",)) == "bccddd"


@pytest.mark.parametrize("orders", [("AB",), ("BA",), ("AB", "BA")])
def test_each_verdict_is_asked_once(orders: tuple[str, ...]) -> None:
    every = [match(a, b) for a, b in combinations("abcd", 2)]
    asked = sequence(every, orders)
    assert sorted(asked) == [(turn, index) for turn in range(len(orders)) for index in range(len(every))]


def test_orders() -> None:
    assert [orders_of(match("a", "b"), row) for row in (0, 1)] == [("AB", "BA")] * 2
    assert [orders_of(match("a", "b", "Alternate"), row) for row in range(3)] == [("AB",), ("BA",), ("AB",)]
