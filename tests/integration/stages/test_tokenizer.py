"""Mining at an endpoint that serves completions and tells nothing: the template is of the tokenizer that is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.artifact_world import Ran
from support.file_server import FileServer
from support.stage_world import Asked, Given, StageWorld, mine_recipe, stub
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import TokenizerRecipe
from tiltyard_jobs.contracts.solo_tasks import AskedModel, NamedTokenizer, PreflightTask, ShowPromptsTask
from tiltyard_jobs.tokenizers import fetched_tokenizer

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
CONFIG = {"bos_token": "<bos>", "add_bos_token": True}
PREFIX = "<start_of_turn>user\n"  # the server itself puts the beginning of the sequence before it
STOPS = ["<end_of_turn>", "<start_of_turn>"]
REPOSITORY = TokenizerRecipe(uri="hf://org/model", revision="v1.0")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    server = FileServer(None)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    yield server
    server.stop()


def on_hub(hub: FileServer, files: dict[str, str], revision: str = "v1.0") -> None:
    for name, text in files.items():
        hub.replies[f"/org/model/resolve/{revision}/{name}"] = text.encode()


def folder(path: Path, files: dict[str, str]) -> TokenizerRecipe:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return TokenizerRecipe(uri=path.as_uri(), revision="sha256:" + 64 * "0")


def mined(world: StageWorld, tokenizer: TokenizerRecipe, **members: Any) -> list[dict[str, Any]]:
    """The requests for a part that was mined so."""
    recipe = mine_recipe(rows=3, prefix=members.pop("prefix", None), tokenizer=tokenizer, **members)
    with stub(lambda asked: f"Sort list {asked.document['seed']} in place.<end_of_turn>\nSure!") as server:
        world.make(recipe, endpoint=server.endpoint)
    (seal,) = world.seals(recipe.ref)
    (document, *_) = json.loads(world.artifacts.fetch(seal.files["prefixes"]).read_bytes())
    sent = [asked.document for asked in server.asked]
    assert all(asked.path == "/v1/completions" for asked in server.asked)
    assert world.column(recipe.ref, "instruction") == [f"Sort list {one['seed']} in place." for one in sent]
    assert (document["stops"], document["stopSource"]) == (STOPS, "tokenizer")
    return sent


@pytest.mark.parametrize(
    "files",
    [
        {"chat_template.jinja": TEMPLATE, "tokenizer_config.json": json.dumps(CONFIG)},
        {"tokenizer_config.json": json.dumps(CONFIG | {"chat_template": TEMPLATE})},
        {"tokenizer_config.json": json.dumps(CONFIG), "chat_template.json": json.dumps({"chat_template": TEMPLATE})},
    ],
)
def test_the_template_is_of_the_hub_or_of_a_folder(world: StageWorld, hub: FileServer, files: dict[str, str]) -> None:
    on_hub(hub, files)
    for tokenizer in (REPOSITORY, folder(world.root / "tokenizer", files)):
        sent = mined(world, tokenizer)
        assert {one["prompt"] for one in sent} == {PREFIX}
        assert {tuple(one["stop"]) for one in sent} == {tuple(STOPS)}
    assert {token for _, token in hub.asked} == {"Bearer hf_own"}


def test_system_messages_are_rendered_by_it_and_a_given_prefix_takes_its_ends(world: StageWorld) -> None:
    tokenizer = folder(world.root / "tokenizer", {"chat_template.jinja": TEMPLATE})
    sent = mined(world, tokenizer, system_prompts=("Write Go.",))
    assert {one["prompt"] for one in sent} == {f"<start_of_turn>system\nWrite Go.<end_of_turn>\n{PREFIX}"}
    assert {one["prompt"] for one in mined(world, tokenizer, prefix="User: ")} == {"User: "}


ADDED = {"7": {"content": "<end_of_turn>", "special": True}, "9": {"content": "<start_of_turn>", "special": True}}


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config.json": json.dumps(CONFIG | {"added_tokens_decoder": ADDED})},
        {"tokenizer.json": json.dumps({"added_tokens": [{"id": int(at), **token} for at, token in ADDED.items()]})},
        {"tokenizer_config.json": json.dumps({"added_tokens_decoder": ADDED | {"x": {"content": "y"}, "8": None}})},
    ],
)
@pytest.mark.parametrize("prefix", [None, "User: "])
def test_its_special_tokens_end_an_instruction_where_the_server_does_not_show_them(
    world: StageWorld, files: dict[str, str], prefix: str | None
) -> None:
    tokenizer = folder(world.root / "tokenizer", {"chat_template.jinja": TEMPLATE, **files})
    sent = mined(world, tokenizer, prefix=prefix)
    assert [(one["stop_token_ids"], one["skip_special_tokens"]) for one in sent] == [([7, 9], False)] * 3


def test_a_server_that_takes_no_token_ids_is_asked_without(world: StageWorld) -> None:
    config = json.dumps(CONFIG | {"added_tokens_decoder": ADDED})
    tokenizer = folder(world.root / "tokenizer", {"chat_template.jinja": TEMPLATE, "tokenizer_config.json": config})
    recipe = mine_recipe(rows=3, prefix=None, tokenizer=tokenizer)
    taken: list[dict[str, Any]] = []

    def strict(asked: Asked) -> Given:
        for member in ("stop_token_ids", "skip_special_tokens"):
            if member in asked.document:
                error = {"message": f"Extra inputs are not permitted: {member}", "param": member}
                return web.json_response({"error": error}, status=400)
        taken.append(asked.document)
        return f"Sort list {asked.document['seed']} in place.<end_of_turn>\nSure!"

    with stub(strict) as server:
        world.make(recipe, endpoint=server.endpoint)
        asked = len(server.asked)
    assert [one["stop"] for one in taken if one["prompt"] == PREFIX] == [STOPS] * 3
    assert len(world.column(recipe.ref, "instruction")) == 3
    assert asked <= 3 + 3 + 1  # found once: a record, our question in three forms, and the records


def test_the_vocabulary_is_fetched_where_it_alone_tells_what_begins_a_text(world: StageWorld, hub: FileServer) -> None:
    vocabulary = json.dumps({"post_processor": {"single": [{"SpecialToken": {"id": "<bos>"}}]}})
    on_hub(hub, {"chat_template.jinja": TEMPLATE, "tokenizer.json": vocabulary})
    on_hub(hub, {"tokenizer_config.json": json.dumps({"bos_token": "<bos>"})})
    assert {one["prompt"] for one in mined(world, REPOSITORY)} == {PREFIX}
    on_hub(hub, {"tokenizer_config.json": "{}"})
    hub.asked.clear()
    fetched_tokenizer(REPOSITORY, world.root / "fetched")
    assert not any(path.endswith("tokenizer.json") for path, _ in hub.asked)


def preflight(world: StageWorld, tokenizer: TokenizerRecipe, **members: Any) -> Ran:
    named = NamedTokenizer(field="spec.competitors[0].tokenizer.uri", tokenizer=tokenizer)
    task = {"tournament": "test", "store": world.store_ref, "run": "0123456789ab", "artifacts": ()}
    return world.run_task(PreflightTask(**task, tokenizers=(named,), **members))


def test_preflight_reads_it(world: StageWorld, hub: FileServer) -> None:
    field = "spec.competitors[0].tokenizer.uri: "
    missing = preflight(world, REPOSITORY)
    assert (missing.code, missing.summary["message"]) == (
        2,
        f"{field}hf://org/model has none of chat_template.jinja, tokenizer_config.json, chat_template.json at the"
        " revision v1.0: check the name and the revision",
    )
    on_hub(hub, {"tokenizer_config.json": json.dumps(CONFIG)})
    bare = preflight(world, REPOSITORY)
    assert (bare.code, bare.summary["message"]) == (
        2,
        f"{field}hf://org/model has no chat template: give chatTemplatePrefix, or another tokenizer",
    )
    on_hub(hub, {"chat_template.jinja": "{{ messages[0].content | upper }}"})
    assert "drops or alters the user's message" in preflight(world, REPOSITORY).summary["message"]
    on_hub(hub, {"chat_template.jinja": "<u>{{ messages[-1].content }}</u>"})
    assert preflight(world, REPOSITORY).code == 0
    assert (
        "drops or alters the system message"
        in (preflight(world, REPOSITORY, system_prompts=("Write Go.",)).summary["message"])
    )
    hub.replies["/org/model/resolve/v1.0/chat_template.jinja"] = 401
    assert (
        "(the hub answers 401): the token in HF_TOKEN may not read it"
        in (preflight(world, REPOSITORY).summary["message"])
    )
    nowhere = TokenizerRecipe(uri=(world.root / "nowhere").as_uri())
    assert preflight(world, nowhere).summary["message"] == (
        f"{field}{world.root / 'nowhere'} is not a folder on this machine"
    )


def test_plan_shows_the_prefix_of_weights_on_the_hub(world: StageWorld, hub: FileServer) -> None:
    file = world.root / "prompts.json"
    settings = json.dumps({"chat_template_kwargs": {"mode": "code"}})
    identity = ModelIdentity(uri="hf://org/model", revision="v1.0", extra_body=settings)
    recipe = mine_recipe(prefix=None, model=identity, system_prompts=("Write Rust.", "Write Go."))
    asked = (AskedModel(model="a", about="a", recipe=recipe),)
    task = ShowPromptsTask(tournament="test", store=world.store_ref, asked=asked, file=str(file))
    on_hub(hub, {"chat_template.jinja": "{{ bos_token }}{{ mode }} {{ date_string }}\n" + TEMPLATE[15:]})
    on_hub(hub, {"tokenizer_config.json": json.dumps(CONFIG)})
    assert world.run_task(task).code == 0
    shown = json.loads(file.read_text())
    assert [one["text"] for one in shown] == [
        f"code 26 Jul 2024\n<start_of_turn>system\n{words}<end_of_turn>\n{PREFIX}"
        for words in ("Write Rust.", "Write Go.")
    ]
    assert {one["note"] for one in shown} == {"From the chat template of hf://org/model."}
    hub.replies.clear()
    assert world.run_task(task).code == 0
    shown = json.loads(file.read_text())
    assert [one["messages"][0]["content"] for one in shown] == ["Write Rust.", "Write Go."]
    note = shown[0]["note"]
    assert note.startswith(
        "The chat template of hf://org/model up to where the user's words would begin, as its server"
    )
    assert "once it is up. It could not be read: hf://org/model has none of chat_template.jinja" in note
    hub.stop()
    assert world.run_task(task).code == 0
    assert "It could not be read: hf://org/model@v1.0/chat_template.jinja" in json.loads(file.read_text())[0]["note"]


def test_plan_shows_the_prefix_of_a_folder_and_of_the_hub(world: StageWorld, hub: FileServer) -> None:
    tokenizer = folder(world.root / "tokenizer", {"chat_template.jinja": "<u>{{ messages[0].content }}</u>"})
    missing = TokenizerRecipe(uri="hf://org/none", revision="v1.0")
    on_hub(hub, {"chat_template.jinja": TEMPLATE, "tokenizer_config.json": json.dumps(CONFIG)})
    file = world.root / "prompts.json"
    asked = tuple(
        AskedModel(model="a", about="a", recipe=mine_recipe(prefix=None, tokenizer=one))
        for one in (tokenizer, REPOSITORY, missing)
    )
    task = ShowPromptsTask(tournament="test", store=world.store_ref, asked=asked, file=str(file))
    assert world.run_task(task).code == 0
    shown, fetched, lost = json.loads(file.read_text())
    assert (shown["text"], fetched["text"]) == ("<u>", PREFIX)
    assert "hf://org/model" in fetched["note"]
    assert lost["text"] is None
    assert "hf://org/none has none of chat_template.jinja" in lost["note"]
    hub.stop()
    assert world.run_task(task).code == 0
    _, down, _ = json.loads(file.read_text())
    assert down["note"].startswith("Not shown: hf://org/model@v1.0/")
    assert down["note"].endswith("A run asks again before anything is paid for.")
