"""Code with colours: pygments names the tokens, and each becomes a span with a class. Nothing in the code is trusted.

Pygments' lexers are regular expressions, and some take quadratic time on a text that was made for it. So only languages
are coloured whose lexers were measured on such texts (`bench/reader/highlight.py`): C# and Make, whose lexers take
seconds on 4,000 characters, are left plain, and so is code that is long or has a long line.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import groupby

from markupsafe import Markup, escape
from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Name, Number, String, _TokenType

LONGEST = 20_000
"""Characters of a block that is coloured."""
LONGEST_LINE = 200
"""Characters of each of its lines."""
_LANGUAGES = (
    "bash", "c", "cpp", "css", "diff", "docker", "go", "ini", "javascript", "json", "jsx", "kotlin", "lua", "php",
    "python", "ruby", "rust", "splus", "sql", "swift", "toml", "tsx", "typescript", "yaml",
)  # fmt: skip
LANGUAGES = dict.fromkeys(_LANGUAGES, LONGEST) | {"html": 8_000, "java": 3_000, "xml": 8_000}
"""The languages that are coloured, by pygments' first name of each, with the characters of the longest block: fewer
where the lexer takes quadratic time whatever the lines are."""

_CLASSES = (
    (Comment.Preproc, "k"), (Comment, "c"), (Keyword, "k"), (Name.Tag, "k"), (String, "s"), (Number, "n"),
    (Name.Builtin, "b"), (Name.Class, "f"), (Name.Function, "f"), (Name.Attribute, "f"), (Name.Decorator, "f"),
    (Generic.Heading, "f"), (Generic.Subheading, "f"), (Generic.Inserted, "i"), (Generic.Deleted, "d"),
)  # fmt: skip


def highlighted(code: str, language: str) -> Markup:
    """Code as HTML, with colours where the language is known and the code is not too long; its text is the code's.

    Code with carriage returns or a byte order mark is left plain: pygments would change those and leave this out.

    Args:
        code: any text.
        language: what its author calls the language.
    """
    name = _languages().get(language.lower())
    if name is None or len(code) > LANGUAGES[name] or any(len(line) > LONGEST_LINE for line in code.split("\n")):
        return escape(code)
    if "\r" in code or code.startswith("\ufeff"):
        return escape(code)
    parts = groupby(_tokens(code, name), key=lambda part: part[0])
    return Markup("").join(_span(kind, "".join(text for _, text in same)) for kind, same in parts)


def _tokens(code: str, name: str) -> Iterator[tuple[str, str]]:
    """The class of each token, which may be empty, and its text."""
    for kind, text in _lexer(name).get_tokens(code):
        yield _class(kind), text


def _span(kind: str, text: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(kind, text) if kind else escape(text)


@cache
def _languages() -> dict[str, str]:
    """Pygments' first name of each language that is coloured, by all of its names."""
    known = (aliases for _, aliases, _, _ in get_all_lexers(plugins=False) if aliases and aliases[0] in LANGUAGES)
    return {alias: aliases[0] for aliases in known for alias in aliases}


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


@cache
def _class(kind: _TokenType) -> str:
    return next((name for family, name in _CLASSES if family in kind.split()), "")
