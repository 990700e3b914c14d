from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiohttp import web

from support.stage_world import Asked, Given, StageWorld, filter_recipe, stub
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import EmbedderRecipe
from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.results.stage_tables import INSTRUCTIONS

SORT = "Write a function that sorts a list of integers in place and returns nothing."
SORT_AGAIN = "Write a function that sorts a list of integers in place, and returns nothing!"
TREE = "Explain how a red-black tree keeps its height logarithmic under deletions."
TREE_AGAIN = "Explain how a red-black tree keeps its height logarithmic under deletions, please."
CACHE = "Design an LRU cache with constant time for get and put, without any library."

SEMANTIC = {"dedup": "Semantic", "embedder": EmbedderRecipe()}
BY_ENDPOINT = {"dedup": "Semantic", "embedder": EmbedderRecipe(method="Endpoint", model="http://e/v1#m")}


def mined(world: StageWorld, rows: Sequence[str | dict[str, Any]], name: str = "a") -> ArtifactRef:
    """Seal mined instructions: a text, or columns of a row."""
    made = [
        {"instruction_id": f"{name}{row}", "finish_reason": "stop", "temperature": 0.6}
        | ({"instruction": given} if isinstance(given, str) else given)
        for row, given in enumerate(rows)
    ]
    return world.seal("mine", name, INSTRUCTIONS, made, size=3)


def dropped(world: StageWorld, ref: ArtifactRef) -> dict[str, tuple[str, str | None]]:
    """By id, why an instruction was dropped and whom it repeats."""
    return {row["instruction_id"]: (row["reason"], row["twin_id"]) for row in world.rows(ref, "dropped")}


def check_counts(world: StageWorld, ref: ArtifactRef) -> None:
    """What the seal counts is what the tables hold."""
    (seal,) = world.seals(ref)
    assert seal.rows == len(world.rows(ref))
    reasons = Counter(f"dropped.{row['reason']}" for row in world.rows(ref, "dropped"))
    assert Counter(seal.counts) == reasons


def test_what_is_cut_off_a_text_that_is_kept_is_counted(world: StageWorld) -> None:
    answer = "\n\nCertainly! Below is the code that you asked for."
    cut = {"instruction": f"Question: {CACHE}{answer}", "finish_reason": "length"}  # only the answer was cut
    texts: list[Any] = [SORT + answer, f"Q: {TREE}", cut, "Hi" + answer, SORT]
    recipe = filter_recipe(mined(world, texts))
    world.make(recipe)
    assert world.column(recipe.ref, "instruction") == [SORT, TREE, CACHE]
    (seal,) = world.seals(recipe.ref)
    counts = {name: count for name, count in seal.counts.items() if name.startswith("cut.")}
    assert counts == {"cut.answer": 2, "cut.mark": 2}
    raw = filter_recipe(mined(world, texts), lint="None")
    world.make(raw)
    assert not any(name.startswith("cut.") for seal in world.seals(raw.ref) for name in seal.counts)


def test_what_is_no_instruction_or_was_said_before_is_dropped(world: StageWorld) -> None:
    source = mined(
        world,
        [
            {"void": "Empty", "instruction": None},
            SORT,
            {"instruction": TREE[:40], "finish_reason": "length"},
            SORT_AGAIN,
            "Hi",
            "<|im_start|>user Sort it for me now.",
            TREE,
            SORT,
        ],
    )
    recipe = filter_recipe(source)
    ran = world.run(recipe)
    assert (ran.code, ran.summary["rows"]) == (0, 2)
    kept = world.rows(recipe.ref)
    assert [(row["instruction_id"], row["instruction"]) for row in kept] == [("a1", SORT), ("a6", TREE)]
    assert [row["temperature"] for row in kept] == [0.6, 0.6]  # all columns stay
    assert dropped(world, recipe.ref) == {
        "a0": ("Empty", None),
        "a2": ("Truncated", None),
        "a3": ("Duplicate", "a1"),
        "a4": ("TooShort", None),
        "a5": ("TemplateLeak", None),
        "a7": ("Duplicate", "a1"),
    }
    check_counts(world, recipe.ref)


