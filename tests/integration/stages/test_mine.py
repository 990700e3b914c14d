from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import Any

import pytest
from aiohttp import web

from support.stage_world import PREFIX, Asked, Given, Sim, StageWorld, mine_recipe, not_found, stub
from tiltyard_jobs.contracts.recipes import StagedArtifact
from tiltyard_jobs.records import instruction_id, seed_of
from tiltyard_jobs.report.prefixes import read_prefixes
from tiltyard_jobs.sim.request_log import RequestKind


def task(number: int) -> str:
    return f"Write a function number {number} that reverses a linked list in place."


def test_rows_have_their_place_whatever_the_part(world: StageWorld, sim: Sim) -> None:
    recipe = mine_recipe(rows=70, shard_size=32, prefix=None)
    before = len(sim.asked())
    world.make(recipe, endpoint=sim.endpoint)

    rows, seals = world.rows(recipe.ref), world.seals(recipe.ref)
    assert [seal.rows for seal in seals] == [32, 32, 6]
    assert [row["instruction_id"] for row in rows] == [instruction_id(recipe.ref.key, row) for row in range(70)]
    grid = [(float(setting.temperature), float(setting.top_p)) for setting in recipe.settings]
    assert [(row["temperature"], row["top_p"]) for row in rows] == [grid[row % 3] for row in range(70)]
    assert {row["attacker_id"] for row in rows} == {recipe.model.id}
    # The server's own template was asked for its prefix.
    assert {row["prefix_sha256"] for row in rows} == {hashlib.sha256(PREFIX.encode()).hexdigest()}

    asked = Counter(request.sha256 for request in sim.asked()[before:] if request.kind is RequestKind.MINE)
    assert len(asked) == asked.total() == 70  # no two alike: each has a seed of its own

    voids = Counter(row["void"] for row in rows if row["void"])
    assert voids.keys() == {"Empty"}
    assert sum((Counter(seal.voids) for seal in seals), Counter()) == voids
    for row in rows:
        assert (row["instruction"] is None) == (row["void"] is not None)
    said = [row["prompt_tokens"] for row in rows if row["void"] is None]
    assert sum(seal.prompt_tokens for seal in seals) == sum(said) > 0


def test_what_is_asked_follows_the_recipe_alone(world: StageWorld) -> None:
    recipe = mine_recipe(rows=7)
    with stub(lambda asked: task(asked.document["seed"])) as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    assert [asked.document["seed"] for asked in server.asked] == [
        seed_of(recipe.seed, recipe.ref.key, row) for row in range(7)
    ]
    for row, asked in enumerate(server.asked):
        setting = recipe.settings[row % 3]
        assert asked.prompt == PREFIX
        assert asked.document["temperature"] == float(setting.temperature)
        assert asked.document["top_p"] == float(setting.top_p)
        assert asked.document["max_tokens"] == setting.max_tokens
    texts = [task(asked.document["seed"]) for asked in server.asked]
    assert world.column(recipe.ref, "instruction") == texts


def test_system_messages_take_turns_in_the_models_own_template(world: StageWorld, sim: Sim) -> None:
    plain = mine_recipe(rows=14, prefix=None)
    recipe = mine_recipe(rows=14, prefix=None, system_prompts=("Write Rust.", "Write Go."))
    assert plain.ref.key != recipe.ref.key
    world.make(recipe, endpoint=sim.endpoint)
    rust, go = (
        hashlib.sha256(f"<|im_start|>system\nWrite {what}.<|im_end|>\n{PREFIX}".encode()).hexdigest()
        for what in ("Rust", "Go")
    )
    # Each has the whole grid of three settings before the next has it.
    assert world.column(recipe.ref, "prefix_sha256") == [*[rust] * 3, *[go] * 3] * 2 + [rust] * 2
    grid = [float(setting.temperature) for setting in recipe.settings]
    assert world.column(recipe.ref, "temperature") == [grid[row % 3] for row in range(14)]


