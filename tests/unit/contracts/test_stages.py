"""A stage is its recipe, its function, and how a manifest asks for it: nothing else names it."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiltyard_jobs.contracts.recipe import Phase
from tiltyard_jobs.contracts.recipes import RECIPES, AnyRecipe
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.stages import STAGES, stage_function

ROOT = Path(__file__).parents[3]
SOURCES = sorted([*(ROOT / "operator").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")])


@pytest.mark.parametrize("stage", RECIPES)
def test_a_stage_is_a_function_of_a_context_of_its_recipe(stage: str) -> None:
    function = stage_function(stage)
    assert inspect.iscoroutinefunction(function)
    hints = typing.get_type_hints(function)
    assert hints == {"context": ShardContext[RECIPES[stage]], "return": Outcome}  # type: ignore[valid-type]


@pytest.mark.parametrize("stage", RECIPES)
def test_a_recipe_says_what_a_planner_must_know(stage: str) -> None:
    recipe = RECIPES[stage]
    assert stage == recipe.STAGE
    assert recipe.PHASE in typing.get_args(Phase)


def test_every_recipe_can_stand_in_a_task() -> None:
    (union, _) = typing.get_args(AnyRecipe)
    assert set(typing.get_args(union)) == set(RECIPES.values())


def test_every_phase_has_a_stage_and_every_function_a_name() -> None:
    assert {recipe.PHASE for recipe in RECIPES.values()} == set(typing.get_args(Phase))
    for stage in STAGES:
        assert callable(stage_function(stage))
    with pytest.raises(KeyError):
        stage_function("nothing")


def _compared_with_words(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Attribute) and side.attr == "stage" for side in sides):
            words = [leaf.value for side in sides for leaf in ast.walk(side) if isinstance(leaf, ast.Constant)]
            yield from (f"{path.relative_to(ROOT)}:{node.lineno}: {word!r}" for word in words)


def test_no_code_asks_for_a_stage_by_a_word() -> None:
    assert [found for path in SOURCES for found in _compared_with_words(path)] == []
