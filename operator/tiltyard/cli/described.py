"""The fields of a model in words: `tiltyard explain`, and docs/manifest.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from tiltyard.api.base import ApiModel
from tiltyard.api.fields import listed
from tiltyard.api.shapes import Fraction, Opaque, Quantity, Text, Whole

Named = Callable[[type[ApiModel]], str]


def type_text(annotation: Any, metadata: Sequence[Any], named: Named) -> str:
    """What a field takes, in words.

    Args:
        annotation: its type.
        metadata: what stands beside the type.
        named: what a model is called.
    """
    shape = next((piece for piece in metadata if isinstance(piece, Text | Whole | Fraction | Quantity)), None)
    if shape is not None:
        return shape.allowed
    if any(isinstance(piece, Opaque) for piece in metadata):
        return "a mapping, passed on as it is"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(arguments[0], arguments[1:], named)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return type_text(inner, (), named)
    if origin is Literal:
        return listed((f"`{word}`" for word in arguments), "or")
    if origin is tuple:
        return f"list{_bounds(metadata)}: {type_text(arguments[0], (), named)}"
    if origin is dict:
        return f"mapping{_bounds(metadata)}: names to {type_text(arguments[1], (), named)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        assert issubclass(annotation, ApiModel)
        return named(annotation)
    return {"bool": "true or false", "AwareDatetime": "a time with its zone"}.get(annotation.__name__, "any value")


def default_text(field: FieldInfo) -> str:
    """A field's default, or `required`; empty where an absent field has no value."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None:
        return ""
    if isinstance(default, ApiModel):
        given = default.model_dump(mode="json", exclude_defaults=True)
        return f"`{json.dumps(given)}`" if given else "its defaults"
    return f"`{json.dumps(to_jsonable_python(default))}`"


def meaning(field: FieldInfo) -> str:
    """A field's text without its default, in one line."""
    return " ".join(re.sub(r"\s*Default:\s.*$", "", field.description or "", flags=re.DOTALL).split())


def _bounds(metadata: Sequence[Any]) -> str:
    least = next((piece.min_length for piece in metadata if isinstance(piece, MinLen)), 0)
    most = next((piece.max_length for piece in metadata if isinstance(piece, MaxLen)), None)
    if most is None:
        return ""
    return f" ({least} to {most})" if least else f" (at most {most})"
