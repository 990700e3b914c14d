"""What is added to the requests to a model: what may not stand there, and whose identity it changes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.admission import Admission
from support.manifests import manifest
from tiltyard.api import ManifestError, Tournament, load_tournament
from tiltyard.plan.build import build_graph

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
    return load_tournament(yaml.safe_dump(document))


def problems(document: dict[str, Any]) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        loaded(document)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", TAKEN)
def test_what_tiltyard_sets_is_refused_with_what_to_use(name: str) -> None:
    (problem,) = problems(with_requests({"extraBody": {name: 7}}, {"extraBody": THINKS_NOT}))
    start = f"spec.competitors[0].request.extraBody.{name}: must not be here, since Tiltyard sets it, given 7; use "
    assert problem.startswith(start)
    assert len(problem) > len(start)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"x": float("inf")}, "must hold only what JSON can"),
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


@pytest.mark.parametrize("request_", [None, {}, {"extraBody": {}}, {"extraBody": THINKS_NOT}])
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
    assert changed.models == plain.models  # it need not be served anew


def test_however_it_is_asked_no_model_judges_its_own_battles(admission: Admission) -> None:
    judge = {"name": "j", "model": {"uri": "sim://one"}, "request": {"extraBody": {"reasoning_effort": "high"}}}
    document = with_requests({"extraBody": THINKS_NOT}, {}, judge=judge)
    (problem,) = problems(document)
    assert problem.startswith("spec.judges[0]: must not be the model of a competitor")
    assert admission.refusals(document) != []
