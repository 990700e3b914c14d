"""What preflight finds of endpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from aiohttp import web

from integration.stages.test_cannot import without_system_message
from integration.stages.test_preflight import mining, problems, task
from integration.stages.test_probe import judge, judging, sure
from support.stage_world import Asked, Given, Sim, StageWorld, not_found, stub
from tiltyard_jobs.contracts.solo_tasks import NamedEndpoint, ReadableFile
from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.stages import endpoints


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is not there is waited for; here not for long."""
    monkeypatch.setattr(endpoints, "ENDPOINT_SECONDS", 0.3)


def test_an_endpoint_that_refuses(world: StageWorld, refusing: str) -> None:
    endpoint = EndpointRef(url=refusing, model="m", field="spec.judges[0].endpoint")
    (found,) = problems(world, endpoints=(NamedEndpoint(name="x", endpoint=endpoint),))
    assert found.startswith(f"spec.judges[0].endpoint: {refusing} has answered nothing for")


def test_an_endpoint_that_hangs(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 0.2)

    def hang(asked: Asked) -> Given:
        time.sleep(0.5)
        return "late"

    with stub(hang) as server:
        (found,) = problems(world, endpoints=(mining(server.endpoint),))
    assert found.endswith("did not answer within 0 s: check that the model is running")


def only(path: str) -> Callable[[Asked], Given]:
    """A server with one path."""
    return lambda asked: "fine" if asked.path == path else not_found()


@pytest.mark.parametrize(
    ("reply", "models", "sentence"),
    [
        (lambda asked: "fine", ["a", "b"], "serves a, b, not 'm'"),
        (lambda asked: web.Response(status=401), ["m"], "refuses access to model 'm' (HTTP 401)"),
        (lambda asked: web.Response(status=401), None, "refuses access to model 'm' (HTTP 401)"),
        (lambda asked: not_found(), None, "does not serve /v1/chat/completions (HTTP 404)"),
        (
            lambda asked: web.Response(status=400),
            ["m"],
            "does not answer as model 'm' should: RefusedByServer: HTTP 400",
        ),
        (lambda asked: b"<html>", ["m"], "does not answer as model 'm' should: Malformed: the reply is not JSON"),
        (only("/v1/chat/completions"), ["m"], "does not complete raw prompts with model 'm', which mining needs"),
    ],
)
def test_an_endpoint_that_cannot_be_used(
    world: StageWorld, reply: Callable[[Asked], Given], models: list[str] | None, sentence: str
) -> None:
    with stub(reply, models=models) as server:
        (found,) = problems(world, endpoints=(mining(server.endpoint),))
    assert found.startswith(f"spec.competitors[1].endpoint: {server.url} {sentence}")