def test_an_instruction_that_the_token_limit_cut_says_so(world: StageWorld) -> None:
    recipe = mine_recipe(rows=2)
    reasons = iter(["length", "stop"])
    with stub(lambda asked: {"text": task(0) + "\r\n\r\n\r\n", "finish_reason": next(reasons)}) as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    assert world.column(recipe.ref, "finish_reason") == ["length", "stop"]
    assert world.column(recipe.ref, "instruction") == [task(0)] * 2  # in the normal form


def characters(document: dict[str, Any]) -> Given:
    """A tokenizer with a token for each character and each special token, and a beginning that it puts before texts."""
    if "tokens" in document:
        return web.json_response({"prompt": "".join(SPECIAL.get(token) or chr(token) for token in document["tokens"])})
    if "messages" in document:
        text = f"<s><|im_start|>user\n{document['messages'][0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    else:
        text = ("<s>" if document["add_special_tokens"] else "") + document["prompt"]
    pieces = re.findall("<[^<>]+>|.", text, re.DOTALL)
    ids = {text: token for token, text in SPECIAL.items()}
    return web.json_response({"tokens": [ids.get(piece) or ord(piece) for piece in pieces]})


SPECIAL = {1: "<s>", 2: "<|im_start|>", 3: "<|im_end|>"}


@pytest.mark.parametrize("written", ["", "<s>"])
def test_a_given_prefix_ends_where_the_server_s_template_does(world: StageWorld, written: str) -> None:
    def reply(asked: Asked) -> Given:
        if asked.path != "/v1/completions":
            return characters(asked.document)
        glued = f"{task(asked.document['seed'])}<|im_end|>\n<|im_start|>assistant\nCertainly!"
        return {"text": glued, "finish_reason": "length"}  # as a server that knows no stop

    recipe = mine_recipe(rows=3, shard_size=2, prefix=f"{written}<|im_start|>user\n")
    with stub(reply, tells_tokens=True) as server:
        world.make(recipe, endpoint=server.endpoint)
    sent = [asked.document for asked in server.asked if asked.path == "/v1/completions"]
    assert {tuple(document["prompt"]) for document in sent} == {(1, 2, *map(ord, "user\n"))}
    assert {tuple(document["stop"]) for document in sent} == {("<|im_end|>", "<|im_start|>")}
    assert [(d["stop_token_ids"], d["skip_special_tokens"]) for d in sent] == [([3, 2], False)] * 3
    assert world.column(recipe.ref, "instruction") == [task(document["seed"]) for document in sent]
    assert world.column(recipe.ref, "finish_reason") == ["stop"] * 3
    for seal in world.seals(recipe.ref):
        (document,) = json.loads(world.artifacts.fetch(seal.files["prefixes"]).read_bytes())
        assert document == {
            "prefix": recipe.prefix,
            "tokenIds": [1, 2, *map(ord, "user\n")],
            "source": "chatTemplatePrefix",
            "stops": ["<|im_end|>", "<|im_start|>"],
            "stopTokenIds": [3, 2],
            "stopSource": "tokenize",
        }


def test_the_report_shows_with_what_was_mined(world: StageWorld) -> None:
    recipe = mine_recipe(rows=2, prefix="Q:\n", stops=("\nA:",))
    with stub(lambda asked: f"{task(1)}\nA: Certainly!") as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    made_of = (
        StagedArtifact(role="mine/ada", ref=recipe.ref),
        StagedArtifact(role="mine/bob", ref=world.instructions(["Sort."], stage="mine")),  # made before it was kept
        StagedArtifact(role="prompts/cyd", ref=world.instructions(["Sort."], stage="prompts")),
    )
    assert read_prefixes(world.artifacts, made_of) == (
        ("ada", r'"Q:\n"', "chatTemplatePrefix", r'"\nA:"', "chatTemplateStops"),
    )


