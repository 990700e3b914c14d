"""Shapes of single values: each knows its check, its sentence and its place in the CRD."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NoReturn

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_DECIMAL = r"(0|[1-9][0-9]{0,15})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?"
_QUANTITY = r"\+?([0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?"
_INT32_MAX = 2**31 - 1
MAX_COUNT: Final = 2**53 - 1
"""JSON readers that use doubles keep it exact."""


def refuse(allowed: str, *, text: bool = False) -> NoReturn:
    """Refuse a value; the loader adds where it stands and what was given.

    Args:
        allowed: the sentence.
        text: a text is wanted: what YAML reads as something else must stand in quotes.
    """
    raise PydanticCustomError("shape", "{allowed}", {"allowed": allowed, "text": text})


def matches(pattern: str, text: str) -> bool:
    """Whether a whole text matches, as RE2 says of it: a vertical tab is no blank there, and one in Python."""
    return re.fullmatch(pattern, text.replace("\v", "\x01"), re.ASCII) is not None


def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros, so that equal values have equal texts."""
    text = format(value.normalize(), "f")
    return "0" if value == 0 else text


@dataclass(frozen=True)
class Elsewhere:
    """Metadata of a field that takes words: where any other value belongs, said when one is refused."""

    sentence: str


@dataclass(frozen=True)
class Text:
    """A string that matches a pattern as a whole.

    Attributes:
        allowed: completes "must be …".
        pattern: without anchors; only what Python and RE2 read alike.
        max_length: in characters.
        min_length: in characters.
        wrong: what is wrong with a string that does not match, where that is known; else empty.
    """

    allowed: str
    pattern: str | None = None
    max_length: int = 253
    min_length: int = 1
    wrong: Callable[[str], str] | None = None

    def check(self, value: object) -> str:
        """The value when it has this shape."""
        if not isinstance(value, str):
            refuse(f"must be {self.allowed}", text=True)
        if not self.min_length <= len(value) <= self.max_length:
            refuse(f"must be {self.allowed}")
        if self.pattern is not None and not matches(self.pattern, value):
            wrong = self.wrong(value) if self.wrong is not None else ""
            refuse(f"must be {self.allowed}{f' ({wrong})' if wrong else ''}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        result: JsonSchemaValue = {"type": "string", "maxLength": self.max_length}
        if self.pattern is None:
            result["minLength"] = self.min_length
        else:  # no pattern of ours with a least length takes an empty text
            result["pattern"] = f"^(?:{self.pattern})$" if "|" in self.pattern else f"^{self.pattern}$"
        return result


def _integer(value: object) -> int | None:
    """A value as an integer; None where it is none. The API server takes `3.0` for 3, and stores that."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Whole:
    """An integer within bounds, both included."""

    minimum: int
    maximum: int

    @property
    def allowed(self) -> str:
        """Completes "must be …"."""
        return f"an integer from {self.minimum} to {self.maximum}"

    def check(self, value: object) -> int:
        """The value when it is an integer (no boolean, no text) within the bounds."""
        whole = _integer(value)
        if whole is None or not self.minimum <= whole <= self.maximum:
            refuse(f"must be {self.allowed}")
        return whole

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        width = "int32" if self.maximum <= _INT32_MAX else "int64"
        return {"type": "integer", "format": width, "minimum": self.minimum, "maximum": self.maximum}


def _nearest(text: str) -> Decimal:
    """The decimal of a text, as a CEL rule reads it: one that no double tells from a shorter one is the shorter one."""
    exact, shorter = Decimal(text), Decimal(repr(float(text)))
    return exact if exact == shorter else shorter


@dataclass(frozen=True)
class Fraction:
    """A decimal within bounds: a quoted string on the wire (Kubernetes APIs know no floats), `Decimal` in Python.

    An unquoted number is refused in files too, since the API server would refuse it.
    """

    low: str
    high: str
    above_low: bool = False  # the lower bound itself is out

    @property
    def allowed(self) -> str:
        """Completes "must be …"."""
        lower = f'above "{self.low}" and at most' if self.above_low else f'from "{self.low}" to'
        return f'a decimal {lower} "{self.high}", in quotes'

    def check(self, value: object) -> Decimal:
        """The value as a decimal; in Python a `Decimal` is taken as well as its text."""
        if isinstance(value, str) and len(value) <= 32 and re.fullmatch(_DECIMAL, value, re.ASCII):
            value = _nearest(value)
        if not isinstance(value, Decimal) or not value.is_finite():
            refuse(f"must be {self.allowed}")
        low, high = Decimal(self.low), Decimal(self.high)
        if not low <= value <= high or (self.above_low and value == low):
            refuse(f"must be {self.allowed}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.check, serialization=core_schema.plain_serializer_function_ser_schema(plain, when_used="json")
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        lower = ">" if self.above_low else ">="
        rule = f"double(self) {lower} {float(self.low)} && double(self) <= {float(self.high)}"
        return {
            "type": "string",
            "maxLength": 32,
            "pattern": f"^{_DECIMAL}$",
            "x-kubernetes-validations": [{"rule": rule, "message": f"must be {self.allowed}"}],
        }


@dataclass(frozen=True)
class Quantity:
    """A Kubernetes quantity that is not negative: `4`, `"500m"`, `"16Gi"`. Kept as text."""

    allowed = 'a Kubernetes quantity such as 4, "500m" or "16Gi"'

    def check(self, value: object) -> str:
        """The value as text; an integer may stand unquoted, as everywhere in Kubernetes."""
        whole = _integer(value)
        if whole is not None and 0 <= whole <= MAX_COUNT:
            return str(whole)
        if not isinstance(value, str) or re.fullmatch(_QUANTITY, value, re.ASCII) is None:
            refuse(f"must be {self.allowed}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        bounds = {"maxLength": 40, "pattern": f"^{_QUANTITY}$", "minimum": 0, "maximum": MAX_COUNT}
        return {"x-kubernetes-int-or-string": True, **bounds}


@dataclass(frozen=True)
class Opaque:
    """An object of Kubernetes' own that is passed on as it is: the API server checks it when the child is made."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class JsonObject:
    """A JSON object of any members, of at most this many bytes when it is written.

    Attributes:
        max_bytes: of UTF-8, without blanks.
    """

    max_bytes: int

    def check(self, value: dict[str, Any]) -> dict[str, Any]:
        """The object when JSON can hold it."""
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except ValueError:  # UnicodeEncodeError is one
            refuse("must hold only what JSON can: no infinite number, and text that is Unicode")
        if len(text) > self.max_bytes:
            refuse(f"must be at most {self.max_bytes} bytes of JSON")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class Distinct:
    """A list of single values without repetition."""

    def check(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values when none is there twice."""
        if repeated := repetitions(values):
            shown = "".join(c if c.isprintable() else "�" for c in ", ".join(map(str, repeated)))
            refuse(f"must name each value once ({shown} is repeated)")
        return values

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        result = handler(schema) | {"x-kubernetes-list-type": "set"}
        if any("double(self)" in item["rule"] for item in result["items"].get("x-kubernetes-validations", ())):
            once = "self.all(a, self.exists_one(b, double(a) == double(b)))"  # "1" and "1.0" are one
            result["x-kubernetes-validations"] = [{"rule": once, "message": "must name each value once"}]
        return result


def repetitions(values: Iterable[Any]) -> list[Any]:
    """The values that occur more than once, in the order of their first occurrence."""
    return [value for value, count in Counter(values).items() if count > 1]
