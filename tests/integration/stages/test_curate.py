"""Grading, and what is kept upon it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from support.stage_world import (
    Asked,
    Sim,
    StageWorld,
    answer_recipe,
    curate_recipe,
    filter_recipe,
    grade_recipe,
    id_of,
    judge_recipe,
    model,
    stub,
)
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import EmbedderRecipe
from tiltyard_jobs.curation.embed import HashedNgrams
from tiltyard_jobs.curation.kcenter import k_center_greedy
from tiltyard_jobs.curation.random_subset import random_subset
from tiltyard_jobs.results.stage_tables import GRADES, INSTRUCTIONS

THINGS = ("heap", "trie", "queue", "matrix", "parser", "cache", "graph", "lexer")
TEXTS = [f"Write a {thing} of size {number} in Rust and test it." for number, thing in enumerate(THINGS)]


def graded(world: StageWorld, scores: Sequence[int | None], grader: str = "g") -> ArtifactRef:
    """Seal grades; None stands for a void one."""
    rows = [
        {"instruction_id": id_of(row), "grader_id": model(grader).id}
        | ({"score": score} if score is not None else {"void": "Malformed"})
        for row, score in enumerate(scores)
    ]
    return world.seal("grade", grader, GRADES, rows, size=3)


def reasons(world: StageWorld, ref: ArtifactRef) -> dict[str, str]:
    """By id, why an instruction was dropped."""
    return {row["instruction_id"]: row["reason"] for row in world.rows(ref, "dropped")}


def number_in(asked: Asked) -> int:
    """The number that an instruction speaks of."""
    found = re.search(r"of size (\d+)", asked.prompt)
    assert found is not None
    return int(found[1])


def test_grades_have_the_places_of_their_instructions(world: StageWorld) -> None:
    source = world.instructions(TEXTS)
    recipe = grade_recipe(source, rows=20, shard_size=3)  # of at most 20 there are 8
    with stub(lambda asked: json.dumps({"grade": number_in(asked) + 1})) as server:
        world.make(recipe, endpoint=server.endpoint)
    assert world.column(recipe.ref, "score") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert world.column(recipe.ref, "instruction_id") == [id_of(row) for row in range(8)]
    assert set(world.column(recipe.ref, "grader_id")) == {recipe.grader.id}
    assert [seal.rows for seal in world.seals(recipe.ref)] == [3, 3, 2, 0, 0, 0, 0]
    assert all(asked.document["temperature"] == 0 for asked in server.asked)


def test_a_simulated_expert_grades(world: StageWorld, sim: Sim) -> None:
    recipe = grade_recipe(world.instructions(TEXTS), rows=8)
    world.make(recipe, endpoint=sim.endpoint)
    assert all(1 <= score <= 10 for score in world.column(recipe.ref, "score"))


@pytest.mark.parametrize(
    "reply",
    ["", "7", "grade 7", '{"grade": "x"}', '{"grade": 7.5}', '{"grade": 11}', '{"grade": true}', "[7]", '{"score": 7}'],
)
def test_what_is_no_grade_is_a_void(world: StageWorld, reply: str) -> None:
    recipe = grade_recipe(world.instructions(TEXTS), rows=8)
    with stub(lambda asked: reply if number_in(asked) == 2 else '{"grade": 6}') as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0.2")
    assert ran.code == 0
    assert ran.summary["voids"] == {"Malformed" if reply else "Empty": 1}
    assert world.column(recipe.ref, "score") == [6, 6, None, 6, 6, 6, 6, 6]


def test_the_lower_median_of_several_graders_counts(world: StageWorld) -> None:
    source = world.instructions(TEXTS)
    grades = (
        graded(world, [9, 5, 5, None, None, 10, 1, 6], "g"),
        graded(world, [9, 6, 9, None, 6, 1, 2, 6], "h"),
        graded(world, [1, 6, 1, None, None, 1, 9, None], "i"),
    )
    recipe = curate_recipe(source, *grades)
    ran = world.run(recipe)
    assert ran.code == 0
    assert {row["instruction_id"]: (row["score"], row["grade"]) for row in world.rows(recipe.ref)} == {
        id_of(0): (9, "Excellent"),
        id_of(1): (6, "Good"),
        id_of(4): (6, "Good"),
        id_of(7): (6, "Good"),
    }
    assert reasons(world, recipe.ref) == {
        id_of(2): "Difficulty",
        id_of(3): "Ungraded",
        id_of(5): "Difficulty",
        id_of(6): "Difficulty",
    }
    (seal,) = world.seals(recipe.ref)
    tasks = Counter(f"task.{row['task_type']}" for row in world.rows(recipe.ref))
    assert Counter(seal.counts) == tasks + Counter(
        {"score.9": 1, "score.6": 3, "score.5": 1, "score.1": 1, "score.2": 1}
        | {"dropped.Difficulty": 3, "dropped.Ungraded": 1}
    )


@pytest.mark.parametrize(
    ("attackers", "whose"),
    [
        ([[None, None]], "2 instructions, all there are of a competitor"),
        ([[None], [None]], "2 instructions, all there are of 2 competitors"),
        ([[None], [7, None], [None]], "2 instructions, all there are of 2 competitors"),
        ([[7], [None]], ""),
        ([[None, 7], [7, None]], ""),
    ],
)
def test_a_grader_of_whom_nothing_is_usable_fails_before_answers_are_paid(
    world: StageWorld, attackers: list[list[int | None]], whose: str
) -> None:
    chosen = []
    for place, scores in enumerate(attackers):
        source = world.instructions(TEXTS[: len(scores)], name=f"a{place}")
        chosen.append(curate_recipe(source, graded(world, scores, f"g{place}")))
    *before, last = chosen
    assert all(world.run(recipe).code == 0 for recipe in before)
    ran = world.run_task(world.bundle(last, others=tuple(recipe.ref for recipe in before)))
    assert ran.code == (3 if whose else 0)
    if whose:
        assert ran.summary["message"].startswith(f"spec.curation.difficulty: no grade is usable of {whose}: put")


def test_only_the_grades_to_keep(world: StageWorld) -> None:
    source = world.instructions(TEXTS)
    recipe = curate_recipe(source, graded(world, [1, 2, 3, 5, 6, 8, 9, 10]), keep=("Poor", "Excellent"))
    assert world.run(recipe).code == 0
    assert world.column(recipe.ref, "instruction_id") == [id_of(row) for row in (0, 1, 6, 7)]


@pytest.mark.parametrize("method", ["KCenterGreedy", "Random"])
def test_at_most_the_limit_in_the_order_of_the_source(world: StageWorld, method: str) -> None:
    source = world.instructions(TEXTS)
    grades = graded(world, [9, 9, 1, 9, 9, 9, 9, 9])
    embedder = EmbedderRecipe() if method == "KCenterGreedy" else None
    recipe = curate_recipe(source, grades, diversity=method, embedder=embedder, limit=3, seed=5)
    assert world.run(recipe).code == 0
    left = [row for row in range(8) if row != 2]
    if method == "Random":
        chosen = random_subset([id_of(row) for row in left], 3, seed=5)
    else:
        chosen = k_center_greedy(HashedNgrams().embed([TEXTS[row] for row in left]), 3).indices
    wanted = sorted(np.asarray(left)[chosen].tolist())
    assert world.column(recipe.ref, "instruction_id") == [id_of(row) for row in wanted]
    assert Counter(reasons(world, recipe.ref).values()) == {"Diversity": 4, "Difficulty": 1}


@pytest.mark.parametrize("limit", [None, 8, 100])
@pytest.mark.parametrize("method", ["KCenterGreedy", "Random", "None"])
def test_what_is_within_the_limit_stays(world: StageWorld, method: str, limit: int | None) -> None:
    embedder = EmbedderRecipe() if method == "KCenterGreedy" else None
    recipe = curate_recipe(world.instructions(TEXTS), diversity=method, embedder=embedder, limit=limit)
    assert world.run(recipe).code == 0
    assert world.column(recipe.ref, "instruction") == TEXTS
    assert set(world.column(recipe.ref, "score")) == {None}
    assert reasons(world, recipe.ref) == {}


def test_an_attacker_with_nothing_left_has_no_rows_anywhere(world: StageWorld) -> None:
    """All parts are there, all are empty, and no request is made."""
    mined: list[dict[str, Any]] = [{"instruction_id": id_of(row), "void": "Empty"} for row in range(5)]
    source = world.seal("mine", "a", INSTRUCTIONS, mined, size=2)
    with stub(lambda asked: "never asked") as server:
        filtered = filter_recipe(source)
        world.make(filtered)
        grades = grade_recipe(filtered.ref, rows=5, shard_size=2)
        world.make(grades, endpoint=server.endpoint)
        curated = curate_recipe(filtered.ref, grades.ref, diversity="KCenterGreedy", embedder=EmbedderRecipe(), limit=2)
        world.make(curated)
        answers = [answer_recipe(curated.ref, rows=2, player=player, shard_size=1) for player in "ab"]
        for answer in answers:
            world.make(answer, endpoint=server.endpoint)
        a, b = (("ab"[place], answer.ref) for place, answer in enumerate(answers))
        verdicts = judge_recipe(curated.ref, a, b, rows=2, shard_size=2)
        world.make(verdicts, endpoint=server.endpoint)
    assert server.asked == []
    for ref in (filtered.ref, grades.ref, curated.ref, answers[0].ref, verdicts.ref):
        assert len(world.seals(ref)) == ref.shards
        assert world.rows(ref) == []
    assert [ref.shards for ref in (grades.ref, answers[0].ref, verdicts.ref)] == [3, 2, 2]
