"""What a server says of a preflight's requests is told in its own words, with what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from integration.stages.test_probe import judging
from support.preflights import AUTHOR, GRADER, PLAYER, refusing, replying, run, saying
from support.stage_world import Asked, Given, StageWorld, stub
from tiltyard_jobs.contracts.recipes import AnyRecipe

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize("probe", [AUTHOR, PLAYER, GRADER, judging(method="Choice")], ids=lambda one: one.stage)
@pytest.mark.parametrize("body", [{"object": "error", "message": "no GPU"}, {"detail": "no GPU"}, {"msg": "no GPU"}])
def test_the_words_of_an_error_that_is_sent_as_a_reply_are_shown(
    body: Mapping[str, Any], probe: AnyRecipe, world: StageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = json.dumps(body).encode()
    for case in (replying(lambda asked: error), saying(error, probe.model_copy(update={"prefix": "User: "}))):
        code, said = case(world, monkeypatch)
        assert code == 2
        assert 'the server says "no GPU"' in said


def test_why_raw_prompts_are_not_completed_is_told(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, error in ((400, {"error": {"message": "use chat"}}), (200, {"detail": "use chat"})):

        def reply(asked: Asked, status: int = status, error: Mapping[str, Any] = error) -> Given:
            return "fine" if "messages" in asked.document else web.json_response(error, status=status)

        code, said = replying(reply, needs_completions=True)(world, monkeypatch)
        assert code == 2
        assert "which mining needs: take instructions from a file (instructions.from), or serve" in said
        assert said.rstrip().endswith('; the server says "use chat"')


def test_a_call_of_a_tool_in_place_of_an_answer_is_told(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": None, "tool_calls": [call]}
    code, said = saying({"message": message, "finish_reason": "tool_calls"}, PLAYER)(world, monkeypatch)
    assert code == 2
    assert "says nothing, asked for an answer (the reply is a call of a tool): use another model" in said


@pytest.mark.parametrize(
    ("member", "error"),
    [
        ("thinking_token_budget", {"message": "thinking_token_budget is set but reasoning_config is not"}),
        ("chat_template_kwargs", {"message": 'Unknown name "chat_template_kwargs": Cannot find field.'}),
        ("reasoning_effort", {"message": "Unsupported value", "param": "reasoning_effort"}),
        ("thinking", {"message": "Input should be greater than 1024", "param": "thinking.budget_tokens"}),
        ("enableThinking", {"message": "Unrecognized request argument supplied: enableThinking"}),
    ],
)
def test_a_member_of_the_users_own_that_is_refused_is_named(
    member: str, error: Mapping[str, str], world: StageWorld
) -> None:
    for always in (True, False):  # or for long prompts alone, as of a server that looks at it only there

        def reply(asked: Asked, always: bool = always) -> Given:
            refuses = member in asked.document and (always or asked.prompt != "1")
            return web.json_response({"error": error}, status=400) if refuses else "fine"

        with stub(reply) as server:
            endpoint = server.endpoint.model_copy(update={"extra_body": {member: 512, "top_k": 20}})
            code, said = run(world, endpoint, probes=(PLAYER,))
        assert code == 2
        assert f"remove {member} from request.extraBody, or use another" in said
        assert f'the server says "{error["message"]}' in said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Failed to deserialize: unknown field `n`", '; the server says "Failed to deserialize: unknown field `n`"'),
        ("<html><head><title>Request\n Rejected</title></head>", '; the server says "Request Rejected"'),
        ("<html><body>a long page", ""),
        ("", ""),
    ],
)
def test_an_error_that_is_no_json_is_told_too(
    body: str, words: str, world: StageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, said = replying(lambda asked: web.Response(text=body, status=400))(world, monkeypatch)
    assert f"RefusedByServer: HTTP 400{words}: use another model or server" in said


def test_the_words_of_a_server_are_cut_and_escaped(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "no \x1b[31m\n\u202ered " + "x" * 500
    _, said = refusing(400, message=message)(world, monkeypatch)
    assert r'; the server says "no \x1b[31m \u202ered xxx' in said
    assert said.rstrip().endswith('x…": use another model or server')
    assert len(said) < 500
