from __future__ import annotations

import pytest

from support.stage_world import SAMPLING, Asked, Given, Sim, StageWorld, answer_recipe, id_of, stub
from tiltyard_jobs.records import seed_of
from tiltyard_jobs.sim.request_log import RequestKind

TEXTS = [f"Write a function number {number} that sorts a list in place." for number in range(7)]


def test_answers_have_the_places_of_their_instructions(world: StageWorld, sim: Sim) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=12, shard_size=3)
    before = len(sim.asked())
    world.make(recipe, endpoint=sim.endpoint)
    assert [seal.rows for seal in world.seals(recipe.ref)] == [3, 3, 1, 0]
    rows = world.rows(recipe.ref)
    assert [row["instruction_id"] for row in rows] == [id_of(row) for row in range(7)]
    assert {row["model_id"] for row in rows} == {recipe.model.id}
    assert all(row["answer"] and row["void"] is None for row in rows)
    kinds = [request.kind for request in sim.asked()[before:]]
    # Where an answer is cut, the model is asked once whether its thoughts begin without a mark.
    assert [kind for kind in kinds if kind != RequestKind.OTHER] == [RequestKind.ANSWER] * 7


def test_what_is_asked_follows_the_recipe_alone(world: StageWorld) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=7, seed=3)
    with stub(lambda asked: f"\n{asked.prompt}\n") as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    assert [asked.document for asked in server.asked] == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": text}],
            "temperature": float(SAMPLING.temperature),
            "top_p": float(SAMPLING.top_p),
            "max_tokens": SAMPLING.max_tokens,
            "seed": seed_of(3, recipe.model.id, id_of(row)),
        }
        for row, text in enumerate(TEXTS)
    ]
    assert world.column(recipe.ref, "answer") == [f"\n{text}\n" for text in TEXTS]  # an answer stays as it was said


def test_a_system_message_stands_before_the_instruction(world: StageWorld) -> None:
    plain, told = (
        answer_recipe(world.instructions(TEXTS, stage="curate"), rows=7, system=s) for s in (None, "Write Rust.\n")
    )
    assert plain.ref.key != told.ref.key
    with stub(lambda asked: "An answer.") as server:
        assert world.run(told, endpoint=server.endpoint).code == 0
    assert [asked.document["messages"] for asked in server.asked] == [
        [{"role": "system", "content": "Write Rust.\n"}, {"role": "user", "content": text}] for text in TEXTS
    ]


def test_an_answer_that_the_token_limit_cut_is_an_answer(world: StageWorld) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=7)
    with stub(lambda asked: {"message": {"content": "Half an ans"}, "finish_reason": "length"}) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert set(world.column(recipe.ref, "finish_reason")) == {"length"}


@pytest.mark.parametrize(("fraction", "code"), [("0", 3), ("0.1", 0)])
def test_silence_counts_as_a_failure(world: StageWorld, fraction: str, code: int) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=7)
    with stub(lambda asked: "" if asked.prompt == TEXTS[4] else "An answer.") as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction=fraction)
    assert ran.code == code
    if code:
        assert "spec.jobs.maxVoidFraction allows 0" in ran.summary["message"]
    else:
        assert world.column(recipe.ref, "void") == [None] * 4 + ["Empty"] + [None] * 2


@pytest.mark.parametrize("knows", [True, False])
def test_answers_of_a_base_model_end_at_its_stops(world: StageWorld, knows: bool) -> None:
    """It goes on to write the next question; a server may know its stops or not."""
    stop = ("\nUser:", "\n\nQ:")

    def reply(asked: Asked) -> Given:
        if knows:
            return "Use sorted()."
        return {"message": {"content": f"Use sorted().{stop[1]} And?{stop[0]} More"}, "finish_reason": "length"}

    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=7)
    with stub(reply) as server:
        endpoint = server.endpoint.model_copy(update={"stop": stop})
        assert world.run(recipe, endpoint=endpoint).code == 0
    asked = [asked.document for asked in server.asked if asked.prompt in TEXTS]
    assert [document["stop"] for document in asked] == [list(stop)] * 7
    assert world.column(recipe.ref, "answer") == ["Use sorted()."] * 7
    assert world.column(recipe.ref, "finish_reason") == ["stop"] * 7
