"""Rules across fields: one sentence, one check in Python and, where the CRD can carry it, the same in CEL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

ModelT = TypeVar("ModelT")


class Violation(NamedTuple):
    """Where a rule is broken, relative to the model that has the rule, and what stands there."""

    path: tuple[str | int, ...]
    given: str


@dataclass(frozen=True)
class Rule(Generic[ModelT]):
    """What must hold between the fields of one model.

    Attributes:
        sentence: what is allowed, for people; the API server and the Python loader print this same text.
        check: yields one violation for each place that breaks the rule; nothing when it holds. It reads a model whose
            other rules may be broken.
        cel: the same over `self`; None where CEL cannot say it. It may be weaker than `check`, never stronger.
        field_path: the field that the API server names, as a path below the model: `.judges`.
    """

    sentence: str
    check: Callable[[ModelT], Iterable[Violation]]
    cel: str | None = None
    field_path: str | None = None

    def to_validation(self) -> dict[str, Any] | None:
        """The item of `x-kubernetes-validations`; None for a rule that only Python checks."""
        if self.cel is None:
            return None
        item = {"rule": self.cel, "message": self.sentence}
        if self.field_path is not None:
            item["fieldPath"] = self.field_path
        return item


def repeated(field: str, key: str, names: Iterable[object]) -> Iterator[Violation]:
    """Where a name in a list stands again; None is no name.

    Args:
        field: the list.
        key: the field of an item that names it.
        names: of the items, in order.
    """
    seen: set[object] = set()
    for position, name in enumerate(names):
        if name is not None and name in seen:
            yield Violation((field, position, key), f'"{name}" twice')
        seen.add(name)


class HasUri(Protocol):
    """A model with a `uri` field."""

    @property
    def uri(self) -> str:
        """Where something is."""
        ...


def _file_uri(model: HasUri) -> Iterator[Violation]:
    if model.uri.startswith("file://") or "://" not in model.uri:
        yield Violation(("uri",), f'"{model.uri}"')


def no_file_uri(sentence: str) -> Rule[HasUri]:
    """A cluster's rule: its pods do not see the files of the machine where the manifest was written."""
    return Rule(
        sentence, _file_uri, cel="self.uri.contains('://') && !self.uri.startsWith('file://')", field_path=".uri"
    )
