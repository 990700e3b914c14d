"""Single values at the edges of what is taken, in Python and, by the same words, in the CRD's schema."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tiltyard.api.problems import given_text, path_text
from tiltyard.api.scalars import CriteriaText, RubricLine
from tiltyard.api.shapes import Distinct, Fraction, Quantity, Text, Whole, plain, repetitions


def taken(shape: Any, kind: Any, value: object) -> bool:
    try:
        TypeAdapter(Annotated[kind, shape]).validate_python(value)
    except ValidationError:
        return False
    return True


def schema(shape: Any, kind: Any) -> dict[str, Any]:
    return TypeAdapter(Annotated[kind, shape]).json_schema()


@pytest.mark.parametrize("value", ["a", "ab", "abc"])
def test_a_text_of_the_least_and_the_greatest_length_is_taken(value: str) -> None:
    shape = Text("letters", "[a-z]*", 3)
    assert taken(shape, str, value)
    for other in ("", "abcd", "A", "a\n", 7, None):
        assert not taken(shape, str, other)
    assert taken(Text("anything", None, 3, min_length=0), str, "")
    assert taken(Text("anything", None, 3), str, "\n")


@given(st.text(st.sampled_from("<> \n\ta>"), max_size=9))
def test_criteria_are_what_is_not_blank_and_holds_no_fence(value: str) -> None:
    holds = bool(value.strip()) and "<<<" not in value
    (text,), (line,) = CriteriaText.__metadata__, RubricLine.__metadata__  # type: ignore[attr-defined]
    assert taken(text, str, value) == holds
    assert taken(line, str, value) == (holds and "\n" not in value)


def test_a_text_is_told_to_the_api_server() -> None:
    assert schema(Text("t", "a|b", 9), str) == {"type": "string", "maxLength": 9, "pattern": "^(?:a|b)$"}
    assert schema(Text("t", "ab", 9), str) == {"type": "string", "maxLength": 9, "pattern": "^ab$"}
    assert schema(Text("t", None, 9), str) == {"type": "string", "maxLength": 9, "minLength": 1}
    assert schema(Text("t", None, 9, min_length=0), str) == {"type": "string", "maxLength": 9, "minLength": 0}


def test_an_integer_is_taken_between_its_bounds_and_nothing_that_looks_like_one() -> None:
    shape = Whole(-1, 2)
    assert [value for value in range(-5, 6) if taken(shape, int, value)] == [-1, 0, 1, 2]
    assert taken(shape, int, 1.0)  # as the API server does, which stores 1
    for other in (True, 1.5, 3.0, 1e300, "1", None, Decimal(1)):
        assert not taken(shape, int, other)
    assert shape.allowed == "an integer from -1 to 2"
    assert schema(shape, int) == {"type": "integer", "format": "int32", "minimum": -1, "maximum": 2}
    assert schema(Whole(0, 2**31 - 1), int)["format"] == "int32"
    assert schema(Whole(0, 2**31), int)["format"] == "int64"


@pytest.mark.parametrize("above", [False, True])
def test_a_fraction_is_taken_between_its_bounds(above: bool) -> None:
    shape = Fraction("0.5", "2", above_low=above)
    assert taken(shape, Decimal, "0.5") == taken(shape, Decimal, Decimal("0.50")) == (not above)
    value: object
    for value in ("0.5000000000000001", "1", "2", "2.0", "20e-1", Decimal(1)):
        assert taken(shape, Decimal, value)
    for value in ("0.49", "2.000000000000001", "02", "1.", ".6", "+1", "-1", 1, 1.5, "1" + "0" * 31, Decimal("NaN")):
        assert not taken(shape, Decimal, value)
    assert shape.allowed == (
        'a decimal above "0.5" and at most "2", in quotes' if above else 'a decimal from "0.5" to "2", in quotes'
    )
    (rule,) = schema(shape, Decimal)["x-kubernetes-validations"]
    assert rule["rule"] == f"double(self) {'>' if above else '>='} 0.5 && double(self) <= 2.0"
    assert rule["message"] == f"must be {shape.allowed}"


def test_a_fraction_that_no_double_tells_from_a_shorter_one_is_the_shorter_one_as_to_cel() -> None:
    adapter = TypeAdapter(Annotated[Decimal, Fraction("0", "1")])
    assert [str(adapter.validate_python(text)) for text in ("1.00000000000000001", "0.70", "1e-5")] == [
        "1.0", "0.70", "0.00001",
    ]  # fmt: skip


def test_a_vertical_tab_is_no_blank_as_to_re2() -> None:
    assert taken(Text("a word", r"[^\s]+"), str, "a\vb")
    assert not taken(Text("a word", r"[^\s]+"), str, "a\fb")


def test_a_fraction_has_as_many_characters_as_the_api_server_takes() -> None:
    shape = Fraction("0", "1")
    longest = schema(shape, Decimal)["maxLength"]
    digits = "0." + "1" * 18 + "e-01"
    assert len(digits) < longest == 32
    assert taken(shape, Decimal, digits)
    assert re.fullmatch(schema(shape, Decimal)["pattern"], digits)
    assert not taken(shape, Decimal, "0." + "1" * 19)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=0, max_value=10**9))
def test_equal_decimals_have_one_text_that_reads_back(value: Decimal) -> None:
    text = plain(value)
    assert Decimal(text) == value
    assert re.fullmatch(r"[0-9]+(\.[0-9]*[1-9])?", text)
    assert plain(value.normalize()) == plain(value + Decimal("0.000000000000")) == text


@pytest.mark.parametrize("value", [0, 2**53 - 1, "4", "500m", ".5", "+2", "16Gi", "1e-3"])
def test_a_quantity_is_kept_as_text(value: object) -> None:
    assert TypeAdapter(Annotated[str, Quantity()]).validate_python(value) == str(value)


def test_a_quantity_that_is_a_whole_number_with_a_point_is_that_number() -> None:
    assert TypeAdapter(Annotated[str, Quantity()]).validate_python(4.0) == "4"


@pytest.mark.parametrize("value", [-1, 2**53, True, False, 0.5, "", "-1", "1 Gi", "Gi", "1e", "1e100", None])
def test_what_is_no_quantity_is_refused(value: object) -> None:
    assert not taken(Quantity(), str, value)


@given(st.lists(st.integers(0, 4), max_size=8))
def test_repetitions_are_named_once_in_order(values: list[int]) -> None:
    again = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    assert repetitions(values) == again
    adapter = TypeAdapter(Annotated[tuple[int, ...], Distinct()])
    assert adapter.json_schema()["x-kubernetes-list-type"] == "set"
    if again:
        with pytest.raises(ValidationError, match=re.escape(f"({', '.join(map(str, again))} is repeated)")):
            adapter.validate_python(values)
    else:
        assert adapter.validate_python(values) == tuple(values)


def test_a_path_is_written_as_people_write_it() -> None:
    assert path_text(("spec", "a-b", 0, "c_d", "e.f/g", "1x", "h")) == 'spec.a-b[0].c_d["e.f/g"]["1x"].h'
    assert path_text(()) == ""


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        (None, (), "nothing"),
        ({}, (), "an empty mapping"),
        ({"a": 1}, (), "a mapping"),
        ([], (), "a list of 0"),
        ((1, 2), (), "a list of 2"),
        (True, (), "true"),
        (0.5, (), "0.5"),
        ("hunter2", ("spec", "apiKeySecretRef", 0), "a text (not shown)"),
        ("hunter2", ("spec", "key"), '"hunter2"'),
        (7, ("spec", "secretRef"), "7"),
        ("https://me:hunter2@host/a@b", (), '"https://…@host/a@b"'),
        ("x" * 78, (), '"' + "x" * 78 + '"'),
        ("x" * 79, (), '"' + "x" * 78 + "…"),
        ("a\u202eb", (), '"a\ufffdb"'),
        ("a\nb", (), r'"a\nb"'),
    ],
)
def test_a_value_is_shown_short_and_without_secrets(value: object, path: tuple[str | int, ...], text: str) -> None:
    assert given_text(value, path) == text
