from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from support.admission import Admission
from tiltyard.api import ModelServing, Resources, parse_quantity
from tiltyard.api.scalars import QuantityText

ADAPTER = TypeAdapter(QuantityText)
MINIMAL = (Path(__file__).parent / "samples" / "valid" / "minimal.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", "4"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+2", "2"),
        ("16Gi", "17179869184"),
        ("1k", "1000"),
        ("2M", "2000000"),
        ("5n", "0.000000005"),
        ("1G", "1e9"),
        ("1T", "1e12"),
        ("1P", "1e15"),
        ("1E", "1e18"),
        ("3Ki", "3072"),
        ("1Mi", "1048576"),
        ("1Ti", "1099511627776"),
        ("1Pi", "1125899906842624"),
        ("1E3", "1000"),
        ("1e-3", "0.001"),
        ("3u", "0.000003"),
        ("1Ei", "1152921504606846976"),
        ("1e-11", "1e-9"),
        ("0.9n", "1e-9"),
        ("1.1n", "2e-9"),
        ("9e99", "9e99"),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, number: str) -> None:
    assert parse_quantity(ADAPTER.validate_python(text)) == Decimal(number)


def problems_of_device(amount: str) -> list[str]:
    try:
        Resources(limits={"nvidia.com/gpu": amount})
    except ValidationError as error:
        return [detail["msg"] for detail in error.errors()]
    return []


@pytest.mark.parametrize(
    "amount",
    ["0", "1", "+2.", "1.000", ".0", "1000m", "0m", "3000.0m", "1000000u", "1000000000n", "0.001k", "1.5Ki", "10e-1",
     "1e3", "9e99", "1E"],
)  # fmt: skip
def test_a_device_may_be_given_in_any_way_that_stands_for_a_whole_number(amount: str) -> None:
    assert problems_of_device(amount) == []


@pytest.mark.parametrize("amount", ["0.5", ".5", "1500m", "1m", "100u", "1n", "1.0005k", "1.3Ki", "1e-1", "5e-99"])
def test_a_share_of_a_device_is_refused(amount: str) -> None:
    (problem,) = problems_of_device(amount)
    assert problem.startswith("must be a whole number, such as 1, of a DOMAIN/NAME resource")


AMOUNT = r"[+]?[0-9]{0,2}0{0,9}([.][05]{0,3}0{0,6})?([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9])?"


@settings(deadline=None)
@given(st.from_regex(AMOUNT, fullmatch=True))
def test_a_cluster_says_the_same_of_a_device_unless_its_unit_is_larger_than_one(
    admission: Admission, amount: str
) -> None:
    try:
        ADAPTER.validate_python(amount)
    except ValidationError:
        return
    document = yaml.safe_load(MINIMAL)
    document["spec"]["jobs"] = {"resources": {"limits": {"example.com/device": amount}}}
    has_larger_unit = any(unit in amount for unit in "kKMGTPEe")
    assert bool(admission.refusals(document)) == (bool(problems_of_device(amount)) and not has_larger_unit)


@settings(deadline=None)
@given(st.from_regex(r"[0-9.]{0,4}[a-zA-Z]{0,3}[0-9]{0,2}", fullmatch=True))
def test_what_is_taken_can_be_read(text: str) -> None:
    try:
        taken = ADAPTER.validate_python(text)
    except ValidationError:
        return
    assert parse_quantity(taken) >= 0


def test_a_model_takes_its_requests_else_its_limits_times_its_replicas() -> None:
    resources = Resources(limits={"nvidia.com/gpu": "2", "memory": "4Gi"}, requests={"memory": "1Gi", "cpu": "500m"})
    assert ModelServing(replicas=2, resources=resources).demand() == {
        "nvidia.com/gpu": Decimal(4),
        "memory": Decimal(2 * 1024**3),
        "cpu": Decimal(1),
    }
