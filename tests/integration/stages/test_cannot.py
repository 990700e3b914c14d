"""Each row of the table of what a model or an endpoint cannot do: over a real socket, before anything is paid."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from integration.stages.test_probe import distribution, judge, judging, sure
from support.certificates import self_signed, tls_of
from support.documents import ROOT, code_spans, tables
from support.preflights import AUTHOR, FIELD, GRADER, PLAYER, Case, at, refusing, replying, run, saying
from support.stage_world import Asked, Given, Sim, StageWorld, mine_recipe, not_found, stub
from tiltyard_jobs.contracts.recipes import AnyRecipe, TokenizerRecipe
from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.stages import endpoints

pytestmark = pytest.mark.usefixtures("impatient")

TABLE = [
    row
    for header, rows in tables((ROOT / "docs/troubleshooting.md").read_text())
    if header[0] == "it cannot"
    for row in rows
]
ROWS = {row[0]: code_spans(row[1])[0] for row in TABLE}
WARNED = tuple(row[0] for row in TABLE if row[2].startswith("a warning"))
TASK = "Write a function that reverses a linked list in place."
WARNINGS = (
    "be given a seed",
    "be given this temperature",
    "decide each time",
    "look at more than the place",
    "mark its thoughts as others do",
    "tell right from wrong",
    "hold the longest prompt of a judge",
)


def refusing_verdicts(**error: Any) -> Case:
    def reply(asked: Asked) -> Given:
        return "fine" if asked.prompt == "1" else web.json_response({"error": error}, status=400)

    return replying(reply, probes=(judging(method="Choice"),))


def refusing_member(name: str, *probes: AnyRecipe) -> Case:
    def reply(asked: Asked) -> Given:
        if name not in asked.document:
            return "fine"
        error = {"message": f"Unsupported parameter: '{name}'", "code": "unsupported_parameter", "param": name}
        return web.json_response({"error": error}, status=400)

    return replying(reply, probes=probes)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server below HTTP; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)


def nobody(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return run(world, EndpointRef(url=f"http://127.0.0.1:{held.getsockname()[1]}/v1", model="m", field=FIELD))


def through(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")


def dead_proxy(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        through(monkeypatch, held.getsockname()[1])
        return run(world, EndpointRef(url="http://model.test/v1", model="m", field=FIELD))


def strict_proxy(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with listening(refuse) as port:
        through(monkeypatch, port)
        return run(world, EndpointRef(url="http://model.test/v1", model="m", field=FIELD))


def plain(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    with stub(lambda asked: "fine") as server:
        return run(world, server.endpoint.model_copy(update={"url": server.url.replace("http:", "https:")}))


def gateway(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        words = b"The plain HTTP request was sent to HTTPS port"
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(words), words))

    with listening(refuse) as port:
        return run(world, EndpointRef(url=f"http://127.0.0.1:{port}/v1", model="m", field=FIELD))


def another_service(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    def greet(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"-ERR unknown command 'POST'\r\n")

    with listening(greet) as port:
        return run(world, EndpointRef(url=f"http://127.0.0.1:{port}/v1", model="m", field=FIELD))


def unknown_authority(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    context = tls_of(self_signed(world.root))

    def greet(connection: socket.socket) -> None:
        with suppress(OSError):  # the client goes away
            context.wrap_socket(connection, server_side=True).close()

    with listening(greet) as port:
        return run(world, EndpointRef(url=f"https://127.0.0.1:{port}/v1", model="m", field=FIELD))


def another_host(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    certificate = self_signed(world.root)
    context = tls_of(certificate)

    def greet(connection: socket.socket) -> None:
        with suppress(OSError):  # the client goes away
            context.wrap_socket(connection, server_side=True).close()

    with listening(greet) as port:
        url = f"https://localhost:{port}/v1"
        return run(world, EndpointRef(url=url, model="m", field=FIELD, ca_bundle=str(certificate[0])))


def short(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    sim = Sim("sim://m?max_model_len=3000&judge.abstain=0&judge.noise=0&judge.position_bias=0", world.root)
    try:
        endpoint = sim.endpoint.model_copy(update={"field": FIELD})
        return run(world, endpoint, probes=(judging(method="Choice"),), answer_tokens=2048)
    finally:
        sim.close()


def without_system_message(asked: Asked) -> Given:
    """A server that renders the user's words alone, a token for each character."""
    document = asked.document
    if asked.path == "/tokenize":
        text = document.get("prompt") or f"User: {document['messages'][-1]['content']}<end>"
        return web.json_response({"tokens": [ord(letter) for letter in text]})
    if asked.path == "/detokenize":
        return web.json_response({"prompt": "".join(map(chr, document["tokens"]))})
    return TASK


