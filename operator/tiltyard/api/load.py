"""From a file, a text or an object of the cluster to a valid Tournament, or to all that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tiltyard.api.base import RulesDeferred
from tiltyard.api.fields import BrokenRule, Path, broken_rules, field_at, meant_field, optional_part
from tiltyard.api.prices import Prices
from tiltyard.api.problems import ManifestError, Problem, given_text, path_text
from tiltyard.api.sentences import to_problem
from tiltyard.api.tournament import API_VERSION, KIND, Tournament
from tiltyard.api.yamlfile import decode, parse_yaml, read_text

_MAX_PROBLEMS = 100
_GONE = object()


def load_tournament(manifest: FilePath | str | bytes, *, strict: bool = True, source: str = "") -> Tournament:
    """Load a manifest.

    Args:
        manifest: a `Path` is read; a `str`, or `bytes` in UTF-8, is the YAML (or JSON) itself.
        strict: refuse fields that the API does not know. False: leave them out, as a cluster does.
        source: what messages call a text; a file has its name.

    Raises:
        ManifestError: all that is wrong with it, at once.
    """
    if isinstance(manifest, FilePath):
        return _tournament(parse_yaml(read_text(manifest), str(manifest)), str(manifest), strict)
    text = decode(manifest, source) if isinstance(manifest, bytes) else manifest
    return _tournament(parse_yaml(text, source), source, strict)


def tournament_from_object(document: Mapping[str, Any]) -> Tournament:
    """A Tournament as read from a cluster: fields that this version does not know are left out.

    What the API server has accepted in its metadata, whoever has put it there, is no mistake of the manifest.

    Raises:
        ManifestError: all that is wrong with it (an object can be older than the CRD's rules).
    """
    return _tournament(_without_nulls(document), "", strict=False, overlooked=("metadata", "status"))


def load_prices(tournament: Tournament, document: Any) -> tuple[Prices | None, list[Problem]]:
    """Prices that stand alone, for a tournament, in a document of plain JSON values; or all that is wrong with them."""
    try:
        prices = Prices.model_validate_json(
            json.dumps(document), extra="forbid", context=RulesDeferred(), by_alias=True, by_name=False
        )
    except ValidationError as error:
        return None, [to_problem(Prices, detail) for detail in error.errors(include_url=False)]
    priced = tournament.model_copy(update={"spec": tournament.spec.model_copy(update={"prices": prices})})
    broken = (one for one in broken_rules(priced) if one.place[:2] == ("spec", "prices"))
    return prices, [Problem(path_text(one.place[2:]), one.problem.message) for one in broken]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list | tuple) else value


def _tournament(document: Any, source: str, strict: bool, overlooked: Collection[str] = ("status",)) -> Tournament:
    """The tournament in a document of plain JSON values, which is used up.

    Fields with a mistake fall back to their defaults once the mistake is noted, so that the rules across fields are
    judged in the same run; a rule that such a field touches waits for the next. In the sections that are `overlooked`
    wrong values are left out and not noted: a cluster does not read `status` in a manifest, apart from names.
    """
    if problems := list(_wrong_kind(document)):
        raise ManifestError(source, problems)
    found: dict[Problem, None] = {}
    mended: list[Path] = []
    tournament = None
    while tournament is None:
        try:
            tournament = Tournament.model_validate_json(
                json.dumps(document),
                extra="forbid" if strict else "ignore",
                context=RulesDeferred(),
                by_alias=True,
                by_name=False,
            )
        except ValidationError as error:
            details = _primary(error.errors(include_url=False))
            wrong = (detail for detail in details if not _is_value_in(overlooked, detail))
            found.update(dict.fromkeys(to_problem(Tournament, detail) for detail in wrong))
            parts = [_part_to_remove(detail) for detail in details]
            removed = [part for part in parts if part is not None and _remove(document, part)]
            if None in parts or not removed:
                raise _error(source, found) from None
            mended += map(_meant, removed)
    broken = broken_rules(tournament)
    found.update(dict.fromkeys(b.problem for b in broken if not any(_doubtful(b, part) for part in mended)))
    if found:
        raise _error(source, found)
    return tournament


def _error(source: str, found: Collection[Problem]) -> ManifestError:
    problems = list(found)
    if len(problems) > _MAX_PROBLEMS:
        more = Problem("", f"has {len(problems) - _MAX_PROBLEMS} more problems like these")
        problems = [*problems[:_MAX_PROBLEMS], more]
    return ManifestError(source, problems)


def _primary(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are too short only because pydantic did not count their wrong items."""
    wrong = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or error["loc"] not in wrong]


def _is_value_in(sections: Collection[str], error: ErrorDetails) -> bool:
    return error["type"] != "extra_forbidden" and any(error["loc"][:1] == (section,) for section in sections)


def _part_to_remove(error: ErrorDetails) -> Path | None:
    if _is_value_in(("status",), error):
        return ("status",)
    return error["loc"] if error["type"] == "extra_forbidden" else optional_part(Tournament, error["loc"])


def _meant(path: Path) -> Path:
    """The path itself, or for a misspelt field the path of the one that is meant."""
    if field_at(Tournament, path) is None and (name := meant_field(Tournament, path)) is not None:
        return (*path[:-1], name)
    return path


def _remove(document: Any, path: Path) -> bool:
    """Take what stands at a path out of the document; False where it is gone already."""
    for step in path[:-1]:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(document, dict) and document.pop(path[-1], _GONE) is not _GONE


def _doubtful(broken: BrokenRule, part: Path) -> bool:
    """Whether a rule may be broken only because a part was taken out.

    It may where the part and the place of the rule hold one another, and where the part is a field of the rule's own
    model; but rules on `spec` look at much, and each names the field that it turns on as its place.
    """
    shorter = min(len(broken.place), len(part))
    return broken.place[:shorter] == part[:shorter] or (len(broken.owner) > 1 and broken.owner == part[:-1])


def _wrong_kind(document: Any) -> Iterator[Problem]:
    """What is no Tournament at all is said in one sentence, not in one for each of its fields."""
    if not isinstance(document, dict):
        yield Problem("", f"must hold a mapping with apiVersion, kind, metadata and spec, given {given_text(document)}")
        return
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(field) != wanted:
            yield Problem(field, f"must be {wanted}, given {given_text(document.get(field))}")
