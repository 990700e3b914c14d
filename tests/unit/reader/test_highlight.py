from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.read_runs import ATTACKS
from tiltyard_jobs.reader.highlight import _CLASSES, LANGUAGES, LONGEST, LONGEST_LINE, _languages, highlighted
from tiltyard_jobs.reader.pages import asset

SPAN = re.compile(r'<span class="([a-z])">([^<>]*)</span>')
PIECES = st.sampled_from(
    [
        *("<", ">", "&", '"', "'", "`", '"""', "/*", "*/", "//", "#", "--", "\\", "\n", " ", "\t", "{", "}", "(", ")"),
        *("<script>", "</code>", "<?php ", "?>", "<!--", "${", "$(", "<<EOF\n", "def f", "class A", "@a", "1e5", "0x"),
        *("f'{a}'", 'r"', "- a: b", "[1]", "select ", "#include <a>", "+++", "@@ ", "é", "\x00", "\u202e", "\r\n"),
        *("\r", "\ufeff"),
    ]
)


def text_of(html: str) -> str:
    """The text of what can only be escaped text and spans of one class."""
    bare = SPAN.sub(r"\2", str(html))
    assert "<" not in bare
    assert ">" not in bare
    return unescape(bare)


@pytest.mark.parametrize(
    ("language", "code", "parts"),
    [
        ("python", 'def fly(n=2):  # up\n    return "heron"', {"k": "def", "f": "fly", "n": "2", "c": "# up"}),
        ("js", "const a = `x${1}`; // b", {"k": "const", "s": "`x${", "c": "// b"}),
        ("C++", "int main() { return 0; }", {"k": "int", "f": "main", "n": "0"}),
        ("sql", "SELECT a FROM b WHERE c = 'd'", {"k": "SELECT", "s": "'d'"}),
        ("r", "f <- function(a) 1 # c", {"k": "function", "n": "1", "c": "# c"}),
        ("sh", 'if true; then echo "a"; fi', {"k": "if", "b": "echo", "s": '"a"'}),
        ("json", '{"a": 1, "b": "c"}', {"k": '"a"', "n": "1", "s": '"c"'}),
        ("diff", "--- a\n+++ b\n-old\n+new", {"d": "--- a", "i": "+++ b"}),
    ],
)
def test_code_has_the_colours_of_its_language(language: str, code: str, parts: dict[str, str]) -> None:
    html = str(highlighted(code, language))
    assert text_of(html) == code
    first: dict[str, str] = {}
    for kind, text in SPAN.findall(html):
        first.setdefault(kind, unescape(text).strip().split("\n")[0])
    assert parts.items() <= first.items()


def test_pygments_knows_every_language_by_the_name_that_is_used_here() -> None:
    assert set(_languages().values()) == set(LANGUAGES)


def test_every_class_has_a_colour() -> None:
    used = {name for _, name in _CLASSES}
    assert used <= set(re.findall(r"\.prose pre \.([a-z])\b", asset("reader.css")))


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from(list(LANGUAGES)))
def test_nothing_but_the_text_comes_out_of_anything(code: str, language: str) -> None:
    assert text_of(highlighted(code, language)) == code


@pytest.mark.parametrize("language", LANGUAGES)
def test_attacks_stay_text_in_every_language(language: str) -> None:
    for attack in ATTACKS:
        assert text_of(highlighted(attack, language)) == attack


@pytest.mark.parametrize("language", ["", "nix-or-so", "../python", "csharp", "<b>"])
def test_code_in_an_unknown_language_is_plain(language: str) -> None:
    assert str(highlighted("if a < b: pass", language)) == "if a &lt; b: pass"


def test_long_code_and_long_lines_are_plain() -> None:
    line = "x = 1 # " + "y" * (LONGEST_LINE - 8)
    assert "<span" in highlighted(line, "python")
    assert "<span" not in highlighted(line + "y", "python")
    many = "a = 1\n" * (LONGEST // 6)
    assert "<span" in highlighted(many, "python")
    assert "<span" not in highlighted(many + "b = 2", "python")
