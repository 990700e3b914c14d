from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.certificates import self_signed, tls_of
from support.file_server import FileServer
from support.manifests import manifest
from support.stage_world import (
    PREFIX,
    Asked,
    Given,
    Sim,
    StageWorld,
    answer_recipe,
    grade_recipe,
    judge_recipe,
    mine_recipe,
    model,
    stub,
)
from tiltyard.cli.main import main
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import AnyRecipe, SolveRecipe, TaskSetRecipe
from tiltyard_jobs.contracts.solo_tasks import AskedModel, ModelFolder, ShowPromptsTask
from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.sim.request_log import RequestKind
from tiltyard_jobs.stages import show_prompts
from tiltyard_jobs.stages.show_prompts import FIRST, INSTRUCTION, SECOND

SAMPLES = Path(__file__).parents[2] / "unit/api/samples/valid"


def all_shown(world: StageWorld, recipe: AnyRecipe, **members: Any) -> list[dict[str, Any]]:
    file = world.root / "prompts.json"
    asked = AskedModel(model="m", about="a", recipe=recipe, **members)
    task = ShowPromptsTask(tournament="test", store=world.store_ref, asked=(asked,), file=str(file))
    assert world.run_task(task).code == 0
    prompts: list[dict[str, Any]] = json.loads(file.read_bytes())
    assert {(one["stage"], one["model"], one["about"]) for one in prompts} == {(recipe.stage, "m", "a")}
    return prompts


def shown(world: StageWorld, recipe: AnyRecipe, **members: Any) -> dict[str, Any]:
    (prompt,) = all_shown(world, recipe, **members)
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


@pytest.mark.parametrize(
    "weights",
    [
        ModelIdentity(uri="pvc://models/one"),
        ModelIdentity(uri="hf://org/model", revision="v1", options=("--chat-template=/templates/plain.jinja",)),
    ],
)
def test_a_given_prefix_is_shown_and_one_that_a_server_alone_tells_is_described(
    world: StageWorld, weights: ModelIdentity
) -> None:
    assert shown(world, mine_recipe())["text"] == PREFIX
    derived = shown(world, mine_recipe(prefix=None, model=weights))
    assert (derived["text"], derived["messages"]) == (None, [])
    assert derived["note"] == (
        f"The chat template of {weights.uri} up to where the user's words would begin, as its server provides "
        "it once it is up. To see it here, name the model's repository or folder in tokenizer.uri: of that, "
        "no weights are read."
    )
    told = all_shown(world, mine_recipe(prefix=None, model=weights, system_prompts=("Write Rust.", "Write Go.")))
    assert [one["messages"] for one in told] == [
        [{"role": "system", "content": "Write Rust."}],
        [{"role": "system", "content": "Write Go."}],
    ]
    assert {one["note"] for one in told} == {derived["note"]}


SYSTEMS = ("Write Rust.", "Write Go.")
RENDERED = [f"<|im_start|>system\n{words}<|im_end|>\n{PREFIX}" for words in SYSTEMS]


def chatml(asked: Asked) -> Given:
    """A llama.cpp server's `/apply-template`."""
    turns = "".join(f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in asked.document["messages"])
    return web.json_response({"prompt": f"{turns}<|im_start|>assistant\n"})


def test_a_server_that_runs_is_asked_for_the_prefix_and_for_no_token(world: StageWorld) -> None:
    sim = Sim("sim://a?skill=0.7", world.root)
    try:
        told = all_shown(world, mine_recipe(prefix=None, system_prompts=SYSTEMS), endpoint=sim.endpoint)
        kinds = {one.kind for one in sim.asked()}
    finally:
        sim.close()
    assert [one["text"] for one in told] == RENDERED
    assert {one["note"] for one in told} == {f"As {sim.endpoint.url} provides it (/tokenize)."}
    assert kinds == {RequestKind.TOKENIZE}
    with stub(chatml, paths=("/apply-template",)) as server:
        told = all_shown(world, mine_recipe(prefix=None, system_prompts=SYSTEMS), endpoint=server.endpoint)
        assert {asked.path for asked in server.asked} == {"/apply-template"}
    assert [one["text"] for one in told] == RENDERED


