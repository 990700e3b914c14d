"""Objects read as the typed models of `kserve` and `kubernetes` (the extra `tiltyard[render]`).

Their own `deserialize` passes over fields that a model has not; here each of them is named, with its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import kserve.models
import kubernetes.client.models
from pydantic import ValidationError

from tiltyard.api import Problem
from tiltyard.api.fields import closest, did_you_mean
from tiltyard.api.problems import given_text, path_text

MODELS = {
    "ConfigMap": "V1ConfigMap",
    "Job": "V1Job",
    "InferenceService": "V1beta1InferenceService",
    "LocalModelNamespaceCache": "V1alpha1LocalModelNamespaceCache",
    "PersistentVolumeClaim": "V1PersistentVolumeClaim",
}
"""The model of each kind."""
PLAIN: Mapping[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "bytes": ((str,), "a text"),
    "datetime": ((str,), "a text"),
    "float": ((int, float), "a number"),
    "int": ((int,), "an integer"),
    "str": ((str,), "a text"),
}
"""Types that are no models, by the name that the generated code gives them: what they are in JSON, and in words."""

Path = tuple[str | int, ...]
WRONG = object()


class TypedModels:
    """Reads objects, and says what is wrong with them."""

    kinds = tuple(MODELS)
    """The kinds that have a model."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def problems(self, body: Mapping[str, Any]) -> Iterator[Problem]:
        """All that is wrong with an object; nothing where its kind has no model."""
        if (model := MODELS.get(body["kind"])) is None:
            return
        self._found = []
        self._read(model, body, ())
        for problem in self._found:
            place = f"{body['kind']} {body['metadata']['name']}: {problem.path}"
            yield Problem(place, problem.message)

    def _read(self, kind: str, data: Any, path: Path) -> Any:
        """A value of a type, as the generated code names it; WRONG where there is none.

        A name that stands for nothing is a type that the packages leave open (`object`, `IntOrString`, `Quantity`).
        """
        if kind[:5].lower() == "list[":
            return self._read_list(kind[5:-1], data, path)
        if kind[:5].lower() == "dict(" or kind[:5] == "Dict[":
            return self._read_mapping(kind[5:-1].partition(", ")[2], data, path)
        if kind in PLAIN:
            types, words = PLAIN[kind]
            if isinstance(data, types) and (kind == "bool" or not isinstance(data, bool)):
                return data
            return self._wrong(path, f"must be {words}, given {given_text(data, path)}")
        model = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind, None)
        return data if model is None else self._read_model(model, data, path)

    def _read_list(self, kind: str, data: Any, path: Path) -> Any:
        if not isinstance(data, list | tuple):
            return self._wrong(path, f"must be a list, given {given_text(data, path)}")
        return _all([self._read(kind, item, (*path, place)) for place, item in enumerate(data)])

    def _read_mapping(self, kind: str, data: Any, path: Path) -> Any:
        if not isinstance(data, Mapping):
            return self._wrong(path, f"must be a mapping, given {given_text(data, path)}")
        values = _all([self._read(kind, value, (*path, name)) for name, value in data.items()])
        return WRONG if values is WRONG else dict(zip(data, values, strict=True))

    def _read_model(self, model: Any, data: Any, path: Path) -> Any:
        if not isinstance(data, Mapping):
            return self._wrong(path, f"must be a mapping, given {given_text(data, path)}")
        names = {wire: name for name, wire in model.attribute_map.items()}
        for wire in data:
            if wire not in names:
                meant = did_you_mean(closest(wire, names))
                self._wrong((*path, wire), f"is not a field of {model.__name__}{meant}")
        values = {
            name: self._read(model.openapi_types[name], data[wire], (*path, wire))
            for wire, name in names.items()
            if data.get(wire) is not None
        }
        if _all([*values.values()]) is WRONG or not data.keys() <= names.keys():
            return WRONG
        try:
            return model(**values)
        except ValidationError as error:  # of kubernetes: a field that is required, a word that is not allowed
            for detail in error.errors(include_url=False):
                said = "is missing" if detail["type"] == "missing" else detail["msg"][:1].lower() + detail["msg"][1:]
                self._wrong((*path, *detail["loc"]), said)
            return WRONG
        except ValueError as error:  # of kserve, whose models are of an older kind
            return self._wrong(path, f"is not a valid {model.__name__}: {error}")

    def _wrong(self, path: Path, message: str) -> Any:
        self._found.append(Problem(path_text(path), message))
        return WRONG


def _all(values: list[Any]) -> Any:
    return WRONG if any(value is WRONG for value in values) else values
