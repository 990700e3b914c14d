from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.manifests import manifest
from support.stage_world import (
    PREFIX,
    StageWorld,
    answer_recipe,
    grade_recipe,
    judge_recipe,
    mine_recipe,
    stub,
)
from tiltyard.cli.main import main
from tiltyard_jobs.contracts.recipes import AnyRecipe
from tiltyard_jobs.contracts.solo_tasks import AskedModel, ShowPromptsTask
from tiltyard_jobs.stages.show_prompts import FIRST, INSTRUCTION, SECOND

SAMPLES = Path(__file__).parents[2] / "unit/api/samples/valid"


def shown(world: StageWorld, recipe: AnyRecipe) -> dict[str, Any]:
    file = world.root / "prompts.json"
    asked = AskedModel(model="m", about="a", recipe=recipe)
    task = ShowPromptsTask(tournament="test", store=world.store_ref, asked=(asked,), file=str(file))
    assert world.run_task(task).code == 0
    (prompt,) = json.loads(file.read_bytes())
    assert (prompt["stage"], prompt["model"], prompt["about"]) == (recipe.stage, "m", "a")
    assert isinstance(prompt, dict)
    return prompt


@pytest.mark.parametrize("kind", ["grade", "grade-own", "answer", "answer-own", "judge", "judge-own"])
def test_what_is_shown_is_what_is_asked(world: StageWorld, kind: str) -> None:
    """A stage that finds the placeholders where it looks for texts asks what is shown, to the last byte."""
    source = world.instructions([INSTRUCTION], stage="filter" if kind.startswith("grade") else "curate")
    own = kind.endswith("own")
    recipe: AnyRecipe = grade_recipe(source, rows=1, criteria="Is it about SQL?" if own else None)
    if kind.startswith("answer"):
        recipe = answer_recipe(source, rows=1, system="You write Rust." if own else None)
    if kind.startswith("judge"):
        a, b = (("a", world.answers("a", [FIRST])), ("b", world.answers("b", [SECOND])))
        recipe = judge_recipe(source, a, b, rows=1, criteria="Weigh brevity." if own else None)
    with stub(lambda asked: "no more") as server:
        world.run(recipe, endpoint=server.endpoint, max_void_fraction="1")
    messages = server.asked[0].document["messages"]
    assert shown(world, recipe)["messages"] == messages
    assert any(words in messages[0]["content"] for words in ("SQL", "Rust", "brevity")) == own


def test_a_given_prefix_is_shown_and_one_that_only_a_server_knows_is_described(world: StageWorld) -> None:
    assert shown(world, mine_recipe())["text"] == PREFIX
    derived = shown(world, mine_recipe(prefix=None))
    assert derived["text"] is None
    assert (derived["note"][:31], derived["messages"]) == ("The model's own chat template u", [])
    told = shown(world, mine_recipe(prefix=None, system_prompts=("Write Rust.", "Write Go.")))
    assert (told["messages"], told["note"]) == ([{"role": "system", "content": "Write Rust."}], derived["note"])


def test_a_given_instruction_is_shown_with_the_turns_before_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    turns = [("user", "Sort."), ("assistant", "How?"), ("user", "By size.")]
    record = {"messages": [{"role": role, "content": content} for role, content in turns]}
    (tmp_path / "chats.jsonl").write_text(json.dumps(record) + "\n")
    source = {"from": {"uri": "file://./chats.jsonl", "messagesField": "messages"}}
    (tmp_path / "t.yaml").write_text(json.dumps(manifest(2, judges=1, instructions=source)))
    assert main(["plan", "t.yaml", "--prompts", "--output", "json"]) == 0
    prompts = json.loads(capsys.readouterr().out)["prompts"]
    assert {prompt["stage"] for prompt in prompts} == {"answer", "judge"}  # given ones are not graded unless told
    for prompt in prompts:
        if prompt["stage"] == "answer":
            assert prompt["messages"] == record["messages"]
        else:
            assert "By size." in prompt["messages"][-1]["content"]
        assert INSTRUCTION not in str(prompt)


def test_the_command_line_shows_one_prompt_of_each_kind_for_each_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = str(SAMPLES / "own-words.yaml")
    assert main(["plan", manifest, "--prompts", "--output", "json"]) == 0
    prompts = json.loads(capsys.readouterr().out)["prompts"]
    kinds = [(prompt["stage"], prompt["model"]) for prompt in prompts]
    assert sorted(kinds) == sorted(
        (stage, m) for stage, ms in {"mine": "abc", "grade": "ab", "answer": "abc", "judge": "abc"}.items() for m in ms
    )
    assert main(["plan", manifest, "--prompts"]) == 0
    lines = capsys.readouterr().out
    for prompt in prompts:
        for message in prompt["messages"]:
            assert f"--- {message['role']}\n{message['content']}\n" in lines
    assert "- weight 3: The code runs as it stands.\n" in lines
    assert list(tmp_path.iterdir()) == []  # nothing is left