@pytest.mark.parametrize("end", ["/v1", "", "/v1/", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("location", "advice"),
    [
        (
            "https://ada:pass@other.test:8443/api{path}?key=hunter2#part",
            " to https://other.test:8443/api{path}: give the address it leads to, https://other.test:8443/api/v1{own}",
        ),
        ("/api{path}", " to {root}/api{path}: give the address it leads to, {root}/api/v1{own}"),
        ("/api{path}/", " to {root}/api{path}/: give the address it leads to, {root}/api/v1{own}"),
        ("{path}/", " to {root}{path}/: configure the server to answer this path without a / at its end"),
        ("https://a.test/sign-in?next={path}", " to https://a.test/sign-in: give the address of the API itself"),
        ("", ": give the address it leads to"),
        ("http://[", ": give the address it leads to"),
    ],
)
def test_where_a_redirect_leads_is_told_without_what_may_be_secret(
    world: StageWorld, location: str, advice: str, end: str
) -> None:
    def redirect() -> web.Response:
        return web.Response(status=307, headers={"Location": location.format(path="/v1/models")})

    with stub(lambda asked: "fine", models=redirect) as server:
        root = server.url.removesuffix("/v1")
        endpoint = server.endpoint.model_copy(update={"url": root + end})
        (found,) = problems(world, endpoints=(NamedEndpoint(name="x", endpoint=endpoint),))
    led = advice.format(path="/v1/models", root=root, own=end.removeprefix("/v1").rstrip("/"))
    assert found == f"{endpoint.field}: {endpoint.url} redirects /v1/models for model 'm' (HTTP 307){led}"


@pytest.mark.parametrize(("listed", "code"), [("m", 0), ("m:latest", 0), ("models/m", 0), ("m:8b", 2), ("org/m", 2)])
def test_a_name_under_which_a_server_knows_the_model(world: StageWorld, listed: str, code: int) -> None:
    """Ollama lists `m:latest` and Gemini `models/m` for what they serve as `m` too."""
    with stub(lambda asked: "fine", models=(listed,)) as server:
        endpoint = NamedEndpoint(name="x", endpoint=server.endpoint)
        assert world.run_task(task(world, endpoints=(endpoint,))).code == code


def test_a_variant_of_a_model_that_a_gateway_lists_without_it(world: StageWorld) -> None:
    with stub(lambda asked: "fine", models=("org/m", "m:8b")) as server:
        for asked, code in (("org/m:nitro", 0), ("m:nitro", 2)):
            endpoint = server.endpoint.model_copy(update={"model": asked})
            assert world.run_task(task(world, endpoints=(NamedEndpoint(name="x", endpoint=endpoint),))).code == code


@pytest.mark.parametrize(
    ("listing", "code"),
    [
        (lambda: web.json_response([{"id": "m"}]), 0),  # a list alone, as some servers send it
        (lambda: web.json_response([{"id": "a"}]), 2),
        (lambda: web.json_response({"error": {"message": "Missing scopes: api.model.read"}}, status=403), 0),
        (lambda: web.json_response({"error": {"message": "no"}}, status=400), 0),
        (lambda: web.Response(text="<html>"), 0),
    ],
)
def test_a_list_of_models_that_cannot_be_read_says_nothing_of_the_model(
    world: StageWorld, listing: Callable[[], web.Response], code: int
) -> None:
    with stub(judge(sure), models=listing) as server:
        endpoint = NamedEndpoint(name="x", endpoint=server.endpoint, probes=(judging(),), answer_tokens=256)
        assert world.run_task(task(world, endpoints=(endpoint,))).code == code


@pytest.mark.parametrize(
    ("end", "path", "sentence"),
    [
        ("/v1beta/openai/chat/completions", "/v1beta/openai/chat/completions", None),
        ("/v1/chat/completions", "/v1/chat/completions", None),
        ("", "/v1/chat/completions", None),
        ("/v1beta/openai", "/v1beta/openai/chat/completions", "; if the API has no /v1, give the URL with /chat/comp"),
        (
            "/v2",
            "/v1/chat/completions",
            "does not serve /v2/chat/completions (HTTP 404), asked for model 'm': check the URL",
        ),
    ],
)
def test_an_address_that_does_not_end_in_v1(world: StageWorld, end: str, path: str, sentence: str | None) -> None:
    with stub(lambda asked: "fine" if asked.path == path else not_found(), models=None, paths=(path,)) as server:
        url = server.url.removesuffix("/v1") + end
        endpoint = NamedEndpoint(name="x", endpoint=server.endpoint.model_copy(update={"url": url}))
        if sentence is None:
            assert world.run_task(task(world, endpoints=(endpoint,))).code == 0
            return
        (found,) = problems(world, endpoints=(endpoint,))
    assert sentence in found


def test_an_endpoint_whose_template_drops_the_system_message_of_mining(world: StageWorld) -> None:
    with stub(without_system_message, tells_tokens=True) as server:
        assert world.run_task(task(world, endpoints=(mining(server.endpoint),))).code == 0
        (found,) = problems(world, endpoints=(mining(server.endpoint, system_prompts=("Write Rust.",)),))
    assert "drops or alters the system message (instructions.mine.systemPrompts)" in found


def test_an_endpoint_is_asked_no_more_than_it_will_be(world: StageWorld) -> None:
    with stub(only("/v1/chat/completions"), models=None) as server:  # it judges, and lists no models
        assert world.run_task(task(world, endpoints=(NamedEndpoint(name="x", endpoint=server.endpoint),))).code == 0
    assert [asked.path for asked in server.asked] == ["/v1/chat/completions"]

    def mines(asked: Asked) -> Given:
        if asked.path == "/v1/completions" and asked.prompt != "The":
            return "Write a function that sorts a list."
        return not_found() if asked.path == "/tokenize" else ""  # silence is an answer

    with stub(mines) as server:
        assert world.run_task(task(world, endpoints=(mining(server.endpoint, prefix="Q: "),))).code == 0
        (found,) = problems(world, endpoints=(mining(server.endpoint),))
    assert found.endswith("(it has no /tokenize): name the model's tokenizer, or give chatTemplatePrefix")


LOGPROBS = {"content": [{"token": "1", "logprob": -0.1, "top_logprobs": [{"token": "1", "logprob": -0.1}]}]}


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({"message": {"content": "2"}, "logprobs": LOGPROBS}, None),
        ({"message": {"content": ""}, "logprobs": LOGPROBS}, None),
        ("2", "the reply has no log-probabilities"),
        ({"message": {"content": "2"}, "logprobs": None}, "the reply has no log-probabilities"),
    ],
)
def test_an_endpoint_that_judges_by_log_probabilities_must_give_some(
    world: StageWorld, given: Given, detail: str | None
) -> None:
    with stub(lambda asked: given if asked.document.get("logprobs") else "2") as server:
        judge = NamedEndpoint(name="x", endpoint=server.endpoint, needs_logprobs=True)
        if detail is None:
            assert world.run_task(task(world, endpoints=(judge,))).code == 0
            return
        (found,) = problems(world, endpoints=(judge,))
    start = f"spec.competitors[1].endpoint: {server.url} gives no log-probabilities with model 'm' ({detail}"
    assert found.startswith(start)
    assert "which spec.battles.verdict.method Logprobs needs: take method Choice, or serve" in found
    assert server.asked[-1].document["top_logprobs"] == 20


def test_an_endpoint_that_does_not_embed(world: StageWorld) -> None:
    named = {"name": "embedder", "needs_embeddings": True}
    with stub(only("/v1/chat/completions")) as server:
        (found,) = problems(world, endpoints=(NamedEndpoint(endpoint=server.endpoint, **named),))
    assert "does not serve /v1/embeddings (HTTP 404)" in found


def test_the_longest_given_instruction_counts_in_what_a_judge_must_hold(world: StageWorld) -> None:
    sim = Sim("sim://m?max_model_len=3000&judge.abstain=0&judge.noise=0&judge.position_bias=0", world.root)
    path = world.root / "prompts.jsonl"
    file = ReadableFile(field="spec.instructions.from", uri=path.as_uri(), column="q", instructions=True)
    judge = NamedEndpoint(name="x", endpoint=sim.endpoint, probes=(judging(method="Choice"),), answer_tokens=256)
    told = []
    try:
        for characters in (60, 9000):
            path.write_text("".join(json.dumps({"q": "x" * length}) + "\n" for length in (characters, 20)))
            ran = world.run_task(task(world, endpoints=(judge,), files=(file,)))
            assert ran.code == 0
            told.append(ran.summary.get("warnings", []))
    finally:
        sim.close()
    short, (long,) = told
    assert short == []
    assert "on two answers of 256 to the longest given instruction (9000 bytes) takes up to" in long
