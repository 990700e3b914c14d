"""Worlds of two players whose verdicts a function gives, and their ratings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from tiltyard_jobs.contracts.recipes import RateRecipe

THREE_JUDGES = ("jon", "kim", "lea")


def two_players(tmp_path: Path, vote: Callable[[Asked], float | dict[str, Any] | None], **more: Any) -> ArtifactWorld:
    """ada's one instruction, fought over by ada and bob before three neutral judges."""
    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    world.play({"ada": ["Reverse a list."]}, vote=vote, **more)
    return world


def rated(world: ArtifactWorld, **changes: Any) -> tuple[RateRecipe, dict[str, Any]]:
    recipe = world.rate(**changes)
    ran = world.run(recipe)
    assert ran.code == 0, ran.summary
    return recipe, world.document(recipe.ref, "standings")


def two_of_three(asked: Asked) -> float:
    """Two judges vote for ada in both orders, lea for bob: t_A = 4, t_B = 2."""
    return 0.0 if asked.judge == "lea" else 1.0