def test_a_server_is_asked_over_tls_with_the_key_and_neither_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILTYARD_SECRET_MODELS_KEY", "sk-quite-secret")
    document = manifest(2, judges=1, instructions={"mine": {"systemPrompts": [*SYSTEMS]}})
    certificate = self_signed(tmp_path)
    with stub(chatml, paths=("/apply-template",), tls=tls_of(certificate)) as server:
        document["spec"]["competitors"][0] = {
            "name": "a",
            "endpoint": {"url": server.url, "model": "m", "apiKeySecretRef": {"name": "models", "key": "key"}},
            "request": {"caBundle": {"file": certificate[0].as_uri()}},
        }
        (tmp_path / "t.yaml").write_text(json.dumps(document))
        for form in (["--output", "json"], ["--output", "yaml"], []):
            assert main(["plan", str(tmp_path / "t.yaml"), "--prompts", *form]) == 0
            printed = capsys.readouterr()
            assert "sk-quite-secret" not in printed.out + printed.err
            if form == ["--output", "json"]:
                prompts = json.loads(printed.out)["prompts"]
                mining = [one for one in prompts if (one["stage"], one["model"]) == ("mine", "a")]
                assert [one.get("text") for one in mining] == RENDERED
            else:
                assert "Write Go." in printed.out
        assert {one.headers["Authorization"] for one in server.asked} == {"Bearer sk-quite-secret"}


def test_a_chat_template_cannot_write_to_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = "\x1b]0;owned\x07\x1b[2J"

    def answer(asked: Asked) -> Given:
        (*_, user) = asked.document["messages"]
        return web.json_response({"prompt": f"{hostile}two\nlines\tand a tab{user['content']}"})

    document = manifest(2, judges=1)
    with stub(answer, paths=("/apply-template",)) as server:
        document["spec"]["competitors"][0] = {"name": "a", "endpoint": {"url": server.url, "model": "m"}}
        Path("t.yaml").write_text(json.dumps(document))
        assert main(["plan", "t.yaml", "--prompts"]) == 0
        printed = capsys.readouterr().out
        assert main(["plan", "t.yaml", "--prompts", "--output", "json"]) == 0
    assert not {"\x1b", "\x07"} & {*printed}
    assert "⟨U+001B⟩]0;owned⟨U+0007⟩⟨U+001B⟩[2Jtwo\nlines\tand a tab\n" in printed
    prompts = json.loads(capsys.readouterr().out)["prompts"]
    assert f"{hostile}two\nlines\tand a tab" in [one.get("text") for one in prompts]  # for programs it is as it is


def untold(world: StageWorld, endpoint: EndpointRef) -> str:
    """Why no prefix is shown; that of a judge is, with the same reason."""
    reason = shown(world, mine_recipe(prefix=None), endpoint=endpoint)
    assert (reason["text"], reason["messages"]) == (None, [])
    a, b = (("a", world.answers("a", [FIRST])), ("b", world.answers("b", [SECOND])))
    recipe = judge_recipe(world.instructions([INSTRUCTION], stage="curate"), a, b, rows=1)
    assert shown(world, recipe, endpoint=endpoint)["messages"] == shown(world, recipe)["messages"]
    assert isinstance(reason["note"], str)
    return reason["note"]


def test_a_server_that_is_down_silent_or_mute_is_a_sentence(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    field = "spec.competitors[1].endpoint"
    with stub(chatml) as server:
        mute = untold(world, server.endpoint)
        assert mute.startswith(f"Not shown: {field}: {server.url} does not provide the chat template of model 'm' ")
        assert mute.endswith("name the model's tokenizer, or give chatTemplatePrefix. A run is refused for this.")
        keyed = untold(world, server.endpoint.model_copy(update={"api_key_env": "NO_KEY"}))
        assert "the environment variable NO_KEY" in keyed
    down = untold(world, server.endpoint)
    assert down.startswith(f"Not shown: {field}: {server.url} has answered nothing for ")
    assert "refused: nothing listens there" in down
    assert down.endswith("A run asks again before anything is paid for.")
    monkeypatch.setattr(show_prompts, "ASK_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = server.endpoint.model_copy(update={"url": f"http://127.0.0.1:{silent.getsockname()[1]}/v1"})
        assert f"{endpoint.url} did not answer within" in untold(world, endpoint)


def test_a_server_that_asks_to_wait_has_answered(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_: Asked) -> Given:
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "60"})

    monkeypatch.setattr(show_prompts, "ASK_SECONDS", 1.0)
    with stub(busy, tells_tokens=True) as server:
        assert untold(world, server.endpoint) == (
            f"Not shown: {server.endpoint.field}: {server.url} gave no answer within 1 s (last: HTTP 429; it asks to"
            ' wait for 60 s); the server says "slow down". A run asks again before anything is paid for.'
        )


