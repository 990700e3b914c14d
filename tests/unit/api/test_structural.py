from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from tiltyard.api.structural import structural


class Inner(BaseModel):
    """What stands inside."""

    word: Literal["a"] = "a"
    number: int = Field(default=1, gt=0, lt=9)


class Outer(BaseModel):
    first: Inner = Inner()
    second: Inner = Inner(number=2)
    third: Inner | None = Field(default=None, description="The\n   third.")
    names: set[str] = Field(default_factory=set)
    counts: dict[str, int] = {}


def test_references_nulls_constants_and_bounds_become_structural() -> None:
    properties = structural(Outer.model_json_schema())["properties"]
    number = {
        "type": "integer",
        "default": 1,
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 9,
        "exclusiveMaximum": True,
    }
    inner = {"word": {"type": "string", "default": "a", "enum": ["a"]}, "number": number}
    says = "What stands inside."
    assert properties["first"] == {"description": says, "type": "object", "default": {}, "properties": inner}
    assert properties["second"] == {
        "description": says,
        "type": "object",
        "default": {"number": 2},
        "properties": inner,
    }
    assert properties["third"] == {"description": "The third.", "type": "object", "properties": inner}
    assert properties["names"] == {"type": "array", "items": {"type": "string"}}
    assert properties["counts"] == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_an_object_with_rules_keeps_its_whole_default() -> None:
    schema = Outer.model_json_schema()
    schema["$defs"]["Inner"]["x-kubernetes-validations"] = [{"rule": "self.word == 'a'", "message": "a"}]
    assert structural(schema)["properties"]["first"]["default"] == {"word": "a", "number": 1}


def test_what_a_structural_schema_cannot_say_is_refused() -> None:
    class Union(BaseModel):
        either: int | str

    class Anything(BaseModel):
        whatever: object

    with pytest.raises(ValueError, match="no unions"):
        structural(Union.model_json_schema())
    with pytest.raises(ValueError, match="a type at every node"):
        structural(Anything.model_json_schema())
