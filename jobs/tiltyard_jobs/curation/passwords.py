"""Secrets without a form of their own: passwords and keys that are assigned or stand in an address, and JWTs.

The words that name a secret, JWTs and addresses with a password are detect-secrets'. Programs are full of such words
and of values that are no secrets (`password = "secret123"`, `api_key = load_key()`), so a value is a find only where it
looks chosen by a person (three kinds of characters, none of the words that examples are made of) or drawn at random.
"""

from __future__ import annotations

import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterator

from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import DENYLIST

from tiltyard_jobs.curation.placeholders import is_placeholder

_NAMES = (*DENYLIST, "passphrase", "access_?token", "auth_?token", "bearer")
_HINTS = ("pass", "pwd", "secret", "key", "token", "contrase", "bearer")
_ASSIGNED = re.compile(
    rf"(?:{'|'.join(_NAMES)})(\w{{0,24}})[\]'\"]{{0,2}}[ \t]{{0,4}}(?::=|=>|[=:]{{1,3}}|\bis\b)[ \t]{{0,4}}@?[\"'`]?"
    r"([^\s\"'`;,]{8,200})",
    re.IGNORECASE,
)
_NO_NAME = re.compile(
    r"hash|digest|salt|regex|pattern|format|hint|label|file|path|url|_id|name|class|type", re.IGNORECASE
)
_RUN = re.compile(r"[A-Za-z0-9_=.-]{40,}")
_SIGNATURE = re.compile(r"\.?[A-Za-z0-9_-]{20,}")

_NO_VALUE = re.compile(r"[()\[\]{}<>|\\]|\$\w|%\(|://|\.\.|::|->|^[\w-]+(?:\.[A-Za-z_-]+)+$")
_LEET = str.maketrans("@01345$7", "aoieasst")
_WORDS = re.compile(
    "abc|admin|alice|apple|bar|bob|chang|claude|client|code|correct|database|default|demo|dragon|encrypt|error|field|foo"
    "|guest|hash|hello|hunter|incorrect|input|invalid|iloveyou|john|key|letmein|local|login|manager|master|match|minimum"
    "|monkey|mongo|mysql|name|new|number|old|pass|pepper|phrase|postgres|private|pwd|python|qwert|random|redis|required"
    "|root|salt|secret|secure|server|session|string|strong|sunshine|super|temp|test|text|this|token|user|valid|value"
    "|variable|weak|welcome|word|world|wrong|zxcv"
)
"""What examples are made of."""
_LONG_WORDS = re.compile("|".join(word for word in _WORDS.pattern.split("|") if len(word) > 4))  # not there by chance
_DRAWN = re.compile(r"[A-Za-z0-9+/=_-]{20,200}")
_DRAWN_BITS, _DRAWN_DIGITS = 3.3, 3  # a character's entropy, and how many digits there are at least
_DIGITS = re.compile(r"[0-9]")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w-]*")
_KINDS = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), _DIGITS, re.compile(r"[^A-Za-z0-9]"))


def passwords(text: str) -> Iterator[str]:
    """Passwords, keys and JWTs of a text."""
    if "eyJ" in text:
        yield from _tokens(text)
    if "://" in text and "@" in text:
        for pattern in BasicAuthDetector.denylist:
            yield from (found[1] for found in pattern.finditer(text) if _is_secret(found[1]))
    lower = text.lower()
    if any(hint in lower for hint in _HINTS):
        for found in _ASSIGNED.finditer(text):
            name, value = found[1], found[2].rstrip(".!?:") if found[2][-1:] in ".:" else found[2]
            if not _NO_NAME.search(name) and _is_secret(value):
                yield value


def _tokens(text: str) -> Iterator[str]:
    """Signed JWTs that are not those of an example: at most one of a run of their characters."""
    (pattern,) = JwtTokenDetector.denylist
    for run in _RUN.finditer(text):
        found = pattern.match(run[0], begin) if (begin := run[0].find("eyJ")) >= 0 else None
        signature = _SIGNATURE.match(run[0], found.end()) if found is not None else None
        if found is None or signature is None or not JwtTokenDetector.is_formally_valid(found[0]):
            continue
        payload = found[0].split(".")[1]
        said = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8", "replace")
        if not is_placeholder(said) and "doe" not in said.lower():
            yield signature[0]


def _is_secret(value: str) -> bool:
    """Whether a value looks like one that somebody chose or drew, and not like code or an example."""
    if not 8 <= len(value) <= 200 or _NO_VALUE.search(value) or is_placeholder(value):
        return False
    if _DRAWN.fullmatch(value) and _bits(value) >= _DRAWN_BITS and len(_DIGITS.findall(value)) >= _DRAWN_DIGITS:
        return _LONG_WORDS.search(value.lower()) is None
    if _IDENTIFIER.fullmatch(value) and len(_DIGITS.findall(value)) < 2:
        return False
    kinds = sum(kind.search(value) is not None for kind in _KINDS)
    return kinds >= 3 and _WORDS.search(value.lower().translate(_LEET)) is None


def _bits(value: str) -> float:
    """Shannon's entropy of a character, in bits."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())