def test_of_a_server_that_tells_no_template_the_system_role_is_not_known(world: StageWorld) -> None:
    recipe = grade_recipe(world.instructions([INSTRUCTION]), rows=1)
    with stub(chatml) as server:
        prompt = shown(world, recipe, endpoint=server.endpoint)
        assert server.asked == []
    assert prompt["messages"] == shown(world, recipe)["messages"]
    assert prompt["note"] == (
        "It is not known whether the model takes a system message: spec.competitors[1].endpoint:"
        f" {server.url} does not provide its chat template. If it does not, the words are put before the user's."
    )
    with stub(chatml, paths=("/apply-template",)) as server:
        assert shown(world, recipe, endpoint=server.endpoint)["note"] is None


def test_the_prompt_of_a_server_without_a_system_role_is_shown_as_it_is_sent(world: StageWorld) -> None:
    recipe = grade_recipe(world.instructions([INSTRUCTION]), rows=1)

    def refusing(asked: Asked) -> Given:
        if asked.document["messages"][0]["role"] == "system":
            return web.json_response({"error": {"message": "no system role"}}, status=400)
        return chatml(asked) if asked.path == "/apply-template" else '{"grade": 7}'

    with stub(refusing, paths=("/apply-template",)) as server:
        prompt = shown(world, recipe, endpoint=server.endpoint)
        assert {asked.path for asked in server.asked} == {"/apply-template"}
        world.make(recipe, endpoint=server.endpoint)
        (*_, sent) = (one.document["messages"] for one in server.asked if one.path == "/v1/chat/completions")
    assert [one["role"] for one in prompt["messages"]] == ["user"]
    assert prompt["messages"] == sent
    assert "refuses system messages: their words are put before the user's." in prompt["note"]