def test_stops_of_the_manifest_cut_where_a_server_knows_none(world: StageWorld) -> None:
    recipe = mine_recipe(rows=2, prefix="Q: ", stops=("\nA:",))
    with stub(lambda asked: f"{task(1)}\nA: Certainly!") as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    assert [(asked.document["stop"], asked.prompt) for asked in server.asked] == [(["\nA:"], "Q: ")] * 2
    assert all("skip_special_tokens" not in asked.document for asked in server.asked)
    assert world.column(recipe.ref, "instruction") == [task(1)] * 2


def test_a_prefix_whose_end_nobody_knows_is_recorded_so(world: StageWorld) -> None:
    recipe = mine_recipe(rows=2, prefix="Q: ")
    with stub(lambda asked: task(1)) as server:
        world.make(recipe, endpoint=server.endpoint)
    (seal,) = world.seals(recipe.ref)
    (document,) = json.loads(world.artifacts.fetch(seal.files["prefixes"]).read_bytes())
    assert (document["stops"], document["stopSource"], document["tokenIds"]) == ([], "none", None)


@pytest.mark.parametrize("garbage", ["", " \n ", "<|im_start|>assistant", "no no " * 500, "Hello", "\x00\x01" * 99])
def test_a_template_that_gives_garbage_fails_early(world: StageWorld, garbage: str) -> None:
    with stub(lambda asked: garbage) as server:
        ran = world.run(mine_recipe(rows=200), endpoint=server.endpoint)
    assert ran.code == 2
    assert ran.summary["message"].startswith(
        "spec.competitors[1].chatTemplatePrefix: none of the first 16 completions of the given prefix is an"
    )
    assert "chatTemplateStops" in ran.summary["message"]
    assert len(server.asked) == 16


@pytest.mark.parametrize(("reply", "why"), [("", "Empty"), ("<think>Hm.</think>", "NoAnswer")])
def test_an_author_of_few_texts_of_which_none_is_there_fails_as_one_of_many(
    world: StageWorld, reply: str, why: str
) -> None:
    with stub(lambda asked: reply) as server:
        ran = world.run(mine_recipe(rows=4), endpoint=server.endpoint)
    assert ran.code == 2
    assert f": none of 4 replies is usable, most often for this reason: {why}: " in ran.summary["message"]


def test_one_instruction_among_the_first_is_enough(world: StageWorld) -> None:
    recipe = mine_recipe(rows=40)
    replies = iter([*[""] * 15, task(1), *[""] * 24])
    with stub(lambda asked: next(replies)) as server:
        ran = world.run(recipe, endpoint=server.endpoint)
    assert ran.code == 0
    assert ran.summary["voids"] == {"Empty": 39}


def test_a_server_that_does_not_tell_its_template(world: StageWorld) -> None:
    def only_completes(asked: Asked) -> Given:
        return not_found() if asked.path.endswith("tokenize") else task(0)

    with stub(only_completes) as server:
        ran = world.run(mine_recipe(prefix=None), endpoint=server.endpoint)
    assert ran.code == 2
    message = ran.summary["message"]
    assert message.startswith(
        f"spec.competitors[1].endpoint: {server.url} does not provide the chat template of model 'm'"
    )
    assert message.endswith("give chatTemplatePrefix")


@pytest.mark.parametrize("nonsense", [b"\xff\xfe", b"[]", b'{"tokens": ', b"<html>"])
def test_a_server_that_tells_nonsense_of_its_template(world: StageWorld, nonsense: bytes) -> None:
    def reply(asked: Asked) -> Given:
        if asked.path == "/tokenize":
            return web.json_response({"tokens": [1, 2, len(asked.document["messages"][0]["content"]), 3]})
        return nonsense

    with stub(reply, tells_tokens=True) as server:
        ran = world.run(mine_recipe(prefix=None), endpoint=server.endpoint)
    assert ran.code == 2
    assert "give chatTemplatePrefix" in ran.summary["message"]
    assert "Malformed" in ran.summary["message"]
