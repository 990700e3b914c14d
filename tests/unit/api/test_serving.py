"""Arguments of a model's server: what may not stand there, in every spelling that vLLM takes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.admission import Admission
from support.manifests import manifest
from tiltyard.api import ManifestError, load_tournament
from tiltyard.api.serving import ModelServing

TAKEN = [
    "--model=other", "--revision=v2", "--uri=sim://other", "--served-model-name=x", "--host=0.0.0.0", "--port=1",
    "--uds=/tmp/socket", "--root-path=/x", "--api-key=s3cret", "--ssl-keyfile=k", "--ssl-certfile=c",
    "--port", "--api_key", "--served_model-name=x", "--port 1", "--port=", "--ssl_ca_certs=c",
]  # fmt: skip
FREE = ["--model-impl=vllm", "--port-range=1", "port", "-port=1", "--max-model-len=9", "--no-ssl", "http://--host=1"]


def with_args(*args: str) -> dict[str, Any]:
    document = manifest(3)
    document["spec"]["judges"] = [{"name": "j", "model": {"uri": "sim://j"}, "serving": {"args": list(args)}}]
    document["spec"]["output"] = {"s3": {"uri": "s3://tournaments"}}
    return document


@pytest.mark.parametrize("arg", TAKEN)
def test_what_the_start_of_a_server_sets_is_refused_here_and_in_a_cluster(arg: str, admission: Admission) -> None:
    document = with_args("--seed=1", arg)
    with pytest.raises(ManifestError) as caught:
        load_tournament(yaml.safe_dump(document))
    problem, *others = caught.value.problems  # "--port 1" is two arguments in one besides
    assert problem.path == "spec.judges[0].serving.args[1]"
    assert problem.message.startswith("must not set the model, its name or its address: ")
    assert problem.message.endswith(f', given "{arg}"')
    refusal, *others_there = admission.refusals(document)
    assert problem.message.startswith(refusal)
    assert len(others) == len(others_there) == (" " in arg)


@pytest.mark.parametrize("arg", ["--max-model-len 4096", "-tp 2", "--dtype=half --seed=1", "--a\tb", "--a=b  -tp=2"])
def test_an_option_and_its_value_in_one_item_are_refused_here_and_in_a_cluster(arg: str, admission: Admission) -> None:
    document = with_args("--seed=1", arg)
    with pytest.raises(ManifestError) as caught:
        load_tournament(yaml.safe_dump(document))
    (problem,) = caught.value.problems
    assert problem.path == "spec.judges[0].serving.args[1]"
    (refusal,) = admission.refusals(document)
    assert problem.message.startswith(refusal)


@pytest.mark.parametrize("arg", ['--x={"a": -1}', "-1 2", "a value --with blanks", "--x=a b", "--x={{ a }} - b", "--x"])
def test_a_value_with_blanks_is_one_argument(arg: str, admission: Admission) -> None:
    document = with_args(arg)
    assert load_tournament(yaml.safe_dump(document))
    assert admission.refusals(document) == []


def test_what_only_looks_like_it_is_free(admission: Admission) -> None:
    document = with_args(*FREE)
    assert load_tournament(yaml.safe_dump(document)).spec.judges[0].serving_or_default.args == tuple(FREE)
    assert admission.refusals(document) == []


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ([], None),
        (["--chat-template=/a b.jinja"], "/a b.jinja"),
        (["--chat_template", "/a.jinja", "--enforce-eager"], "/a.jinja"),
        (["--chat-template=/a.jinja", "--chat-template=/b.jinja"], "/b.jinja"),
        (["--chat-template-content-format=openai"], None),
    ],
)
def test_the_value_of_an_option(args: list[str], value: str | None) -> None:
    assert ModelServing(args=tuple(args)).option("--chat-template") == value