@pytest.mark.parametrize("by", [{}, SEMANTIC | {"threshold": "0.7"}], ids=["MinHash", "Semantic"])
def test_the_first_attacker_keeps_what_several_wrote(world: StageWorld, by: dict[str, Any]) -> None:
    first = filter_recipe(mined(world, [TREE, SORT], "a"), **by)
    second = filter_recipe(mined(world, [CACHE, SORT_AGAIN], "b"), first.ref, **by)
    third = filter_recipe(mined(world, ["Hi", TREE_AGAIN, CACHE, SORT, TREE], "c"), first.ref, second.ref, **by)
    for recipe in (first, second, third):
        assert world.run(recipe).code == 0
        check_counts(world, recipe.ref)
    assert world.column(first.ref, "instruction_id") == ["a0", "a1"]
    assert dropped(world, second.ref) == {"b1": ("Duplicate", "a1")}
    assert dropped(world, third.ref) == {
        "c0": ("TooShort", None),
        "c1": ("Duplicate", "a0"),
        "c2": ("Duplicate", "b0"),
        "c3": ("Duplicate", "a1"),
        "c4": ("Duplicate", "a0"),
    }


def test_a_twin_within_is_named_before_rows_that_do_not_count(world: StageWorld) -> None:
    """The twin's place is counted among the instructions that passed the linter, in the source and before it."""
    earlier = filter_recipe(mined(world, ["Hi", CACHE], "a"))
    recipe = filter_recipe(mined(world, ["Hi", "No.", TREE, "Hi", TREE_AGAIN, CACHE], "b"), earlier.ref)
    assert world.run(earlier).code == world.run(recipe).code == 0
    assert dropped(world, recipe.ref)["b4"] == ("Duplicate", "b2")
    assert dropped(world, recipe.ref)["b5"] == ("Duplicate", "a1")


def test_without_dedup_the_linter_alone_decides(world: StageWorld) -> None:
    recipe = filter_recipe(mined(world, [SORT, SORT, "Hi", SORT]), dedup="None")
    assert world.run(recipe).code == 0
    assert world.column(recipe.ref, "instruction_id") == ["a0", "a1", "a3"]
    assert dropped(world, recipe.ref) == {"a2": ("TooShort", None)}


def test_given_text_is_dropped_for_equality_alone(world: StageWorld) -> None:
    by = {"dedup": "Exact", "threshold": "1", "lint": "None"}
    earlier = filter_recipe(mined(world, [SORT, "Hi"], "a"), **by)
    texts = [SORT_AGAIN, "  Hi\n", f"{SORT} ", "cafe\u0301 au lait", "café au lait ", "<|im_start|> Sort", "Sort"]
    recipe = filter_recipe(mined(world, [*texts], "b"), earlier.ref, **by)
    assert world.run(earlier).code == world.run(recipe).code == 0
    assert world.column(recipe.ref, "instruction") == [SORT_AGAIN, texts[3], texts[5], "Sort"]
    assert dropped(world, recipe.ref) == {"b1": ("Repeat", "a1"), "b2": ("Repeat", "a0"), "b4": ("Repeat", "b3")}
    (seal,) = world.seals(recipe.ref)
    assert seal.counts == {"dropped.Repeat": 3, "lint.NoRequest": 2, "lint.TemplateLeak": 1, "lint.TooShort": 2}


@pytest.mark.parametrize("by", [{"dedup": "Exact", "threshold": "1"}, {"threshold": "0.9"}], ids=["Exact", "MinHash"])
def test_what_came_before_an_instruction_is_part_of_it(world: StageWorld, by: dict[str, Any]) -> None:
    ask = [{"role": "user", "content": TREE}, {"role": "assistant", "content": CACHE}]
    rows: list[str | dict[str, Any]] = [
        SORT,
        {"instruction": SORT, "history": ask},
        {"instruction": SORT, "history": ask},
    ]
    recipe = filter_recipe(mined(world, rows), **by)
    assert world.run(recipe).code == 0
    assert world.column(recipe.ref, "history") == [None, ask]
    assert {twin for _, twin in dropped(world, recipe.ref).values()} == {"a1"}


