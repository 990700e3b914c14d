"""What is planned for instructions from a file."""

from __future__ import annotations

from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import FilterRecipe

GIVEN: dict[str, Any] = {"from": {"uri": "s3://bucket/p.jsonl"}}


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
