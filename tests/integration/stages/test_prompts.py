from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.stage_world import StageWorld, model
from tiltyard_jobs.contracts.recipes import PromptsRecipe
from tiltyard_jobs.records import instruction_id


def written(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.as_uri()


def prompts_recipe(uri: str, turn: int = 0, **changes: Any) -> PromptsRecipe:
    values: dict[str, Any] = {"attacker_field": None, "attacker": None, "turns": 3, "rows": 100}
    return PromptsRecipe(uri=uri, field="text", attacker_id=model("a").id, turn=turn, **values | changes)


def test_texts_are_dealt_in_turns_and_blank_ones_take_no_turn(world: StageWorld) -> None:
    texts = ["one", "", "two", "three", " \n", "four", "five"]
    uri = written(world.root, [{"text": text} for text in texts])
    shares = []
    for turn in range(3):
        recipe = prompts_recipe(uri, turn)
        assert world.run(recipe).code == 0
        shares.append(world.column(recipe.ref, "instruction"))
    assert shares == [["one", "four"], ["two", "five"], ["three"]]


def test_a_column_names_the_attacker(world: StageWorld) -> None:
    rows = [{"text": f"task {number}", "who": "ada" if number % 4 else "bob"} for number in range(8)]
    recipe = prompts_recipe(written(world.root, rows), attacker_field="who", attacker="bob", turns=1)
    ran = world.run(recipe)
    assert (ran.code, ran.summary["rows"]) == (0, 2)
    assert world.rows(recipe.ref) == [
        {column: None for column in ("temperature", "top_p", "finish_reason", "prefix_sha256", "void", "detail")}
        | {"prompt_tokens": None, "completion_tokens": None, "history": None, "source_id": None, "kept": None}
        | {"instruction_id": instruction_id(recipe.ref.key, place), "attacker_id": model("a").id, "instruction": text}
        | {"source_row": 4 * place}
        for place, text in enumerate(["task 0", "task 4"])
    ]


def test_texts_stay_as_they_are(world: StageWorld) -> None:
    text = "\n Sort  \r\n\r\n\r\n\r\n\tcafe\u0301. "
    recipe = prompts_recipe(written(world.root, [{"text": text}]))
    assert world.run(recipe).code == 0
    assert world.column(recipe.ref, "instruction") == [text]


def test_an_attacker_without_a_text_has_an_empty_part(world: StageWorld) -> None:
    recipe = prompts_recipe(written(world.root, [{"text": "one"}]), turn=2)
    ran = world.run(recipe)
    assert (ran.code, ran.summary.get("rows", 0)) == (0, 0)
    assert world.rows(recipe.ref) == []


@pytest.mark.parametrize(("texts", "code"), [(6, 0), (7, 2)])
def test_more_than_per_competitor_is_refused(world: StageWorld, texts: int, code: int) -> None:
    recipe = prompts_recipe(written(world.root, [{"text": f"task {number}"} for number in range(texts)]), rows=2)
    ran = world.run(recipe)
    assert ran.code == code
    if code:
        message = ran.summary["message"]
        assert message.startswith("spec.instructions.from.perCompetitor: /")
        assert "holds more than 2 instructions for one competitor" in message


def test_what_is_wrong_with_the_file_is_said_under_its_field(world: StageWorld) -> None:
    ran = world.run(prompts_recipe(written(world.root, [{"other": "one"}])))
    assert ran.code == 2
    assert ran.summary["message"].startswith("spec.instructions.from: /")
    assert ran.summary["message"].endswith("has no 'text'; its first record has other")
