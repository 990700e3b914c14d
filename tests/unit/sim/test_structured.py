"""Whatever schema is accepted is satisfied; the jsonschema package decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.sim.structured import UnsupportedSchemaError, instance_of


def bounded(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.tuples(st.integers(-50, 50), st.integers(0, 50))
    return bounds.map(lambda pair: {"type": kind, "minimum": pair[0], "maximum": pair[0] + pair[1]})


LEAVES = st.one_of(
    bounded("integer"),
    bounded("number"),
    st.tuples(st.integers(0, 5), st.integers(0, 9)).map(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[0] + pair[1]}
    ),
    st.lists(st.one_of(st.text(max_size=3), st.integers()), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": "x"}, {"type": ["string", "null"]}, {}]),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["winner", "grade", "reason", "a", "b"]), inner, max_size=4).map(
            lambda members: {
                "type": "object",
                "properties": members,
                "required": list(members),
                "additionalProperties": False,
            }
        ),
        inner.map(lambda item: {"type": "array", "items": item, "minItems": 2, "maxItems": 3}),
        inner.map(lambda item: {"anyOf": [item, {"type": "null"}]}),
    ),
    max_leaves=8,
)
SUGGESTIONS = st.one_of(
    st.none(), st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)


@settings(deadline=None)
@given(SCHEMAS, SUGGESTIONS)
def test_an_instance_satisfies_its_schema(schema: Mapping[str, Any], suggestion: object) -> None:
    jsonschema.validate(instance_of(schema, lambda name, member: suggestion), schema)


def test_suggestions_are_taken_where_they_fit() -> None:
    schema = {
        "type": "object",
        "properties": {"winner": {"enum": ["1", "2", "T"]}, "grade": {"$ref": "#/$defs/grade"}},
        "required": ["winner", "grade", "note"],
        "$defs": {"grade": {"type": "integer", "minimum": 1, "maximum": 10}},
    }
    wanted = {"winner": "T", "grade": 14}
    assert instance_of(schema, lambda name, member: wanted.get(name)) == {"note": "", "winner": "T", "grade": 10}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "pattern": "^a"}, "'pattern'"),
        ({"$ref": "#"}, "nests without end"),
        ({"$ref": "#/nowhere"}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "nests without end"),
        ({"enum": []}, "must not be empty"),
        ({"type": "tuple"}, "'tuple' is not known"),
        ({"type": "object", "properties": {"a": 1}}, "must be an object"),
    ],
)
def test_a_schema_that_cannot_be_met_is_refused(schema: Mapping[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedSchemaError, match="(?s)" + words.replace("$", r"\$")):
        instance_of(schema, lambda name, member: None)
