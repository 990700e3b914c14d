"""From pydantic's JSON schema to the structural schema that a CustomResourceDefinition takes.

A structural schema has a type at every node and no references or unions; see "Specifying a structural schema" in
Kubernetes' documentation of custom resources.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from tiltyard.api.shapes import plain

Schema = dict[str, Any]

_REQUIRED_MARK = "x-tiltyard-required"
# Words of JSON Schema that a structural schema has no place for; here each is only an echo of what stays.
_DROPPED = ("title", "uniqueItems", "propertyNames", "$defs", _REQUIRED_MARK)
_FIRST = ("description", "type", "format", "default", "enum", "required", "properties", "items")
_LONGEST_TIME = 64
_EXPONENT = re.compile(r"-?[0-9.]+[eE][-+]?[0-9]+")
_RULES = "x-kubernetes-validations"


def structural(schema: Schema) -> Schema:
    """Convert a whole schema, its `$defs` put in their places.

    Raises:
        ValueError: the schema holds what a structural one cannot say, a union for instance.
    """
    return _node(schema, schema.get("$defs", {}))


def _node(node: Schema, definitions: dict[str, Schema]) -> Schema:
    node = _without_null(_inlined(node, definitions), definitions)
    result = _respelt({key: value for key, value in node.items() if key not in _DROPPED})
    if "properties" in result:
        _convert_object(result, definitions)
    elif isinstance(result.get("additionalProperties"), dict):
        result["additionalProperties"] = _node(result["additionalProperties"], definitions)
    if "items" in result:
        result["items"] = _node(result["items"], definitions)
        if "description" in result:
            result["items"].pop("description", None)  # the list's own says it
    if "type" not in result and "x-kubernetes-int-or-string" not in result:
        raise ValueError(f"a structural schema has a type at every node, given {sorted(result)}")
    return {key: result[key] for key in sorted(result, key=_reading_order)}


def _reading_order(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)


def _inlined(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """What a reference names, under the words that stand beside the reference."""
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].removeprefix("#/$defs/")]
    return target | {key: value for key, value in node.items() if key != "$ref"}


def _without_null(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """`anyOf: [X, null]` as X.

    Not as `nullable`: the API server takes a null out of a field that is not nullable, so that null and absent are one,
    and `has()` in a rule is right; of a nullable field `has()` is true for a null.
    """
    if "anyOf" not in node:
        return node
    options = [option for option in node["anyOf"] if option != {"type": "null"}]
    if len(options) != 1:
        raise ValueError(f"a structural schema has no unions, given {len(options)} types in one field")
    beside = {key: value for key, value in node.items() if key != "anyOf" and (key, value) != ("default", None)}
    return _inlined(options[0], definitions) | beside


def _respelt(node: Schema) -> Schema:
    """A node in the words of OpenAPI 3.0 and Kubernetes."""
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if node.get("format") == "date-time":
        node["maxLength"] = _LONGEST_TIME
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if word in node:  # JSON Schema's number, OpenAPI's boolean
            node[bound], node[word] = node[word], True
    if "patternProperties" in node:  # a mapping whose keys have a pattern: the loader alone checks keys
        (node["additionalProperties"],) = node.pop("patternProperties").values()
    return node


def _convert_object(node: Schema, definitions: dict[str, Schema]) -> None:
    node.pop("additionalProperties", None)  # unknown fields are pruned, and `kubectl` warns of them
    originals = node["properties"]
    node["properties"] = {name: _node(original, definitions) for name, original in originals.items()}
    required = {*node.get("required", ()), *(name for name, field in originals.items() if field.get(_REQUIRED_MARK))}
    if required:
        node["required"] = sorted(required)
    for field in node["properties"].values():
        if "default" in field:
            field["default"] = _plain_default(field["default"])
            _shorten_default(field)


def _plain_default(default: Any) -> Any:
    """A default without exponents: pydantic writes a small decimal as 3E-7, which YAML reads as a number."""
    if isinstance(default, dict):
        return {name: _plain_default(value) for name, value in default.items()}
    return plain(Decimal(default)) if isinstance(default, str) and _EXPONENT.fullmatch(default) else default


def _shorten_default(field: Schema) -> None:
    """Leave out of a default what the field's own fields default to, and empty defaults altogether.

    An absent object or list that is empty by default means the same, and stored objects stay free of them. An object
    with rules keeps more: the API server tries the rules on its default before it fills in the defaults below.
    """
    if "properties" in field:
        field["default"] = _difference(field["default"], field)
    has_inner_defaults = any("default" in inner for inner in field.get("properties", {}).values())
    if field["default"] in ({}, []) and not has_inner_defaults:
        del field["default"]


def _difference(default: Schema, field: Schema) -> Schema:
    result = {}
    for name, value in default.items():
        inner = field["properties"][name]
        rest = _difference(value, inner) if "properties" in inner and value is not None else value
        if rest is not None and rest not in ({}, []) and (_RULES in field or rest != inner.get("default")):
            result[name] = rest
    return result
