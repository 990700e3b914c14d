"""What is planned for instructions from a file."""

from __future__ import annotations

from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import CurateRecipe, FilterRecipe, GradeRecipe

GIVEN: dict[str, Any] = {"from": {"uri": "s3://bucket/p.jsonl"}}


LIMIT: dict[str, Any] = {"diversity": {"perCompetitor": 7}}


@pytest.mark.parametrize(
    ("instructions", "curation", "keep", "diversity", "limit"),
    [
        ({"mine": {}}, {}, ("Excellent", "Good"), "KCenterGreedy", 2800),
        (GIVEN, {}, (), "None", None),
        (GIVEN, {"diversity": {"method": "Random"}}, (), "None", None),  # all of them, whoever would choose
        (GIVEN, {"difficulty": {"keep": ["Good"]}, **LIMIT}, ("Good",), "KCenterGreedy", 7),
        ({"mine": {}}, {"difficulty": {"keep": []}, "diversity": {"method": "None"}}, (), "None", None),
        ({"mine": {}}, {"diversity": {"method": "None", "perCompetitor": 7}}, ("Excellent", "Good"), "None", None),
    ],
)
def test_given_instructions_are_neither_graded_nor_reduced_unless_the_manifest_says_so(
    instructions: dict[str, Any],
    curation: dict[str, Any],
    keep: tuple[str, ...],
    diversity: str,
    limit: int | None,
) -> None:
    graph = build_graph(tournament(3, instructions=instructions, curation=curation))
    curated = graph.recipes(CurateRecipe)
    assert {(recipe.keep, recipe.diversity, recipe.limit) for recipe in curated} == {(keep, diversity, limit)}
    assert bool(graph.recipes(GradeRecipe)) == bool(keep)


@pytest.mark.parametrize(
    ("instructions", "curation", "lint", "dedup"),
    [
        ({"mine": {}}, {}, "Strict", "MinHash"),
        (GIVEN, {}, "None", "Exact"),
        ({"mine": {}}, {"lint": "Basic", "dedup": {"method": "Exact"}}, "Basic", "Exact"),
        (GIVEN, {"lint": "Strict", "dedup": {"method": "None"}}, "Strict", "None"),
    ],
)
def test_what_is_given_stays_as_it_is_unless_the_manifest_says_otherwise(
    instructions: dict[str, Any], curation: dict[str, Any], lint: str, dedup: str
) -> None:
    filters = build_graph(tournament(3, instructions=instructions, curation=curation)).recipes(FilterRecipe)
    assert {(recipe.lint, recipe.dedup) for recipe in filters} == {(lint, dedup)}
    assert all((b'"lint"' in recipe.canonical()) == (lint != "Strict") for recipe in filters)
