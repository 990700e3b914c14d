"""What is added to the requests to a model: what may not stand there, and whose identity it changes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.admission import Admission
from support.manifests import manifest
from tiltyard.api import ManifestError, Tournament, load_tournament, problems_on_cluster, problems_on_machine
from tiltyard.api.yamlfile import Dumper
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import AnswerRecipe, MineRecipe

TAKEN = [
    "model", "messages", "prompt", "n", "stream", "seed", "temperature", "top_p", "max_tokens", "max_completion_tokens",
    "stop", "stop_token_ids", "response_format", "logprobs", "top_logprobs", "echo", "tools",
]  # fmt: skip
THINKS_NOT = {"chat_template_kwargs": {"enable_thinking": False}}


def with_requests(*requests: Any, judge: Any = None) -> dict[str, Any]:
    """Competitors of one model, each with its request."""
    document = manifest(len(requests))
    for player, request in zip(document["spec"]["competitors"], requests, strict=True):
        player["model"] = {"uri": "sim://one"}
        player["request"] = request
    document["spec"]["judges"] = [judge or {"name": "j", "model": {"uri": "sim://j"}}]
    document["spec"]["output"] = {"s3": {"uri": "s3://tournaments"}}
    return document


def loaded(document: dict[str, Any]) -> Tournament:
    return load_tournament(yaml.dump(document, Dumper=Dumper))


def problems(document: dict[str, Any]) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        loaded(document)
    return [str(problem) for problem in caught.value.problems]


def test_a_name_that_yaml_reads_as_a_boolean_is_refused_with_what_to_do() -> None:
    with pytest.raises(ManifestError, match=r"given false, as YAML reads n, no, off and false; put it in quotes"):
        load_tournament(yaml.safe_dump(with_requests({"extraBody": {"n": 7}})))


@pytest.mark.parametrize("name", TAKEN)
def test_what_tiltyard_sets_is_refused_with_what_to_use(name: str) -> None:
    (problem,) = problems(with_requests({"extraBody": {name: 7}}, {"extraBody": THINKS_NOT}))
    start = f"spec.competitors[0].request.extraBody.{name}: must not be here, since Tiltyard sets it, given 7; use "
    assert problem.startswith(start)
    assert len(problem) > len(start)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"x": float("inf")}, "must be a number that JSON knows"),
        ({"x": "y" * 5000}, "must be at most 4096 bytes of JSON"),
        ([1], "must be a mapping"),
    ],
)
def test_it_is_a_json_object_of_a_moderate_size(body: Any, sentence: str) -> None:
    (problem,) = problems(with_requests({"extraBody": body}, {"extraBody": THINKS_NOT}))
    assert problem.startswith("spec.competitors[0].request.extraBody")
    assert sentence in problem


def test_another_extra_body_is_another_competitor(admission: Admission) -> None:
    document = with_requests({"extraBody": THINKS_NOT}, {"extraBody": {}})
    spec = loaded(document).spec
    first, second = (player.identity() for player in spec.competitors)
    assert first.id != second.id
    assert second.extra_body == ""
    assert first.extra_body == '{"chat_template_kwargs":{"enable_thinking":false}}'
    assert admission.refusals(document) == []


def test_other_stops_are_another_competitor(admission: Admission) -> None:
    document = with_requests({"stop": ["\nUser:"]}, {})
    tournament = loaded(document)
    first, second = (player.identity() for player in tournament.spec.competitors)
    assert (first.stop, second.stop, first.bare) == (("\nUser:",), (), second.bare)
    assert first.id != second.id
    assert admission.refusals(document) == []
    (mined, _), answered = build_graph(tournament).recipes(MineRecipe), build_graph(tournament).recipes(AnswerRecipe)
    assert mined.stops == ()  # where instructions end is chatTemplateStops
    assert {one.model.stop for one in answered} == {("\nUser:",), ()}


@pytest.mark.parametrize("request_", [None, {}, {"extraBody": {}}, {"extraBody": THINKS_NOT}, {"stop": ["Q:"]}])
def test_the_same_extra_body_is_the_same_competitor(request_: Any) -> None:
    (problem,) = problems(with_requests(request_, request_))
    assert problem.startswith("spec.competitors[1]: must differ from every other competitor")


def test_no_request_keeps_identities_and_keys_as_they_were() -> None:
    document = manifest(3)
    plain = build_graph(loaded(document))
    for player in document["spec"]["competitors"]:
        player["request"] = {}
    assert build_graph(loaded(document)).artifacts == plain.artifacts
    document["spec"]["competitors"][0]["request"] = {"extraBody": {"reasoning_effort": "low"}}
    changed = build_graph(loaded(document))
    answers = {ref.key for ref in plain.artifacts if ref.stage == "answer"}
    assert answers - {ref.key for ref in changed.artifacts}
    assert changed.models == plain.models  # it need not be started again


def test_however_it_is_asked_no_model_judges_its_own_battles(admission: Admission) -> None:
    judge = {"name": "j", "model": {"uri": "sim://one"}, "request": {"extraBody": {"reasoning_effort": "high"}}}
    document = with_requests({"extraBody": THINKS_NOT}, {}, judge=judge)
    (problem,) = problems(document)
    assert problem.startswith("spec.judges[0]: must not be the model of a competitor")
    assert admission.refusals(document) != []


REF = {"name": "gate", "key": "ticket"}
ENDPOINT = {"url": "https://h.test/v1", "model": "m"}


def with_endpoint(request: Any, **endpoint: Any) -> dict[str, Any]:
    document = manifest(3)
    player = document["spec"]["competitors"][0]
    del player["model"]
    player |= {"endpoint": ENDPOINT | endpoint, "request": request}
    document["spec"]["output"] = {"s3": {"uri": "s3://tournaments"}}
    return document


@pytest.mark.parametrize(
    ("request_", "place", "sentence"),
    [
        ({"headers": [{"name": "X-A"}]}, ".headers[0]", "must have exactly one of value and valueSecretRef"),
        (
            {"headers": [{"name": "X-A", "value": "a", "valueSecretRef": REF}]},
            ".headers[0]",
            "must have exactly one of value and valueSecretRef",
        ),
        ({"headers": [{"name": "content-type", "value": "a"}]}, ".headers[0].name", "must not be a header that HTTP"),
        ({"headers": [{"name": "Host", "value": "a"}]}, ".headers[0].name", "must not be a header that HTTP"),
        ({"headers": [{"name": "authorization", "value": "a"}]}, ".headers[0].value", "must come from a Secret"),
        ({"headers": [{"name": "X-Api-Key", "value": "a"}]}, ".headers[0].value", "must come from a Secret"),
        ({"headers": [{"name": "X-Auth-Token", "value": "a"}]}, ".headers[0].value", "must come from a Secret"),
        ({"headers": [{"name": "X A", "value": "a"}]}, ".headers[0].name", "must be the name of an HTTP header"),
        ({"headers": [{"name": "X-A", "value": "a\nb"}]}, ".headers[0].value", "must be one line of at most 4096"),
        ({"caBundle": {}}, ".caBundle", "must have exactly one of configMapRef, secretRef and file"),
        (
            {"caBundle": {"configMapRef": REF, "secretRef": REF}},
            ".caBundle",
            "must have exactly one of configMapRef, secretRef and file",
        ),
        ({"caBundle": {"file": "ca.pem"}}, ".caBundle.file", "must be file:///PATH or file://./PATH"),
    ],
)
def test_what_no_endpoint_can_be_sent(request_: Any, place: str, sentence: str, admission: Admission) -> None:
    document = with_endpoint(request_)
    (problem,) = problems(document)
    assert problem.startswith(f"spec.competitors[0].request{place}: {sentence}")
    assert admission.refusals(document) != []


def test_a_value_of_a_header_is_not_shown() -> None:
    (problem,) = problems(with_endpoint({"headers": [{"name": "X-A", "value": "s3cret\n"}]}))
    assert problem.endswith("given a text (not shown)")
    assert "s3cret" not in str(problems(with_endpoint({"headers": [{"name": "X-Token", "value": "s3cret"}]})))


def test_headers_and_authorities_that_are_taken(admission: Admission) -> None:
    request = {
        "headers": [{"name": "Authorization", "valueSecretRef": REF}, {"name": "X-Team", "value": "blue team"}],
        "caBundle": {"configMapRef": {"name": "ca", "key": "ca.crt"}},
    }
    document = with_endpoint(request)
    tournament = loaded(document)
    assert admission.refusals(document) == []
    bare = loaded(with_endpoint({}))
    assert build_graph(tournament).artifacts == build_graph(bare).artifacts
    assert build_graph(tournament).models == build_graph(bare).models


@pytest.mark.parametrize("request_", [{"headers": [{"name": "X-A", "value": "a"}]}, {"caBundle": {"secretRef": REF}}])
def test_a_model_that_is_served_has_no_headers(request_: Any, admission: Admission) -> None:
    document = with_requests(request_, {"extraBody": THINKS_NOT})
    (problem,) = problems(document)
    assert "must not be set without an endpoint" in problem
    assert problem.startswith(f"spec.competitors[0].request.{next(iter(request_))}")
    assert admission.refusals(document) != []


def test_authorization_has_one_source(admission: Admission) -> None:
    header = {"name": "AUTHORIZATION", "valueSecretRef": REF}
    document = with_endpoint({"headers": [header]}, apiKeySecretRef={"name": "a", "key": "b"})
    (problem,) = problems(document)
    assert problem.startswith("spec.competitors[0].request.headers[0]: must not be Authorization where")
    assert admission.refusals(document) != []


def test_capitals_make_no_other_header() -> None:
    (problem,) = problems(with_endpoint({"headers": [{"name": n, "value": "a"} for n in ("X-A", "x-a")]}))
    assert problem.startswith("spec.competitors[0].request.headers[1].name: must be unique")


def test_two_secrets_of_one_variable() -> None:
    header = {"name": "X-A", "valueSecretRef": {"name": "team", "key": "a-b"}}
    document = with_endpoint({"headers": [header]}, apiKeySecretRef={"name": "team-a", "key": "b"})
    (problem,) = problems(document)
    assert problem.startswith("spec.competitors[0].request.headers[0].valueSecretRef: must not share its environment")


def test_an_authority_is_a_file_on_one_machine_and_an_object_on_a_cluster(admission: Admission) -> None:
    file, ref = (with_endpoint({"caBundle": bundle}) for bundle in ({"file": "file:///ca.pem"}, {"secretRef": REF}))
    assert [p.path for p in problems_on_cluster(loaded(file))] == ["spec.competitors[0].request.caBundle.file"]
    assert problems_on_cluster(loaded(ref)) == []
    assert [p.path for p in problems_on_machine(loaded(ref), folder_given=True)] == [
        "spec.competitors[0].request.caBundle"
    ]
    assert problems_on_machine(loaded(file), folder_given=True) == []
    assert admission.refusals(file) != []
    assert admission.refusals(ref) == []


def test_marks_of_thoughts_make_another_competitor_of_the_same_model(admission: Admission) -> None:
    document = with_requests({}, {})
    plain = build_graph(loaded(with_requests({}, {"extraBody": THINKS_NOT})))
    document["spec"]["competitors"][1]["thoughtMarks"] = {"opening": "<scratchpad>", "closing": "</scratchpad>"}
    graph = build_graph(loaded(document))
    first, second = (player.identity() for player in loaded(document).spec.competitors)
    assert (first.thought_marks, second.thought_marks) == ((), ("<scratchpad>", "</scratchpad>"))
    assert first.bare == second.bare
    assert graph.models == plain.models
    assert admission.refusals(document) == []
    document["spec"]["judges"] = [document["spec"]["competitors"][1] | {"name": "j"}]
    document["spec"]["competitors"][1] = {"name": "other", "model": {"uri": "sim://other"}}
    (problem,) = problems(document)
    assert problem.startswith("spec.judges[0]: must not be the model of a competitor")


def with_embedder(request: Any, **endpoint: Any) -> dict[str, Any]:
    document = with_requests({}, {"extraBody": THINKS_NOT})
    server = {"url": "https://vectors.example/v1", "model": "v", **endpoint}
    embedder = {"method": "Endpoint", "endpoint": server, "request": request}
    document["spec"]["curation"] |= {"diversity": {"embedder": embedder}}
    return document


def test_an_embedder_behind_a_gate(admission: Admission) -> None:
    header = {"name": "Authorization", "valueSecretRef": REF}
    document = with_embedder({"headers": [header], "caBundle": {"configMapRef": {"name": "ca", "key": "ca.crt"}}})
    assert admission.refusals(document) == []
    assert build_graph(loaded(document)).artifacts == build_graph(loaded(with_embedder({}))).artifacts

    twice = with_embedder({"headers": [header]}, apiKeySecretRef={"name": "a", "key": "b"})
    (problem,) = problems(twice)
    assert problem.startswith("spec.curation.diversity.embedder.request.headers[0]: must not be Authorization where")
    assert admission.refusals(twice) != []

    del document["spec"]["curation"]["diversity"]["embedder"]["endpoint"]
    document["spec"]["curation"]["diversity"]["embedder"]["method"] = "HashedNgrams"
    (problem,) = problems(document)
    assert problem.startswith("spec.curation.diversity.embedder.request: must not be set without an endpoint")
    assert admission.refusals(document) != []
