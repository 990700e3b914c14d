"""`tiltyard explain`: what a field of the manifest means, as `kubectl explain`."""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import get_origin

from pydantic.fields import FieldInfo

from tiltyard.api.base import ApiModel
from tiltyard.api.fields import closest, did_you_mean, field_at, listed, model_at, wire_fields
from tiltyard.api.problems import path_text
from tiltyard.api.spec import TournamentSpec
from tiltyard.api.tournament import API_VERSION, KIND, Tournament
from tiltyard.cli.described import default_text, meaning, type_text
from tiltyard.sdk.errors import UserError

_STEP = 2


def explain(options: argparse.Namespace) -> int:
    """Print what a field means, and what is below it."""
    print("\n".join(lines(options.path, recursive=options.recursive, width=shutil.get_terminal_size().columns)))
    return 0


def lines(path: str, *, recursive: bool = False, width: int = 80) -> Iterator[str]:
    """The explanation of a field.

    Args:
        path: such as `spec.battles.verdict` or `spec.competitors[0].name`; empty for the whole Tournament.
        recursive: all fields below, without their texts.
        width: of a line.

    Raises:
        UserError: there is no such field.
    """
    steps = _steps(path)
    field, model = field_at(Tournament, steps), model_at(Tournament, steps)
    yield f"KIND:     {KIND}"
    yield f"VERSION:  {API_VERSION}"
    if field is not None:
        yield f"FIELD:    {path_text(steps)} <{_type(field)}>{_default(steps[-1], field)}"
    texts = [] if field is None else [meaning(field)]
    if model is not None:
        texts += inspect.cleandoc(model.__doc__ or "").split("\n\n")
    yield "\nDESCRIPTION:"
    for text in dict.fromkeys(filter(None, texts)):
        yield _wrapped(text, _STEP, width)
    if model is None:
        return
    for title, rules in (("RULES", model.RULES), ("RULES ON A CLUSTER", model.CLUSTER_RULES)):
        if rules:
            yield f"\n{title}:"
            for rule in rules:
                yield _wrapped(f"{(rule.field_path or '')[1:]}: {rule.sentence}".removeprefix(": "), _STEP, width)
    yield "\nFIELDS:"
    yield from _tree(model, _STEP) if recursive else _fields(model, width)


def _steps(path: str) -> tuple[str, ...]:
    """The fields of a path; where something in it is no field, what is meant instead."""
    names = [name for name in re.sub(r"\[\d*\]", "", path).split(".") if name]
    if names and names[0].lower() == KIND.lower():
        names = names[1:]
    for length, name in enumerate(names):
        model = model_at(Tournament, tuple(names[:length]))
        owner = path_text(names[:length]) or KIND
        if model is None:
            raise UserError(f"{path}: {owner} has no fields")
        known = wire_fields(model)
        if name not in known:
            of_spec = not length and name in wire_fields(TournamentSpec)
            meant = did_you_mean(f"spec.{name}" if of_spec else closest(name, known))
            raise UserError(f"{path}: {name} is not a field of {owner}{meant}; allowed: {listed(known)}")
    return tuple(names)


def _fields(model: type[ApiModel], width: int) -> Iterator[str]:
    for name, field in wire_fields(model).items():
        yield f"{' ' * _STEP}{name} <{_type(field)}>{_default(name, field)}"
        yield _wrapped(meaning(field), 2 * _STEP, width)


def _tree(model: type[ApiModel], indent: int) -> Iterator[str]:
    for name, field in wire_fields(model).items():
        yield f"{' ' * indent}{name} <{_type(field)}>"
        inner = model_at(model, (name,))
        if inner is not None:
            yield from _tree(inner, indent + _STEP)


def _type(field: FieldInfo) -> str:
    inner = type_text(field.annotation, field.metadata, lambda model: "mapping").replace("`", "")
    return inner if get_origin(field.annotation) is not tuple else inner.replace(": ", " of: ", 1)


def _default(name: str, field: FieldInfo) -> str:
    # Everyone who reads a manifest tells by these what it is, so they are never taken for granted.
    text = "required" if name in ("apiVersion", "kind") else default_text(field).replace("`", "")
    return " (required)" if text == "required" else f" (default: {text})" if text else ""


def _wrapped(text: str, indent: int, width: int) -> str:
    space = " " * indent
    return textwrap.fill(
        " ".join(text.split()),
        max(40, width),
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )
