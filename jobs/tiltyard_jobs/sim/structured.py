"""An instance of a JSON schema, with members that the expert has something to say about filled by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Suggest = Callable[[str, Mapping[str, Any]], object]
"""From a member's name and schema to a value for it, which may not fit; None: nothing to say."""

_DEEPEST = 24
_LONGEST_ARRAY = 64
_UNSUPPORTED = ("pattern", "not", "if", "allOf", "patternProperties", "dependentRequired", "multipleOf", "contains")


class UnsupportedSchemaError(ValueError):
    """The schema uses what this generator cannot satisfy; the message says what."""


def instance_of(schema: Mapping[str, Any], suggest: Suggest) -> Any:
    """A value that satisfies `schema`: suggested values where they fit, plain ones elsewhere.

    Known are type (one or several), enum, const, properties, required, items, minItems, minimum, maximum and their
    exclusive forms, minLength, maxLength, anyOf, oneOf and local `$ref`. All declared members are written, in order.

    Raises:
        UnsupportedSchemaError: a keyword that is not known, a reference that leads nowhere, or endless nesting.
    """
    return _fill(schema, "", suggest, schema, 0)


def _fill(schema: Any, name: str, suggest: Suggest, root: Mapping[str, Any], depth: int) -> Any:
    schema = _followed({} if schema is True else schema, root)
    if depth > _DEEPEST:
        raise UnsupportedSchemaError("the schema nests without end")
    if "const" in schema:
        return schema["const"]
    wanted = suggest(name, schema)
    if "enum" in schema:
        if not schema["enum"]:
            raise UnsupportedSchemaError("an enum must not be empty")
        return wanted if wanted in schema["enum"] else schema["enum"][0]
    match _type_of(schema):
        case "object":
            members = schema.get("properties", {})
            filled = {key: _fill(member, key, suggest, root, depth + 1) for key, member in members.items()}
            return dict.fromkeys(schema.get("required", ()), "") | filled
        case "array":
            length = min(max(1, schema.get("minItems", 1)), schema.get("maxItems", _LONGEST_ARRAY), _LONGEST_ARRAY)
            return [_fill(schema.get("items", {}), name, suggest, root, depth + 1) for _ in range(length)]
        case "string":
            return _text(wanted, schema)
        case "integer" | "number" as kind:
            return _number(wanted, schema, whole=kind == "integer")
        case "boolean":
            return wanted if isinstance(wanted, bool) else True
        case "null":
            return None
        case other:
            raise UnsupportedSchemaError(f"the type {other!r} is not known")


def _followed(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that is meant: references followed, the first of alternatives taken."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            raise UnsupportedSchemaError("a schema must be an object")
        for keyword in _UNSUPPORTED:
            if keyword in schema:
                raise UnsupportedSchemaError(f"the keyword {keyword!r} is not supported")
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if "$ref" in schema:
            schema = _resolve(schema["$ref"], root)
        elif alternatives:
            schema = alternatives[0]
        else:
            return schema
    raise UnsupportedSchemaError("the schema nests without end")


def _type_of(schema: Mapping[str, Any]) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return kind


def _resolve(reference: object, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for part in filter(None, str(reference).removeprefix("#").split("/")):
        if not isinstance(node, Mapping) or part not in node:
            raise UnsupportedSchemaError(f"the reference {reference!r} leads nowhere")
        node = node[part]
    return node


def _text(wanted: object, schema: Mapping[str, Any]) -> str:
    text = wanted if isinstance(wanted, str) else "" if wanted is None else str(wanted)
    text = text[: schema.get("maxLength")]
    return text.ljust(schema.get("minLength", 0), ".")


def _number(wanted: object, schema: Mapping[str, Any], *, whole: bool) -> float:
    step = 1 if whole else 1e-6
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
    value: float = wanted if isinstance(wanted, int | float) and not isinstance(wanted, bool) else low or 0
    if low is not None:
        value = max(low, value)
    if high is not None:
        value = min(high, value)
    return round(value) if whole else value
