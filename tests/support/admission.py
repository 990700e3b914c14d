"""What an API server does with a custom resource, as far as it can be done without one.

Nulls taken out, defaults filled in, then the schema, list types and CEL rules of a CustomResourceDefinition. The CEL is
evaluated by `common-expression-language`; cost limits and type checks are the API server's alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import cel
from jsonschema import Draft202012Validator

from tiltyard.api import parse_quantity

Schema = dict[str, Any]

# Kubernetes' own functions: a quantity stays text here, since CEL's numbers are too small for some.
_QUANTITIES: dict[str, Callable[..., Any]] = {
    "quantity": str,
    "compareTo": lambda one, other: int(parse_quantity(one).compare(parse_quantity(other))),
}


class Admission:
    """Admits or refuses objects by one CRD."""

    def __init__(self, crd: dict[str, Any]) -> None:
        (version,) = crd["spec"]["versions"]
        self.schema: Schema = version["schema"]["openAPIV3Schema"]
        self._validator = Draft202012Validator(_without_openapi_words(self.schema))
        self._programs: dict[str, Any] = {}

    def defaulted(self, document: Any) -> Any:
        """The object as it would be stored: without nulls and unknown fields, with defaults."""
        document = copy.deepcopy(document)
        _prune(document, self.schema)
        _default(document, self.schema)
        return document

    def unknown_fields(self, document: Any) -> list[str]:
        """Paths of the fields that the API server would prune (and `kubectl` refuse)."""
        return list(_unknown(document, self.schema, ""))

    def refusals(self, document: Any) -> list[str]:
        """Why the object is refused; rules in their own sentences. Rules are tried only where the schema holds."""
        document = self.defaulted(document)
        errors = [f"{error.json_path}: {error.message}" for error in self._validator.iter_errors(document)]
        errors += _repetitions(document, self.schema, "")
        return errors or list(self._broken_rules(document, self.schema))

    def _broken_rules(self, value: Any, schema: Schema) -> Iterator[str]:
        for item in schema.get("x-kubernetes-validations", ()):
            if not self._holds(item["rule"], value):
                yield item["message"]
        for inner, inner_schema in _children(value, schema):
            yield from self._broken_rules(inner, inner_schema)

    def _holds(self, rule: str, value: Any) -> bool:
        if rule not in self._programs:
            self._programs[rule] = cel.compile(rule)
        context = cel.Context({"self": value}, _QUANTITIES)
        return self._programs[rule].execute(context) is True


def _children(value: Any, schema: Schema) -> Iterator[tuple[Any, Schema]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                yield inner, schema["properties"][name]
            elif isinstance(schema.get("additionalProperties"), dict):
                yield inner, schema["additionalProperties"]
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            yield inner, schema["items"]


def _prune(value: Any, schema: Schema) -> None:
    if isinstance(value, dict) and ("properties" in schema or "additionalProperties" in schema):
        known = schema.get("properties", value)
        for name in [name for name, inner in value.items() if inner is None or name not in known]:
            del value[name]
    for inner, inner_schema in _children(value, schema):
        _prune(inner, inner_schema)


def _default(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name, inner_schema in schema.get("properties", {}).items():
            if name not in value and "default" in inner_schema:
                value[name] = copy.deepcopy(inner_schema["default"])
    for inner, inner_schema in _children(value, schema):
        _default(inner, inner_schema)


def _unknown(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name}"
            else:
                yield from _unknown(inner, schema["properties"][name], f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for position, inner in enumerate(value):
            yield from _unknown(inner, schema["items"], f"{path}[{position}]")


def _repetitions(value: Any, schema: Schema, path: str) -> list[str]:
    found = []
    if isinstance(value, list) and "x-kubernetes-list-type" in schema:
        keys = schema.get("x-kubernetes-list-map-keys")
        seen = [
            json.dumps([item.get(key) for key in keys] if keys and isinstance(item, dict) else item) for item in value
        ]
        if len(set(seen)) < len(seen):
            found.append(f"{path}: a value is there twice")
    for inner, inner_schema in _children(value, schema):
        found += _repetitions(inner, inner_schema, path)
    return found


def _without_openapi_words(schema: Any) -> Any:
    """The schema for a JSON Schema validator: an integer or a string instead of Kubernetes' own word."""
    if isinstance(schema, list):
        return [_without_openapi_words(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _without_openapi_words(value) for key, value in schema.items()}
    if plain.pop("x-kubernetes-int-or-string", False) is True:
        plain["type"] = ["integer", "string"]
    return plain
