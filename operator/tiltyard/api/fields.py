"""Looking along a path through the models: which field is meant, and what it allows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from tiltyard.api.base import ApiModel
from tiltyard.api.problems import Problem, path_text, printable
from tiltyard.api.shapes import Elsewhere, Fraction, Quantity, Text, Whole

Path = tuple[str | int, ...]


def wire_fields(model: type[ApiModel]) -> dict[str, FieldInfo]:
    """A model's fields by their names on the wire."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_in(annotation: Any) -> type[ApiModel] | None:
    """The model inside an annotation such as `Model | None` or `Annotated[tuple[Model, ...], …]`."""
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := model_in(inner)) is not None), None)


def model_at(root: type[ApiModel], path: Path) -> type[ApiModel] | None:
    """The model that stands at a path; None inside of values that are no models."""
    model: type[ApiModel] | None = root
    for step in path:
        if model is None:
            return None
        if isinstance(step, int):
            continue
        field = wire_fields(model).get(step)
        model = model_in(field.annotation) if field is not None else None
    return model


def field_at(root: type[ApiModel], path: Path) -> FieldInfo | None:
    """The field that a path ends in; None for an item of a list or an entry of a mapping."""
    if not path or isinstance(path[-1], int):
        return None
    model = model_at(root, path[:-1])
    return wire_fields(model).get(path[-1]) if model is not None else None


def optional_part(root: type[ApiModel], path: Path) -> Path | None:
    """The longest beginning of a path that ends in a field which may be left out; None where all are required."""
    for length in range(len(path), 0, -1):
        field = field_at(root, path[:length])
        if field is not None and not field.is_required():
            return path[:length]
    return None


def walk(model: ApiModel, path: Path = ()) -> Iterator[tuple[Path, ApiModel]]:
    """A model and all models in it, each with its path."""
    yield path, model
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        here = (*path, field.alias or name)
        if isinstance(value, ApiModel):
            yield from walk(value, here)
        elif isinstance(value, tuple):
            for position, item in enumerate(value):
                if isinstance(item, ApiModel):
                    yield from walk(item, (*here, position))


class BrokenRule(NamedTuple):
    """A rule that does not hold: the path of the model that has it, the path of the place, and the sentence."""

    owner: Path
    place: Path
    problem: Problem


def broken_rules(root: ApiModel, *, cluster: bool = False) -> Iterator[BrokenRule]:
    """The rules that a model and the models in it break.

    Args:
        root: where paths begin.
        cluster: look at the rules that hold on a cluster only, instead of those that always hold.
    """
    for path, model in walk(root):
        for rule in model.CLUSTER_RULES if cluster else model.RULES:
            for violation in rule.check(model):
                place = (*path, *violation.path)
                sentence = f"{rule.sentence}, given {printable(violation.given)}"
                yield BrokenRule(path, place, Problem(path_text(place), sentence))


def allowed_in(field: FieldInfo) -> str | None:
    """What a field takes, to complete "must be …"; None where its type has no words for it."""
    shapes = [piece for piece in _pieces(field) if isinstance(piece, Text | Whole | Fraction | Quantity)]
    if shapes:
        return shapes[0].allowed
    model = model_in(field.annotation)
    if model is not None:
        mapping = f"a mapping with {listed(wire_fields(model))}"
        return f"a list, each item {mapping}" if get_origin(field.annotation) is tuple else mapping
    return listed(words_in(field.annotation), "or") or None


def elsewhere(field: FieldInfo) -> str | None:
    """Where a value belongs that the field does not take; None where nothing is known of it."""
    return next((piece.sentence for piece in _pieces(field) if isinstance(piece, Elsewhere)), None)


def words_in(annotation: Any) -> list[str]:
    """The words that a `Literal` inside an annotation takes."""
    if isinstance(annotation, str):
        return [annotation]
    return [word for inner in get_args(annotation) for word in words_in(inner)]


def _pieces(field: FieldInfo) -> list[Any]:
    return [*field.metadata, *(inner for argument in get_args(field.annotation) for inner in get_args(argument))]


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is probably meant; None where none is close."""
    folded = {_folded(candidate): candidate for candidate in known}
    close = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def meant_field(root: type[ApiModel], path: Path) -> str | None:
    """The field that is probably meant by the unknown one at the end of a path."""
    model = model_at(root, path[:-1])
    return closest(str(path[-1]), wire_fields(model)) if model is not None else None


def did_you_mean(name: str | None) -> str:
    """`, did you mean "…"`; nothing for None."""
    return f', did you mean "{name}"' if name is not None else ""


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()[:64]


def listed(names: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    words: Sequence[str] = list(names)
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)
