from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.report.formats import LABEL, excerpt, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00b", "a⟨U+0000⟩b"),
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("user\u202etxt.exe", "user⟨U+202E⟩txt.exe"),
        ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("half \ud800", "half ⟨U+D800⟩"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a letter of Persian spelling, which hides nothing
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("e\u0301", "e\u0301"),
        ("z" + "\u0302" * 50, "z" + "\u0302" * 3),
    ],
)
def test_what_hides_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 80) == "x" * 80
    assert visible("x" * 81) == "x" * 79 + "…"
    assert len(visible("\x00" * 1_000_000)) == LABEL
    assert excerpt("x" * 1_000_000, 100) == ("x" * 100, 999_900)
    assert excerpt("abc", 3) == ("abc", 0)


@settings(deadline=None, max_examples=300)
@given(st.text(), st.integers(2, 200))
def test_nothing_invisible_is_left(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert visible(shown, limit) == shown
    shown.encode()  # no half of a pair
    characters = shown.replace("\n", "").replace("\t", "")
    assert not {unicodedata.category(one) for one in characters} & {"Cc", "Cs"}
    assert not {unicodedata.bidirectional(one) for one in characters} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "RLI",
        "LRI",
    }
