"""Preflights of one endpoint whose replies a test chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from support.artifact_rows import key_of
from support.stage_world import Asked, Given, StageWorld, answer_recipe, grade_recipe, mine_recipe, stub
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import AnyRecipe
from tiltyard_jobs.contracts.solo_tasks import NamedEndpoint, PreflightTask
from tiltyard_jobs.contracts.tasks import EndpointRef

SOURCE = ArtifactRef(stage="curate", key=key_of("curated"), shards=1)
FIELD = "spec.competitors[1].endpoint"
AUTHOR = mine_recipe(prefix=None)
PLAYER, GRADER = answer_recipe(SOURCE, rows=3), grade_recipe(SOURCE, rows=3, max_tokens=40)
Case = Callable[[StageWorld, pytest.MonkeyPatch], tuple[int, str]]
"""The exit code of a preflight, and what it says."""


def run(world: StageWorld, endpoint: EndpointRef, **members: Any) -> tuple[int, str]:
    named = NamedEndpoint(name="x", endpoint=endpoint, **members)
    task = PreflightTask(tournament="test", store=world.store_ref, run="0" * 12, artifacts=(), endpoints=(named,))
    ran = world.run_task(task)
    return ran.code, "\n".join([ran.summary.get("message", ""), *ran.summary.get("warnings", [])])


def at(url: str) -> Case:
    return lambda world, monkeypatch: run(world, EndpointRef(url=url, model="m", field=FIELD))


def replying(
    reply: Callable[[Asked], Given],
    *,
    models: tuple[str, ...] | None = ("m",),
    tells_tokens: bool = False,
    **members: Any,
) -> Case:
    def case(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
        with stub(reply, models=models, tells_tokens=tells_tokens) as server:
            return run(world, server.endpoint, **members)

    return case


def refusing(status: int, *, models: tuple[str, ...] | None = ("m",), headers: Any = None, **error: Any) -> Case:
    return replying(lambda asked: web.json_response({"error": error}, status=status, headers=headers), models=models)


def saying(given: Given, *probes: AnyRecipe) -> Case:
    """A model that says the same to all but preflight's one word."""
    return replying(lambda asked: "fine" if asked.prompt == "1" else given, probes=probes)
