"""Manifests that `validate` and the CRD once saw differently: both take each, or both refuse it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from support.admission import Admission
from support.schema_manifests import SMALLEST
from tiltyard.api import ManifestError, load_tournament, problems_on_cluster

ENDPOINT = {"name": "d", "endpoint": {"url": "http://h/v1", "model": "m"}}
PRICES = {"currency": "USD"}
TRAIN_JOB = {"baseModel": {"uri": "hf://o/t"}, "trainer": {"kind": "TrainJob", "runtimeRef": {"name": "r"}}}


def both_take(admission: Admission, **fields: Any) -> bool:
    document = copy.deepcopy(SMALLEST)
    document["spec"] |= fields
    text = json.dumps(document)
    try:
        taken = not problems_on_cluster(load_tournament(text))
    except ManifestError:
        taken = False
    assert taken == (admission.refusals(document) == [])
    return taken


@pytest.mark.parametrize(
    ("share", "taken"),
    [("1.00000000000000001", True), ("1.000000000000001", False), ("1e-99", True), ("0." + "3" * 18, True)],
)
def test_a_fraction_is_what_a_double_tells_of_it(admission: Admission, share: str, taken: bool) -> None:
    assert both_take(admission, rating={"alpha": share}) == taken


@pytest.mark.parametrize(
    ("temperatures", "taken"),
    [(["1", "1.0"], False), (["10e-1", "1"], False), (["0.5", "0.50000000000000000"], False), (["0.5", "0.51"], True)],
)
def test_a_temperature_is_the_same_however_it_is_written(
    admission: Admission, temperatures: list[str], taken: bool
) -> None:
    assert both_take(admission, instructions={"mine": {"temperatures": temperatures}}) == taken


@pytest.mark.parametrize("domain", ["a..b", "a.", "-a", "a-", "a_b", "a-.b", "a.b", "a--b.c", "a" * 253, "a" * 400])
def test_the_domain_of_a_key_is_a_subdomain(admission: Admission, domain: str) -> None:
    taken = domain in ("a.b", "a--b.c", "a" * 253)
    for field in ("labels", "annotations", "nodeSelector"):
        assert both_take(admission, jobs={"pod": {field: {f"{domain}/b": "c"}}}) == taken


@pytest.mark.parametrize(("length", "taken"), [(251, True), (252, False)])
def test_the_name_of_a_resource_has_a_length(admission: Admission, length: int, taken: bool) -> None:
    name = "a" * length + "/b"
    assert both_take(admission, jobs={"resources": {"limits": {name: 1}}}) == taken
    assert both_take(admission, serving={"budget": {name: 1}}) == taken


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("nvidia.com/gpu", True),
        ("nvidia.com/mig-1g.5gb", True),
        ("nvidia.com/mig-", False),
        ("gpu.intel.com/i915", True),
        ("gpu.intel.com/i915_monitoring", False),
        ("cpu", False),
        ("gpu", False),
    ],
)
def test_hours_have_a_price_by_the_name_of_a_gpu(admission: Admission, name: str, taken: bool) -> None:
    assert both_take(admission, prices={**PRICES, "gpuHours": {name: "1"}}) == taken


@pytest.mark.parametrize(("name", "taken"), [("d", True), ("a", False), ("nobody", False)])
def test_tokens_have_a_price_by_the_name_of_an_endpoint(admission: Admission, name: str, taken: bool) -> None:
    prices = {**PRICES, "endpoints": [{"name": name, "promptTokens": "1", "completionTokens": "1"}]}
    competitors = SMALLEST["spec"]["competitors"]
    assert both_take(admission, prices=prices, competitors=[*competitors, ENDPOINT]) == taken
    assert both_take(admission, prices=prices, judges=[ENDPOINT]) == taken


@pytest.mark.parametrize(
    ("pod", "taken"),
    [
        ({"securityContext": {}}, False),
        ({"securityContext": {"runAsUser": 1}}, False),
        ({"topologySpreadConstraints": [], "resourceClaims": []}, True),
        ({"resourceClaims": [{"name": "a"}]}, False),
        ({"schedulerName": "a"}, False),
    ],
)
def test_a_train_job_has_no_fields_of_its_runtime(admission: Admission, pod: dict[str, Any], taken: bool) -> None:
    assert both_take(admission, training={**TRAIN_JOB, "pod": pod}) == taken


@pytest.mark.parametrize(("request_", "taken"), [("1e-10", True), ("0.9n", True), ("1n", True), ("2n", False)])
def test_parts_of_the_least_quantity_are_rounded_up(admission: Admission, request_: str, taken: bool) -> None:
    assert (
        both_take(admission, jobs={"resources": {"limits": {"cpu": "1e-11"}, "requests": {"cpu": request_}}}) == taken
    )


@pytest.mark.parametrize(("length", "taken"), [(262144 - 1, True), (262144, False)])
def test_annotations_have_a_length_together(length: int, taken: bool) -> None:
    document = copy.deepcopy(SMALLEST)
    document["metadata"]["annotations"] = {"a": "é" * 1000 + "x" * (length - 2000 - 5), "b": "1234"}
    text = json.dumps(document)
    if taken:
        load_tournament(text)
        return
    with pytest.raises(ManifestError, match=r"metadata.annotations: must be at most 262144 bytes together"):
        load_tournament(text)
