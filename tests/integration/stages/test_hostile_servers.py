"""A server may reply anything. It becomes a void or a row: never a crash, never a vote, and its neighbours stay."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from support.stage_world import (
    Asked,
    Given,
    StageWorld,
    answer_recipe,
    grade_recipe,
    judge_recipe,
    mine_recipe,
    stub,
)
from tiltyard_jobs.contracts.recipes import AnyRecipe
from tiltyard_jobs.contracts.reported import MOST_OF_A_REPLY

TEXTS = [f"Write a function number {number} that sorts a list in place." for number in range(6)]
GOOD = {
    "mine": "Write a function that reverses a linked list.",
    "grade": '{"grade": 7}',
    "answer": "Here it is.",
    "judge": '{"winner": "1"}',
}
PAYLOAD = {"mine": "instruction", "grade": "score", "answer": "answer", "judge": "vote"}


def recipe_of(world: StageWorld, stage: str) -> AnyRecipe:
    """Six records of a stage, or twelve verdicts."""
    if stage == "mine":
        return mine_recipe(rows=6)
    curated = world.instructions(TEXTS, stage="curate")
    if stage == "grade":
        return grade_recipe(curated, rows=6)
    if stage == "answer":
        return answer_recipe(curated, rows=6)
    players = [(name, world.answers(name, [f"{name} {row}" for row in range(6)])) for name in "ab"]
    return judge_recipe(curated, players[0], players[1], rows=6)


def third_time(stage: str, given: Callable[[], Given]) -> Callable[[Asked], Given]:
    """A good server, but for its replies to one record."""
    bad: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []

    def reply(asked: Asked) -> Given:
        if asked.document not in seen:
            seen.append(asked.document)
            if len(seen) == 3:
                bad.append(asked.document)
        return given() if asked.document in bad else GOOD[stage]

    return reply


def choices(**members: Any) -> bytes:
    return json.dumps({"choices": [{"finish_reason": "stop", **members}], "usage": "no object"}).encode()


# Bodies of a reply with status 200, and the voids that they become.
BODIES = {
    "nothing": (b"", "Malformed"),
    "cut": (b'{"choices": [{"message": {"content": "Here', "Malformed"),
    "not UTF-8": (b'{"choices": [{"text": "\xff\xfe"}]}', "Malformed"),
    "half a character": (b'{"choices": [{"text": "\\ud83d", "message": {"content": "\\ud83d"}}]}', "Malformed"),
    "a page": (b"<html><body><h1>It works!</h1></body></html>", "Malformed"),
    "a list": (b"[1, 2, 3]", "Malformed"),
    "no choices": (b'{"choices": []}', "Malformed"),
    "a text for a choice": (b'{"choices": ["1"]}', "Malformed"),
    "numbers for texts": (choices(text=1, message={"content": 1}), "Malformed"),
    "lists for texts": (choices(text=["1"], message={"content": [{"type": "text", "text": 1}]}), "Malformed"),
    "blanks": (choices(text=" \n", message={"content": " \n"}), "Empty"),
    "deep": (b"[" * 100_000, "Malformed"),
    "five megabytes": (choices(text="a", message={"content": "1"}) + b" " * 5_000_000, "Malformed"),
    "filtered": (choices(text="a", message={"content": "1"}, finish_reason="content_filter"), "RefusedByServer"),
}


@pytest.mark.parametrize("stage", PAYLOAD)
@pytest.mark.parametrize("what", BODIES)
def test_a_reply_that_is_none_is_a_void(world: StageWorld, stage: str, what: str) -> None:
    body, reason = BODIES[what]
    recipe = recipe_of(world, stage)
    with stub(third_time(stage, lambda: body)) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0.2")
    assert (ran.code, ran.summary["voids"]) == (0, {reason: 1})
    rows = world.rows(recipe.ref)
    (void,) = [row for row in rows if row["void"] is not None]
    assert (void["void"], void[PAYLOAD[stage]]) == (reason, None)
    assert len(void["detail"] or "") <= 500
    assert all(row[PAYLOAD[stage]] is not None for row in rows if row is not void)
    assert not any(row["detail"] for row in rows if row is not void)


@pytest.mark.parametrize("stage", PAYLOAD)
@pytest.mark.parametrize("count", ["1" + "0" * 30, "9223372036854775807", str(MOST_OF_A_REPLY), "-1"])
def test_an_absurd_count_of_tokens_spoils_no_record(world: StageWorld, stage: str, count: str) -> None:
    good = json.dumps({"text": GOOD[stage], "message": {"content": GOOD[stage]}, "finish_reason": "stop"})
    body = f'{{"choices": [{good}], "usage": {{"prompt_tokens": {count}, "completion_tokens": {count}}}}}'.encode()
    recipe = recipe_of(world, stage)
    with stub(lambda _: body) as server:
        ran = world.run(recipe, endpoint=server.endpoint)
    assert ran.code == 0
    assert "voids" not in ran.summary
    counted = MOST_OF_A_REPLY if count == str(MOST_OF_A_REPLY) else 0
    assert set(world.column(recipe.ref, "prompt_tokens")) == {counted}
    spent = ran.summary.get("promptTokens", 0)
    assert spent >= len(world.rows(recipe.ref)) * counted if counted else spent == 0
    assert sum(seal.prompt_tokens for seal in world.seals(recipe.ref)) == len(world.rows(recipe.ref)) * counted


@pytest.mark.parametrize(
    "response",
    [
        lambda body: web.Response(body=b"\xef\xbb\xbf" + body),
        lambda body: web.Response(body=b"\n \n" + body + b"\n"),
        lambda body: web.Response(body=body, status=201),
        lambda body: web.Response(body=body, status=203, headers={"Set-Cookie": "a=b"}),
        lambda body: web.Response(body=body, headers={"Content-Security-Policy": "a" * 20_000}),
        lambda body: web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"}),
        lambda body: web.Response(body=zlib.compress(body), headers={"Content-Encoding": "deflate"}),
    ],
)
@pytest.mark.parametrize("stage", PAYLOAD)
def test_what_a_gateway_puts_around_a_reply_spoils_no_record(
    world: StageWorld, stage: str, response: Callable[[bytes], web.Response]
) -> None:
    choice = {"text": GOOD[stage], "message": {"content": GOOD[stage]}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3.0, "completion_tokens": 2.0}}).encode()
    recipe = recipe_of(world, stage)
    with stub(lambda _: response(body)) as server:
        ran = world.run(recipe, endpoint=server.endpoint)
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert set(world.column(recipe.ref, "completion_tokens")) == {2}


@pytest.mark.parametrize("stage", PAYLOAD)
def test_two_megabytes_of_text(world: StageWorld, stage: str) -> None:
    """They are an instruction for the linter to drop, an answer, and neither a grade nor a vote."""
    text = "very " * 400_000
    recipe = recipe_of(world, stage)
    with stub(third_time(stage, lambda: text)) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0.2")
    assert ran.code == 0
    long = [value for value in world.column(recipe.ref, PAYLOAD[stage]) if isinstance(value, str) and len(value) > 1e6]
    if stage in ("mine", "answer"):
        assert [value.strip() for value in long] == [text.strip()]
        assert "voids" not in ran.summary
    else:
        assert (ran.summary["voids"], long) == ({"Malformed": 1}, [])


@pytest.mark.parametrize(
    ("response", "reason", "detail"),
    [
        (lambda: web.Response(status=502, text="<html>Bad Gateway</html>"), "Unavailable", "HTTP 502"),
        (lambda: web.json_response({"error": {"message": TEXTS[2]}}, status=400), "RefusedByServer", "HTTP 400"),
        (lambda: web.Response(status=413, text="<html>"), "RefusedByServer", "HTTP 413"),
        (lambda: web.Response(status=204), "Malformed", "HTTP 204"),
    ],
)
def test_a_record_that_the_server_refuses(
    world: StageWorld, response: Callable[[], Given], reason: str, detail: str
) -> None:
    recipe = recipe_of(world, "answer")
    with stub(third_time("answer", response)) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0.2", patience=0.5)
    assert (ran.code, ran.summary["voids"]) == (0, {reason: 1})
    void = world.rows(recipe.ref)[2]
    assert void["void"] == reason
    assert void["detail"].startswith(detail)
    assert TEXTS[2] not in void["detail"]  # a server's words may repeat the prompt


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_reply_that_the_server_broke_off_is_asked_for_again(world: StageWorld, reason: str) -> None:
    seen: list[dict[str, Any]] = []

    def reply(asked: Asked) -> Given:
        if asked.document in seen:
            return GOOD["answer"]
        seen.append(asked.document)
        half = {"message": {"content": "Here"}, "finish_reason": reason}
        return json.dumps({"choices": [half], "usage": {"prompt_tokens": 100, "completion_tokens": 1000}}).encode()

    recipe = recipe_of(world, "answer")
    with stub(reply) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert set(world.column(recipe.ref, "answer")) == {GOOD["answer"]}
    # What was broken off is paid for too, and is no part of a record's own cost.
    assert 600 < ran.summary["promptTokens"] < 1200
    assert 6000 < ran.summary["completionTokens"] < 12000
    assert max(world.column(recipe.ref, "completion_tokens")) < 1000
    assert (ran.summary["requests"], ran.summary["retries"]) == (12, 6)


@pytest.mark.parametrize("stage", PAYLOAD)
def test_too_many_failures_fail_the_shard(world: StageWorld, stage: str) -> None:
    recipe = recipe_of(world, stage)
    with stub(lambda asked: b"<html>") as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0.5")
    records = 12 if stage == "judge" else 6
    assert ran.code == 3
    assert ran.summary["message"] == (
        f"{records // 2 + 1} of {records} records could not be made (Malformed {records // 2 + 1}), most often"
        f" for this reason: Malformed: the reply is not JSON but a web page; spec.jobs.maxVoidFraction allows"
        f" {records // 2}: fix the cause, or raise the fraction; the next attempt retries these records."
    )
    assert len(server.asked) == records // 2 + 1
    assert world.artifacts.seal(recipe.ref, 0) is None
    with stub(lambda asked: GOOD[stage]) as server:  # mended: nothing of it is left
        assert world.run(recipe, endpoint=server.endpoint, max_void_fraction="0").code == 0
    assert set(world.column(recipe.ref, "void")) == {None}


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (lambda: web.Response(status=401), "refuses access to model 'm' (HTTP 401): check the endpoint's API key"),
        (lambda: web.Response(status=404), "does not serve /v1/chat/completions (HTTP 404)"),
        (
            lambda: web.json_response({"error": {"message": "no such model", "param": "model"}}, status=404),
            "does not serve model 'm' (HTTP 404): name one that it lists under /models",
        ),
        (lambda: web.Response(status=302, headers={"Location": "http://elsewhere/"}), "redirects /v1/chat/completions"),
    ],
)
def test_an_endpoint_that_cannot_work_is_said_under_its_field(
    world: StageWorld, response: Callable[[], Given], sentence: str
) -> None:
    for recipe in (recipe_of(world, "grade"), answer_recipe(world.instructions(TEXTS, stage="mine"), rows=6)):
        with stub(lambda asked: response()) as server:
            ran = world.run(recipe, endpoint=server.endpoint)
        assert ran.code == 2
        assert ran.summary["message"].startswith(f"spec.competitors[1].endpoint: {server.url} {sentence}")