def writing_rust_alone(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Of two system messages the second makes the model answer."""

    def reply(asked: Asked) -> Given:
        return TASK if "Rust" in asked.document.get("prompt", "") else "Certainly! Here is how to do that."

    template = "{% for message in messages %}<{{ message.role }}>{{ message.content }}</{{ message.role }}>{% endfor %}"
    folder = world.root / "tokenizer"
    folder.mkdir()
    (folder / "chat_template.jinja").write_text(template)
    tokenizer = TokenizerRecipe(uri=folder.as_uri())
    recipe = mine_recipe(prefix=None, tokenizer=tokenizer, system_prompts=("Write Rust.", "Be helpful."))
    return replying(reply, probes=(recipe,))(world, monkeypatch)


def slow(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 0.2)

    def hang(asked: Asked) -> Given:
        time.sleep(0.5)
        return "late"

    return replying(hang)(world, monkeypatch)


def cut(text: str) -> Mapping[str, Any]:
    return {"message": {"content": text}, "finish_reason": "length"}


def undecided(asked: Asked) -> Given:
    top = [{"token": token, "logprob": value} for token, value in (("The", -0.03), ("1", -3.5))]
    return {"message": {"content": "The"}, "logprobs": {"content": [{"token": "The", "top_logprobs": top}]}}


def uneven(asked: Asked) -> Given:
    rows = [{"index": place, "embedding": [1.0] * len(text)} for place, text in enumerate(asked.document["input"])]
    return json.dumps({"data": rows}).encode()


def few_logprobs(asked: Asked) -> Given:
    error = {"message": "top_logprobs must be at most 2", "param": "top_logprobs"}
    return web.json_response({"error": error}, status=400) if asked.document.get("top_logprobs", 0) > 2 else "fine"


def refusing_replies(**error: Any) -> Case:
    def reply(asked: Asked) -> Given:
        return "fine" if asked.prompt == "1" else web.json_response({"error": error}, status=400)

    return replying(reply, probes=(PLAYER,))


def failing(at: Callable[[Asked], bool], *probes: AnyRecipe) -> Case:
    """A server that fails at some requests and answers all others."""

    def reply(asked: Asked) -> Given:
        error = {"message": "the grammar cannot be compiled"}
        return web.json_response({"error": error}, status=500) if at(asked) else "fine"

    def case(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
        monkeypatch.setattr(endpoints, "ENDPOINT_SECONDS", 60.0)
        return replying(reply, probes=probes)(world, monkeypatch)

    return case


def told_to_wait(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 0.2)
    return refusing(429, message="slow down", headers={"Retry-After": "3600"})(world, monkeypatch)


def broken_off(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """A gateway whose model fails in the middle of a reply."""
    monkeypatch.setattr(endpoints, "ENDPOINT_SECONDS", 60.0)
    half = {"message": {"content": "Here"}, "finish_reason": "error"}
    return saying(half, PLAYER)(world, monkeypatch)


def own_member(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    error = {"message": "Extra inputs are not permitted", "param": "top_k"}
    with stub(lambda asked: web.json_response({"error": error}, status=400)) as server:
        return run(world, server.endpoint.model_copy(update={"extra_body": {"top_k": 20}}))


CASES: Mapping[str, Case] = {
    "be found by its name": at("http://no-such-host.invalid/v1"),
    "be connected to": nobody,
    "be reached through the proxy": dead_proxy,
    "pass the proxy": strict_proxy,
    "speak TLS": plain,
    "do without TLS": gateway,
    "speak HTTP": another_service,
    "reply without compression": replying(
        lambda asked: web.Response(body=b"\x0b\x02\x80", headers={"Content-Encoding": "br"})
    ),
    "show a certificate that is trusted": unknown_authority,
    "show a certificate of its own": another_host,
    "answer in time": slow,
    "answer at all": refusing(500, message="out of memory"),
    "answer what is asked": failing(lambda asked: asked.prompt != "1", PLAYER),
    "answer requests for verdicts": failing(
        lambda asked: "response_format" in asked.document, judging(method="Choice")
    ),
    "end its replies": broken_off,
    "answer yet": refusing(503, message="Loading model"),
    "answer from this address": replying(
        lambda asked: web.Response(status=307, headers={"Location": f"https://other.test{asked.path}"}), models=("m",)
    ),
    "accept the key": refusing(401, message="Incorrect API key provided"),
    "be paid": refusing(402, message="Insufficient credits"),
    "be asked so often": refusing(429, message="Rate limit reached, slow down"),
    "be asked now": told_to_wait,
    "be asked more today": refusing(429, message="Rate limit reached on tokens per day (TPD)"),
    "serve this model": replying(lambda asked: "fine", models=("a", "b")),
    "know this model": refusing(404, models=None, message="model 'm' not found"),
    "chat": replying(lambda asked: not_found()),
    "reply in JSON": replying(lambda asked: b"<!doctype html><title>Sign in</title>"),
    "reply at once": replying(lambda asked: b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'),
    "reach the model behind it": replying(lambda asked: b'{"error": {"message": "No endpoints found", "code": 404}}'),
    "pass its own filter": replying(lambda asked: {"message": {"content": ""}, "finish_reason": "content_filter"}),
    "take a member of `request.extraBody`": own_member,
    "take a parameter": refusing(
        400, message="'stop' is not supported with this model.", code="unsupported_parameter", param="stop"
    ),
    "render a conversation": refusing(400, message="default chat template is no longer allowed", code=400),
    "complete raw prompts": replying(
        lambda asked: "fine" if asked.path == "/v1/chat/completions" else not_found(), needs_completions=True
    ),
    "provide its chat template": replying(lambda asked: "fine", needs_completions=True, probes=(AUTHOR,)),
    "mine with a system message": replying(
        without_system_message,
        needs_completions=True,
        probes=(mine_recipe(prefix=None, system_prompts=("Write Rust.",)),),
        tells_tokens=True,
    ),
    "write instructions": saying("<|im_start|>assistant", mine_recipe()),
    "write instructions after a system message": writing_rust_alone,
    "provide log-probabilities": replying(lambda asked: "1", needs_logprobs=True),
    "provide enough log-probabilities": replying(few_logprobs, needs_logprobs=True),
    "embed": replying(lambda asked: not_found(), needs_embeddings=True),
    "embed into vectors of one length": replying(uneven, needs_embeddings=True),
    "end its thought before a verdict": saying(cut("<think>Hm."), judging(method="Choice", max_tokens=40)),
    "end its thought before a grade": saying(cut("<think>Hm."), GRADER),
    "end its thought before an answer": saying(cut("<think>Hm."), PLAYER),
    "end its turn with more than a thought": saying("<think>Hm.</think>", PLAYER),
    "say anything": saying("", PLAYER),
    "write JSON alone": saying('The first. {"winner": "1"}', judging(method="Choice")),
    "end its JSON": saying(cut('{"reason": "It is'), judging(method="Reasoned", max_tokens=40)),
    "take a JSON schema": refusing_verdicts(
        message="json_schema is not supported", type="invalid_request_error", param="response_format"
    ),
    "write so much": refusing_replies(
        message="max_tokens is too large: 256. This model supports at most 128 completion tokens.", param="max_tokens"
    ),
    "hold the prompt of a judge": refusing_verdicts(message="maximum context length is 64 tokens"),
    "name a side": replying(undecided, probes=(judging(method="Logprobs"),)),
    "grade from 1 to 10": saying('{"grade": 85}', GRADER),
    "be given a seed": refusing_member("seed", PLAYER),
    "be given this temperature": refusing_member("temperature", PLAYER),
    "decide each time": replying(
        judge(lambda right_first: "1" if right_first else "?"), probes=(judging(method="Choice"),)
    ),
    "look at more than the place": replying(
        judge(lambda right_first: "1", distribution), probes=(judging(method="Logprobs"),)
    ),
    "mark its thoughts as others do": saying("<start_of_thought>Hm.<end_of_thought>42", PLAYER),
    "tell right from wrong": replying(
        judge(lambda right_first: "2" if sure(right_first) == "1" else "1"), probes=(judging(method="Choice"),)
    ),
    "hold the longest prompt of a judge": short,
}


def test_each_row_has_a_case() -> None:
    assert list(ROWS) == list(CASES)
    assert WARNED == WARNINGS
    assert tuple(ROWS)[-len(WARNINGS) :] == WARNINGS
    assert len(ROWS) >= 25


@pytest.mark.parametrize("what", ROWS)
def test_what_it_cannot_do_is_found_before_anything_is_paid(
    what: str, world: StageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = CASES[what](world, monkeypatch)
    assert code == (0 if what in WARNINGS else 2)
    pattern = ".*".join(map(re.escape, re.split(r" ?'?…'? ?", ROWS[what])))
    (sentence,) = [line for line in said.split("\n") if line]
    assert re.search(pattern, sentence), sentence
    assert sentence.startswith(FIELD.removesuffix("endpoint"))


def test_the_words_of_a_server_that_fails_are_shown(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for what, words in (
        ("answer at all", "out of memory"),
        ("answer yet", "Loading model"),
        ("answer what is asked", "the grammar cannot be compiled"),
        ("answer requests for verdicts", "the grammar cannot be compiled"),
        ("accept the key", "Incorrect API key provided"),
        ("be paid", "Insufficient credits"),
        ("be asked more today", "Rate limit reached on tokens per day (TPD)"),
        ("know this model", "model 'm' not found"),
    ):
        _, said = CASES[what](world, monkeypatch)
        assert f'; the server says "{words}"' in said