@pytest.mark.parametrize("by", [{}, SEMANTIC, {"dedup": "None"}], ids=["MinHash", "Semantic", "None"])
@pytest.mark.parametrize("texts", [[], ["Hi", "No."]])
def test_nothing_is_left(world: StageWorld, by: dict[str, Any], texts: list[str | dict[str, Any]]) -> None:
    earlier = filter_recipe(mined(world, [SORT], "a"), **by)
    recipe = filter_recipe(mined(world, texts, "b"), earlier.ref, **by)
    assert world.run(earlier).code == world.run(recipe).code == 0
    assert world.rows(recipe.ref) == []
    assert len(world.rows(recipe.ref, "dropped")) == len(texts)


def embeddings(vector: Callable[[str], list[float]]) -> Callable[[Asked], Given]:
    """A server of embeddings."""

    def reply(asked: Asked) -> Given:
        assert asked.path == "/v1/embeddings"
        texts = asked.document["input"]
        return web.json_response({"data": [{"index": i, "embedding": vector(t)} for i, t in enumerate(texts)]})

    return reply


def test_an_endpoint_embeds(world: StageWorld) -> None:
    topics = {"sort": [5.0, 0.0], "tree": [0.0, 5.0], "cache": [5.0, 5.0]}
    earlier = filter_recipe(
        mined(world, [TREE, "Name a tree that is always balanced."], "a"), threshold="0.9", **BY_ENDPOINT
    )
    source = mined(world, [SORT, "Sort three numbers by hand.", CACHE, TREE_AGAIN], "b")
    recipe = filter_recipe(source, earlier.ref, threshold="0.9", **BY_ENDPOINT)
    with stub(embeddings(lambda text: next(v for word, v in topics.items() if word in text.lower()))) as server:
        for made in (earlier, recipe):
            assert world.run(made, embedder=server.endpoint).code == 0
    assert world.column(earlier.ref, "instruction_id") == ["a0"]
    assert world.column(recipe.ref, "instruction_id") == ["b0", "b2"]
    assert dropped(world, recipe.ref) == {"b1": ("Duplicate", "b0"), "b3": ("Duplicate", "a0")}


def test_an_endpoint_is_not_asked_for_nothing(world: StageWorld) -> None:
    nowhere = EndpointRef(url="http://127.0.0.1:9/v1", model="m", field="spec.x")
    recipe = filter_recipe(mined(world, ["Hi"]), **BY_ENDPOINT)
    assert world.run(recipe, embedder=nowhere).code == 0


def uneven(text: str) -> list[float]:
    return [1.0] * (3 if "70" in text else 2)


@pytest.mark.parametrize(
    ("reply", "code", "sentence"),
    [
        (lambda asked: b"<html>", 3, "does not embed all instructions: Malformed: the reply is not JSON"),
        (lambda asked: b'{"data": []}', 3, "does not embed all instructions: Malformed"),
        (embeddings(lambda text: [float("1e999")]), 3, "does not embed all instructions: Malformed"),
        (embeddings(uneven), 3, "gives vectors of different lengths (2 and 3)"),
        (lambda asked: web.Response(status=401), 2, "refuses access to model 'm' (HTTP 401): check the endpoint's"),
    ],
)
def test_an_endpoint_that_does_not_embed(
    world: StageWorld, reply: Callable[[Asked], Given], code: int, sentence: str
) -> None:
    texts = [f"Write a function that does the thing number {number} on a list." for number in range(64)]
    texts += [f"Explain at length why number {number} is odd." for number in range(70, 71)]
    recipe = filter_recipe(world.instructions(texts, stage="mine"), **BY_ENDPOINT)
    with stub(reply) as server:
        ran = world.run(recipe, embedder=server.endpoint)
    assert ran.code == code
    assert ran.summary["message"].startswith("spec.competitors[1].endpoint: ")
    assert sentence in ran.summary["message"]
    assert world.artifacts.seal(recipe.ref, 0) is None