TURN = "{% for m in messages %}{% if m['role'] == 'user' %}<|user|>{{ m['content'] }}<|end|>{% endif %}{% endfor %}"
KINDS = {
    "none, as of the first Phi-3": (TURN, "leaves out"),
    "a human's alone, as of Orion": (
        "{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if m['role'] == 'user' %}Human: "
        "{{ m['content'] }}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}",
        "leaves out",
    ),
    "names for two roles, as of YandexGPT": (
        "{% set names = {'user': ' Пользователь:', 'assistant': ' Ассистент:'} %}<s>{% for m in messages %}"
        "{% if m['role'] in names %}{{ names[m['role']] + ' ' + m['content'] + '\n\n' }}{% endif %}{% endfor %}",
        "leaves out",
    ),
    "one that it writes itself": ("Be helpful.{{ messages[-1]['content'] }}", "leaves out"),
    "an error": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURN,
        "refuses",
    ),
    "its own": ("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}", None),
    "parts, as of Idefics3": (
        "{% for m in messages %}{{ m['role'] | capitalize }}: {% for part in m['content'] %}"
        "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>{% endfor %}",
        None,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_of_weights_is_shown_as_their_template_takes_it(world: StageWorld, kind: str) -> None:
    template, how = KINDS[kind]
    weights = world.root / "weights"
    weights.mkdir()
    (weights / "chat_template.jinja").write_text(template)
    folder = ModelFolder(field="spec.judges[0].model.uri", path=str(weights))
    for recipe in (
        grade_recipe(world.instructions([INSTRUCTION]), rows=1),
        answer_recipe(world.instructions([INSTRUCTION]), rows=1, system="Write Rust."),
    ):
        (system, user), prompt = shown(world, recipe)["messages"], shown(world, recipe, folder=folder)
        if how is None:
            assert (prompt["messages"], prompt["note"]) == ([system, user], None)
            continue
        assert prompt["messages"] == [{**user, "content": f"{system['content']}\n\n{user['content']}"}]
        assert prompt["note"] == f"model 'm' {how} system messages: their words are put before the user's."


def test_of_a_template_that_refuses_all_the_system_role_is_not_known(world: StageWorld) -> None:
    weights = world.root / "weights"
    weights.mkdir()
    (weights / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    folder = ModelFolder(field="spec.judges[0].model.uri", path=str(weights))
    recipe = grade_recipe(world.instructions([INSTRUCTION]), rows=1)
    assert "its chat template refuses any message" in shown(world, recipe, folder=folder)["note"]
    (weights / "chat_template.jinja").unlink()
    assert "has no chat template" in shown(world, recipe, folder=folder)["note"]


def test_the_prefix_of_weights_on_this_machine_is_that_of_their_folder(world: StageWorld) -> None:
    weights = world.root / "weights"
    weights.mkdir()
    template = (
        "{% if mode is defined %}<{{ mode }}>{% endif %}{{ date_string }}"
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
    )
    (weights / "chat_template.jinja").write_text(template)
    folder = ModelFolder(field="spec.competitors[0].model.uri", path=str(weights))
    settings = json.dumps({"chat_template_kwargs": {"mode": "code"}})
    identity = ModelIdentity(uri=weights.as_uri(), extra_body=settings)
    recipe = mine_recipe(prefix=None, model=identity, system_prompts=SYSTEMS)
    told = all_shown(world, recipe, folder=folder)
    assert [one["text"] for one in told] == [f"<code>26 Jul 2024<system>{words}</system><user>" for words in SYSTEMS]
    option = folder.model_copy(update={"chat_template": "[{{ messages[0].role }}]{{ messages[0].content }}"})
    assert shown(world, mine_recipe(prefix=None, model=identity), folder=option)["text"] == "[user]"
    (weights / "chat_template.jinja").unlink()
    assert "has no chat template" in shown(world, mine_recipe(prefix=None, model=identity), folder=folder)["note"]
    (weights / "tekken.json").write_text("{}")
    assert "in code" in shown(world, mine_recipe(prefix=None, model=identity), folder=folder)["note"]


def test_the_first_task_of_a_benchmark_is_shown(world: StageWorld) -> None:
    record = {"task_id": "Own/0", "prompt": "def one():\n    ...\n", "entry_point": "one", "canonical_solution": "x"}
    (world.root / "tasks.jsonl").write_text(json.dumps(record | {"test": "def check(f): ..."}) + "\n")
    tasks = TaskSetRecipe(name="humaneval", uri=(world.root / "tasks.jsonl").as_uri(), rows=164)
    members = {"model": model("m"), "max_tokens": 64, "shard_size": 10}
    chat = shown(world, SolveRecipe(tasks=tasks, style="Chat", **members))
    assert record["prompt"] in chat["messages"][0]["content"]
    assert shown(world, SolveRecipe(tasks=tasks, style="Completion", **members))["text"] == record["prompt"]
    lost = tasks.model_copy(update={"uri": (world.root / "none.jsonl").as_uri()})
    assert "none.jsonl" in shown(world, SolveRecipe(tasks=lost, style="Chat", **members))["note"]
    bucket = tasks.model_copy(update={"uri": "s3://bucket/tasks.jsonl"})
    assert shown(world, SolveRecipe(tasks=bucket, style="Chat", **members))["note"] == (
        "Not shown: s3://bucket/tasks.jsonl is in a bucket, which only a run reads. To see a task here, name a copy on"
        " this machine in evaluation.files."
    )


def test_a_server_of_tasks_that_fails_is_tried_once(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "hf://datasets/org/name@main/tasks.jsonl"
    recipe = SolveRecipe(
        tasks=TaskSetRecipe(name="humaneval", uri=uri, rows=164),
        style="Chat",
        model=model("m"),
        max_tokens=64,
        shard_size=10,
    )
    hub = FileServer(None)
    hub.replies["/datasets/org/name/resolve/main/tasks.jsonl"] = 500
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    try:
        note = shown(world, recipe)["note"]
    finally:
        hub.stop()
    assert len(hub.asked) == 1
    assert note == (
        f"Not shown: {uri} cannot be fetched: the server answers 500. A run asks again before anything is paid for."
    )


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
    kinds = sorted((prompt["stage"], prompt["model"]) for prompt in prompts)
    assert kinds == sorted(
        (stage, m)
        for stage, ms in {"mine": "aabbc", "grade": "ab", "answer": "abc", "judge": "abc"}.items()
        for m in ms
    )
    assert all("text" in prompt for prompt in prompts if prompt["stage"] == "mine")
    assert main(["plan", manifest, "--prompts"]) == 0
    lines = capsys.readouterr().out
    for prompt in prompts:
        assert prompt.get("text", "") in lines
        for message in prompt.get("messages", ()):
            assert f"--- {message['role']}\n{message['content']}\n" in lines
    assert "- weight 3: The code runs as it stands.\n" in lines
    assert list(tmp_path.iterdir()) == []  # nothing is left
