"""Reading a YAML document as plain JSON values, as Kubernetes would, with its mistakes as problems; writing one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from tiltyard.api.problems import ManifestError, Problem, as_yaml_reads, given_text, path_text

MAX_BYTES = 1_500_000  # what an API server takes, roughly
_MAX_NODES = 200_000
_MAX_DEPTH = 100
_LARGEST = 1.7976931348623157e308  # an API server reads no larger number
_SHOWN = 4  # steps of a path that is too deep


class _Loader(yaml.SafeLoader):
    """YAML with JSON's types alone, read as `kubectl` reads it; a key must not come twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        before: set[str] = set()
        for key, value in node.value:
            if key.tag != _MERGE:
                before |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
                continue
            for name in sorted(before & set(_merged(value, set()))):
                problem = f"{given_text(name)} is replaced by the << after it as kubectl reads it; write << first"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError) as error:  # PyYAML's own of `!!bool maybe`, `!!timestamp x`, …
            kind = node.tag.rpartition(":")[2]
            given = given_text(node.value)
            raise yaml.constructor.ConstructorError(
                None, None, f"{given} cannot be read as {kind}", node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():  # `!!map [a]` is refused below
            if key.tag != _MERGE and isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{given_text(key.value)} is repeated in one mapping", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = re.sub(r"^([-+]?)0(?=[0-7])", r"\g<1>0o", str(self.construct_scalar(node)).replace("_", ""))
        return int(text, 0)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        return str(self.construct_scalar(node))

    def construct_number(self, node: yaml.ScalarNode) -> float | str:
        number = self.construct_yaml_float(node)
        text = str(self.construct_scalar(node))
        return text if abs(number) > _LARGEST and "inf" not in text.lower() else number


def _merged(node: yaml.Node, seen: set[int]) -> Iterator[str]:
    """The keys of what is merged."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _merged(item, seen)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.tag == _MERGE:
            yield from _merged(value, seen)
        elif isinstance(key, yaml.ScalarNode):
            yield key.value


class Dumper(yaml.SafeDumper):
    """In quotes are the texts that kubectl or another reader takes for something else without (`1e3`, `y`, `12:30`)."""


class _Number(NamedTuple):
    """What go-yaml reads as a number: it looks at a text without its underscores, wherever they are."""

    words: re.Pattern[str]

    def match(self, text: str) -> re.Match[str] | None:
        return self.words.fullmatch(text.replace("_", ""))


# What is no text without quotes to the reader of kubectl and Helm, go-yaml 2: y, 08 and 1e3 are none; 12:30 is one, and
# so is 1e400, which no float holds.
_DIGITS = "-+0123456789"
_MERGE, _NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("merge", "null", "bool", "int", "float"))
_NO_TEXTS = (
    (_MERGE, "<<", ["<"]),
    (_NULL, "~|null|Null|NULL|", ["", *"~nN"]),
    (_BOOL, "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON", [*"yYtToO"]),
    (_BOOL, "n|N|no|No|NO|false|False|FALSE|off|Off|OFF", [*"nNfFoO"]),
    (_FLOAT, "[-+]?[.](inf|Inf|INF)|[.](nan|NaN|NAN)", [*_DIGITS, "."]),
)
_NUMBERS = (
    (_INT, "[-+]?(0|[1-9][0-9]*|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0[bB][01]+)", [*_DIGITS]),
    (_FLOAT, "[-+]?([.][0-9]+|[0-9]+([.][0-9]*)?)([eE][-+]?[0-9]+)?", [*_DIGITS, "."]),
)
_Loader.yaml_implicit_resolvers = {}
for _reader in (_Loader, Dumper):
    for _tag, _words, _first in _NO_TEXTS:
        _reader.add_implicit_resolver(_tag, re.compile(f"^(?:{_words})$"), _first)
    for _tag, _words, _first in _NUMBERS:
        _reader.add_implicit_resolver(_tag, _Number(re.compile(_words)), _first)
_Loader.add_constructor(_INT, _Loader.construct_yaml_int)
_Loader.add_constructor(_FLOAT, _Loader.construct_number)
_Loader.add_constructor(_MERGE, _Loader.construct_text)  # as a value
_Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def read_text(path: Path) -> str:
    """The text of a manifest's file.

    Raises:
        ManifestError: there is no such file, or it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise _error(str(path), "is a folder; give the tournament's manifest, a YAML file") from error
    except OSError as error:
        raise _error(str(path), f"cannot be read: {error.strerror or error}") from error
    return decode(data, str(path))


def decode(data: bytes, source: str) -> str:
    """The text in a manifest's bytes.

    Raises:
        ManifestError: they are too large, or are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > MAX_BYTES:
            raise _too_large(source) from error
        raise _error(source, f"is not UTF-8 text (byte {error.start}), so it is not a YAML manifest") from error


# Around a value a tab is YAML, but none that the parser takes.
_TAB = "found character '\\t' that cannot start any token"


def parse_yaml(text: str, source: str = "") -> Any:
    """The one document in a YAML text, in JSON's types; mappings lose the entries that are null, as on a cluster.

    Raises:
        ManifestError: the text is too large, is not YAML, holds no document or several, or holds what JSON cannot.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(source)
    try:
        documents = [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        if error.problem == _TAB:
            raise _error(source, f"has a tab: write blanks in its place{where}") from error
        raise _error(source, f"is not valid YAML: {error.problem or error.context}{where}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _error(source, f"is not valid YAML: {reason}") from error
    if len(documents) != 1:
        found = f"{len(documents)} documents" if documents else "nothing"
        raise _error(source, f"must hold exactly one Tournament, given {found}")
    return _Plain(source).convert(documents[0], ())


class _Plain:
    """Copies a document, refusing what JSON has no words for and aliases that multiply without end."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._nodes = 0

    def convert(self, value: Any, path: tuple[str | int, ...]) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            given = f"more than {_MAX_NODES} values or {_MAX_DEPTH} levels"
            self._refuse(path[:_SHOWN], f"is too large or too deep for a manifest, given {given}")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    given = f"{given_text(key)}{as_yaml_reads(key)}"
                    self._refuse(path, f"has a key that is not a string, given {given}; put it in quotes")
            return {
                self._text(key, path): self.convert(item, (*path, key))
                for key, item in value.items()
                if item is not None
            }
        if isinstance(value, list):
            return [self.convert(item, (*path, position)) for position, item in enumerate(value)]
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
            self._refuse(path, f"must be a number that JSON knows, given {given_text(value)}")
        if value is None or isinstance(value, bool | int | float):
            return value
        self._refuse(path, f"has a type that JSON does not know, given {type(value).__name__}")

    def _text(self, text: str, path: tuple[str | int, ...]) -> str:
        """JSON's escapes name a character beyond U+FFFF by two halves, which YAML reads as two characters."""
        if text.isascii() or not _has_surrogate(text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(path, "has half of a surrogate pair")

    def _refuse(self, path: tuple[str | int, ...], message: str) -> NoReturn:
        raise ManifestError(self._source, [Problem(path_text(path), message)])


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _error(source: str, message: str) -> ManifestError:
    return ManifestError(source, [Problem("", message)])


def _too_large(source: str) -> ManifestError:
    return _error(source, f"is too large for a manifest, given more than {MAX_BYTES} bytes")
