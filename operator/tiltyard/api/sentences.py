"""From pydantic's errors to sentences for people."""

from __future__ import annotations

from typing import Any

from pydantic_core import ErrorDetails

from tiltyard.api.base import ApiModel
from tiltyard.api.fields import (
    Path,
    allowed_in,
    closest,
    did_you_mean,
    elsewhere,
    field_at,
    listed,
    meant_field,
    model_at,
    wire_fields,
    words_in,
)
from tiltyard.api.problems import Problem, as_yaml_reads, given_text, path_text


def to_problem(root: type[ApiModel], error: ErrorDetails) -> Problem:
    """One error of pydantic's as a problem.

    Args:
        root: the model that was validated.
        error: what pydantic says of it.
    """
    path: Path = error["loc"]
    if path and path[-1] == "[key]":  # a mapping's key, which pydantic puts before this mark
        path = path[:-1]
    return Problem(path_text(path), _message(root, path, error))


def _message(root: type[ApiModel], path: Path, error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return _missing(root, path)
        case "extra_forbidden":
            return _unknown(root, path)
        case "literal_error":
            return _unknown_word(root, path, error["input"])
        case "too_short" | "too_long":
            return _length(context, error["type"] == "too_short")
        case "shape":
            given = given_text(error["input"], path)
            return f"{context['allowed']}, given {given}{_in_quotes(error['input']) if context['text'] else ''}"
    allowed = _type_words(root, path, error)
    return f"must be {allowed}, given {given_text(error['input'], path)}{as_yaml_reads(error['input'])}"


def _in_quotes(value: object) -> str:
    """What to do where YAML has read a text as something else; nothing where it has not."""
    if isinstance(value, bool):
        return f"{as_yaml_reads(value)}: write the text in quotes"
    return ", a number: write the text in quotes" if isinstance(value, int | float) else ""


def _missing(root: type[ApiModel], path: Path) -> str:
    field = field_at(root, path)
    allowed = allowed_in(field) if field is not None else None
    return f"is missing; must be {allowed}" if allowed else "is missing"


def _unknown(root: type[ApiModel], path: Path) -> str:
    model = model_at(root, path[:-1])
    known = sorted(wire_fields(model)) if model is not None else []
    return f"is not a field here{did_you_mean(meant_field(root, path))}; allowed: {listed(known)}"


def _length(context: dict[str, Any], short: bool) -> str:
    bound = context["min_length" if short else "max_length"]
    items = "item" if bound == 1 else "items"
    return f"must have at {'least' if short else 'most'} {bound} {items}, given {context['actual_length']}"


def _unknown_word(root: type[ApiModel], path: Path, given: object) -> str:
    named = tuple(step for step in path if not isinstance(step, int))  # a list's field speaks for its items
    field = field_at(root, named) if named else None
    words = words_in(field.annotation) if field is not None else []
    meant = closest(given, words) if isinstance(given, str) else None
    other = elsewhere(field) if field is not None and meant is None else None
    ending = f"; {other}" if other else did_you_mean(meant)
    return f"must be {listed(words, 'or')}, given {given_text(given, path)}{as_yaml_reads(given)}{ending}"


def _type_words(root: type[ApiModel], path: Path, error: ErrorDetails) -> str:
    match error["type"]:
        case "bool_type":
            return "true or false"
        case "tuple_type":
            return "a list"
        case "dict_type":
            return "a mapping"
        case "model_type" | "model_attributes_type":
            model = model_at(root, path)
            return f"a mapping with {listed(wire_fields(model))}" if model is not None else "a mapping"
    return error["msg"][:1].lower() + error["msg"][1:]
