"""Prices of GPUs and endpoints: what is wrong with them, in the manifest and in a file."""

from __future__ import annotations

from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.api import ManifestError, Tournament, load_tournament
from tiltyard.api.load import load_prices

MANIFEST = """
apiVersion: tiltyard.dev/v1alpha1
kind: Tournament
metadata: {name: priced}
spec:
  competitors:
    - {name: ada, model: {uri: "sim://ada"}}
    - {name: bob, model: {uri: "sim://bob"}}
    - {name: gpt, endpoint: {url: "https://api.example/v1", model: g}}
  instructions: {mine: {perCompetitor: 4}}
  prices: %s
"""
TOKENS = 'promptTokens: "1", completionTokens: "2"'


def priced(prices: str) -> Tournament:
    return load_tournament(MANIFEST % prices)


def test_prices_by_gpu_and_by_endpoint() -> None:
    prices = priced('{currency: USD, gpuHours: {nvidia.com/gpu: "2.5"}, endpoints: [{name: gpt, ' + TOKENS + "}]}")
    assert prices.spec.prices is not None
    assert str(prices.spec.prices.gpu_hours["nvidia.com/gpu"]) == "2.5"


WRONG: list[tuple[str, str]] = [
    ("{currency: USD, gpuHours: {nvidia.com/gpu: 2.5}}", 'spec.prices.gpuHours["nvidia.com/gpu"]: must be a decimal'),
    ('{currency: USD, gpuHours: {nvidia.com/gpu: "-1"}}', 'spec.prices.gpuHours["nvidia.com/gpu"]: must be a decimal'),
    ('{currency: USD, gpuHours: {nvidia.com/gpu: "NaN"}}', 'spec.prices.gpuHours["nvidia.com/gpu"]: must be a decimal'),
    ('{currency: USD, gpuHours: {cpu: "1"}}', "spec.prices.gpuHours.cpu: must be the name of a GPU's resource: nvidia"),
    ("{currency: dollars}", "spec.prices.currency: must be three capital letters, such as USD or EUR"),
    ("{gpuHours: {}}", "spec.prices.currency: is missing; must be three capital letters"),
    (
        "{currency: USD, endpoints: [{name: ada, " + TOKENS + "}]}",
        "spec.prices.endpoints[0].name: must be the name of a competitor or judge with an endpoint; the price of a"
        ' served model is that of its GPU-hours, given "ada" where gpt has an endpoint',
    ),
    (
        "{currency: USD, endpoints: [{name: gpt}]}",
        "spec.prices.endpoints[0].promptTokens: is missing; must be a decimal",
    ),
    (
        "{currency: USD, endpoints: [{name: gpt, " + TOKENS + "}, {name: gpt, " + TOKENS + "}]}",
        "spec.prices.endpoints[1].name: must be priced once: remove the other price of this endpoint, given"
        ' "gpt" twice',
    ),
    ("{currency: USD, price: {}}", "spec.prices.price: "),
]


@pytest.mark.parametrize(("prices", "sentence"), WRONG)
def test_what_is_wrong_is_told_with_what_is_allowed(prices: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        priced(prices)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"currency": "usd"}, "currency: must be three capital letters"),
        ({"currency": "USD", "gpuHours": {"memory": "1"}}, "gpuHours.memory: must be the name of a GPU's resource"),
        (
            {"currency": "USD", "endpoints": [{"name": "nobody", "promptTokens": "1", "completionTokens": "1"}]},
            "endpoints[0].name: must be the name of a competitor or judge with an endpoint; the price of a served model"
            ' is that of its GPU-hours, given "nobody" where no participant has an endpoint',
        ),
        ([], "must be"),
        (None, "must be"),
    ],
)
def test_a_file_of_prices_is_held_to_the_same(document: Any, sentence: str) -> None:
    _, problems = load_prices(tournament(3), document)
    assert len(problems) == 1
    assert sentence in str(problems[0])


def test_an_endpoint_has_one_price_in_a_file_too() -> None:
    price = {"name": "gpt", "promptTokens": "1", "completionTokens": "2"}
    _, problems = load_prices(priced("{currency: USD}"), {"currency": "EUR", "endpoints": [price, price]})
    assert [str(problem) for problem in problems] == [
        'endpoints[1].name: must be priced once: remove the other price of this endpoint, given "gpt" twice'
    ]
