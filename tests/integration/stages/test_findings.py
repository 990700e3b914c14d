"""How a model is asked is found once: later shards do not find it again by requests that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from support.stage_world import Asked, Given, StageWorld, answer_recipe, judge_recipe, stub
from tiltyard_jobs.contracts.layout import findings_key
from tiltyard_jobs.contracts.solo_tasks import NamedEndpoint, PreflightTask
from tiltyard_jobs.llm.manner import QUESTION

TEXTS = [f"Write a function number {number} that sorts a list in place." for number in range(4)]
Refused = Callable[[dict[str, Any]], bool]
REFUSALS: dict[str, Refused] = {
    "max_tokens": lambda document: "max_tokens" in document,
    "seed": lambda document: "seed" in document,
    "temperature": lambda document: document.get("temperature") == 0.7,
    "system": lambda document: document["messages"][0]["role"] == "system",
}


class Strict:
    """A server that refuses a member of a request, or a system message; it counts how often it did."""

    def __init__(self, refuses: str) -> None:
        self._refuses = refuses
        self.refused = 0

    def __call__(self, asked: Asked) -> Given:
        if not REFUSALS[self._refuses](asked.document):
            return "An answer."
        self.refused += 1
        error = {"message": f"{self._refuses} is not supported", "param": self._refuses}
        return web.json_response({"error": error}, status=400)


@pytest.mark.parametrize("refuses", REFUSALS)
def test_preflight_finds_it_for_all_shards(world: StageWorld, refuses: str) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=4, shard_size=2, system="Be short.")
    server = Strict(refuses)
    with stub(server) as served:
        named = NamedEndpoint(name="x", endpoint=served.endpoint, probes=(recipe,))
        task = PreflightTask(
            tournament="test", store=world.store_ref, run="0123456789ab", artifacts=(), endpoints=(named,)
        )
        assert world.run_task(task.model_copy(update={"check_store": False})).code == 0
        assert world.store.get(findings_key(recipe.model.id)) is None  # nothing is written for a plan
        found = world.run_task(task).summary.get("warnings", [])
        assert server.refused > 0
        server.refused = 0
        for shard in range(2):
            told = world.run(recipe, shard=shard, endpoint=served.endpoint).summary.get("warnings", [])
            assert told == found
    assert server.refused == 0
    assert world.column(recipe.ref, "answer") == ["An answer."] * 4
    assert bool(found) == (refuses != "max_tokens")


def test_the_first_shard_of_a_served_model_finds_it_for_the_others(world: StageWorld) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=4, shard_size=1)
    server = Strict("max_tokens")
    with stub(server) as served:
        assert world.run(recipe, endpoint=served.endpoint, probes=(recipe,)).code == 0
        first, server.refused = server.refused, 0
        assert world.run(recipe, shard=1, endpoint=served.endpoint).code == 0
        # What is damaged is found again; the rows are what they are.
        second, server.refused = server.refused, 0
        world.store.put(findings_key(recipe.model.id), b'{"forms": 7')
        assert world.run(recipe, shard=2, endpoint=served.endpoint).code == 0
        third, server.refused = server.refused, 0
        assert world.run(recipe, shard=3, endpoint=served.endpoint).code == 0
    assert (first > 0, second, third > 0, server.refused) == (True, 0, True, 0)
    assert world.column(recipe.ref, "answer") == ["An answer."] * 4


@pytest.mark.parametrize(("tokens", "times"), [(40, 1), (900, 2)])
def test_the_manner_of_thinking_is_found_once_where_all_would_find_it(
    world: StageWorld, tokens: int, times: int
) -> None:
    """One that only a long reply shows is kept to the shard: no row hangs on who asked before."""
    instructions = world.instructions(TEXTS, stage="curate")
    a, b = (world.answers(name, [f"{name} sorts it."] * 4) for name in "ab")
    recipe = judge_recipe(instructions, ("a", a), ("b", b), rows=4, shard_size=4)
    questions = []

    def reply(asked: Asked) -> Given:
        if asked.prompt == QUESTION:
            questions.append(asked)
            reply = {"content": "17 and 25 make 42.</think>42"}
            usage = {"prompt_tokens": 9, "completion_tokens": tokens}
            return web.json_response({"choices": [{"message": reply, "finish_reason": "stop"}], "usage": usage})
        if asked.document["max_tokens"] < 700:
            return {"message": {"content": "Hm, the first one"}, "finish_reason": "length"}
        return 'Hm, the first one.</think>{"winner": "1"}'

    with stub(reply) as served:
        for shard in range(2):
            assert world.run(recipe, shard=shard, endpoint=served.endpoint).code == 0
    assert len(questions) == times
    assert world.column(recipe.ref, "void") == [None] * 8
