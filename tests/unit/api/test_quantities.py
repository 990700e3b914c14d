from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tiltyard.api import ModelServing, Resources, parse_quantity
from tiltyard.api.scalars import QuantityText

ADAPTER = TypeAdapter(QuantityText)


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
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, number: str) -> None:
    assert parse_quantity(ADAPTER.validate_python(text)) == Decimal(number)


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
