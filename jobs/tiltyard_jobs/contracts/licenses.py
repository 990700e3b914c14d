"""Licences: the identifiers that SPDX and the Hugging Face hub share, and what each asks of who uses the data.

A licence is stated as free text. What is neither an identifier here, whatever its case, nor the full name of one of
these licences is `other`, with its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

OTHER, UNKNOWN = "other", "unknown"

_Free = Literal["cc0-1.0", "pddl", "unlicense", "wtfpl"]
_Attribution = Literal[
    "afl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0",
    "c-uda", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0",
    "ecl-2.0", "etalab-2.0", "isc", "mit", "ms-pl", "ncsa", "odc-by", "postgresql", "zlib",
]  # fmt: skip
_ShareAlike = Literal[
    "agpl-3.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cdla-sharing-1.0", "epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2",
    "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "mpl-2.0", "odbl", "ofl-1.1",
    "osl-3.0",
]  # fmt: skip
_NonCommercial = Literal["cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"]
_NonCommercialShareAlike = Literal["cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"]
_NoDerivatives = Literal["cc-by-nd-4.0"]
_NonCommercialNoDerivatives = Literal["cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"]
_Limits = Literal[
    "bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "creativeml-openrail-m", "gemma",
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "openrail", "openrail++",
]  # fmt: skip
_Nobody = Literal["other", "unknown"]

LicenseId = Literal[
    _Free,
    _Attribution,
    _ShareAlike,
    _NonCommercial,
    _NonCommercialShareAlike,
    _NoDerivatives,
    _NonCommercialNoDerivatives,
    _Limits,
    _Nobody,
]
"""An identifier; `other` is any other licence, `unknown` one that nobody has stated."""

_ASKS: tuple[tuple[object, tuple[str, ...]], ...] = (
    (_Free, ()),
    (_Attribution, ("attribution",)),
    (_ShareAlike, ("attribution", "share alike")),
    (_NonCommercial, ("attribution", "non-commercial")),
    (_NonCommercialShareAlike, ("attribution", "non-commercial", "share alike")),
    (_NoDerivatives, ("attribution", "no derivatives")),
    (_NonCommercialNoDerivatives, ("attribution", "non-commercial", "no derivatives")),
    (_Limits, ("attribution", "limits of use")),
)

ASKS: Mapping[str, tuple[str, ...]] = {name: asks for kind, asks in _ASKS for name in get_args(kind)}
"""What each asks, by identifier; of another licence nobody here knows."""

_SPDX_ENDS = re.compile(r"-(only|or-later)$")
_BETWEEN_WORDS = re.compile(r"""[\s,()_/&"'“”-]+""")

# Words of a licence's full name, which an identifier has in short or not at all; each step sees single blanks.
_FULL_NAMES = (
    (r"gnu affero general public", "agpl"),
    (r"(gnu )?(lesser|library) general public", "lgpl"),
    (r"gnu general public", "gpl"),
    (r"gnu (free documentation|fdl)", "gfdl"),
    (r"gnu (?=[al]?gpl|gfdl)", ""),
    (r"licen[cs]e for linguistic resources", "lr"),
    (r"mozilla public", "mpl"),
    (r"eclipse public", "epl"),
    (r"microsoft public", "ms pl"),
    (r"european union public", "eupl"),
    (r"do what the f.ck you want to public", "wtfpl"),
    (r"(open data commons|odc) attribution", "odc by"),
    (r"(open data commons )?open database", "odbl"),
    (r"open data commons public domain dedication( and)?", "pddl"),
    (r"community data licen[cs]e agreement", "cdla"),
    (r"computational use of data", "c uda"),
    (r"(sil )?(open font|ofl)\b", "ofl"),
    (r"open software", "osl"),
    (r"boost software", "bsl"),
    (r"apache software", "apache"),
    (r"academic free", "afl"),
    (r"educational community", "ecl"),
    (r"etalab open", "etalab"),
    (r"university of illinois ncsa open source", "ncsa"),
    (r"\b([23]) clause bsd", r"bsd \1 clause"),
    (r"(bsd 2 clause) simplified|(bsd 3 clause) new or revised", r"\1\2"),
    (r"creative commons (zero|cc0)", "cc0"),
    (r"creative commons", "cc"),
    (r"attribution", "by"),
    (r"non ?commercial", "nc"),
    (r"share ?alike", "sa"),
    (r"no ?(derivs|derivatives)", "nd"),
    (r"\b(international|unported|generic)( public)?\b", ""),
    (r"\b(the|licen[cs]e|agreement|version|community|terms of use)\b", ""),
    (r"(?<![a-z])v ?(?=\d)|(?<=gpl)v ?(?=\d)", ""),
    (r"\bcc0( 1(\.0)?)?( universal)?\b(?! ?\d)", "cc0 1.0"),
    (r"(?<!\S)(\S+( \S+){0,5}) \1(?!\S)", r"\1"),  # a name, and its short form in brackets
    (r"^cc0 1\.0 public domain dedication$", "cc0 1.0"),
    (r"^(odc by|odbl|pddl|c uda) 1(\.0)?$|^(gfdl) 1\.[123]$", r"\1\3"),
)


def identifier(stated: str | None) -> str:
    """The identifier of a licence as somebody stated it: by its identifier, or by its full name."""
    if stated is None or not stated.strip():
        return UNKNOWN
    name = _SPDX_ENDS.sub("", "-".join(stated.strip().lower().split()))
    if name in ASKS or name == UNKNOWN:
        return name
    words = " ".join(_BETWEEN_WORDS.split(name))
    for pattern, short in _FULL_NAMES:
        words = " ".join(re.sub(pattern, short, words).split())
    joined = _joined(words)
    return _BY_LETTERS.get(joined) or _BY_LETTERS.get(f"{joined}.0") or OTHER


def _joined(words: str) -> str:
    return re.sub(r"[\s-]+", "", words)


_BY_LETTERS: Mapping[str, str] = {_joined(name): name for name in ASKS}


def named(stated: str | None) -> str:
    """The identifier, and of another licence its name."""
    name = identifier(stated)
    return f"{OTHER}: {' '.join((stated or '').split())}" if name == OTHER else name


def combined(stated: Iterable[str | None]) -> str:
    """The licences of all parts of something, as SPDX joins them: `apache-2.0 AND cc-by-nc-4.0`."""
    return " AND ".join(sorted({named(one) for one in stated}))


def asked(stated: Iterable[str | None]) -> list[str]:
    """What the licences of all parts ask together; of one that is not known that it is not."""
    names = {identifier(one) for one in stated}
    asks = sorted({ask for name in names for ask in ASKS.get(name, ())})
    return [*asks, *(["not known here"] if names & {OTHER, UNKNOWN} else [])]
