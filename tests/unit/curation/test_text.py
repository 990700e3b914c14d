import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation import text as module
from tiltyard_jobs.curation.text import normalise, word_line, words


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("  Sort a list.  ", "Sort a list."),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("def f():   \n\treturn 1\t\n", "def f():\n\treturn 1"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("a\n \n \n \nb", "a\n\nb"),
        ("cafe\u0301", "caf\u00e9"),
        ("bad \ud800 half", "bad \ufffd half"),
        ("", ""),
        (" \n\t", ""),
    ],
)
def test_normalise(given_text: str, expected: str) -> None:
    assert normalise(given_text) == expected


@given(st.text(alphabet=st.characters(), max_size=60))
@settings(deadline=None)
def test_normalised_text_is_stable_encodable_and_composed(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once.encode("utf-8").decode("utf-8") == once
    assert unicodedata.is_normalized("NFC", once)


def test_words() -> None:
    assert words("Sort the list_of_ints, then print(x+1)!") == [
        "sort",
        "the",
        "list_of_ints",
        "then",
        "print",
        "x",
        "1",
    ]
    assert words("Größe prüfen: naïve") == ["größe", "prüfen", "naïve"]
    assert words("用python写排序") == ["用", "python", "写", "排", "序"]
    assert words("?!") == []


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
@settings(deadline=None)
def test_the_table_for_ascii_says_what_the_regular_expression_says(text: str) -> None:
    assert word_line(text).decode().split() == module._WORD.findall(text.lower())


@pytest.mark.timeout(20)
def test_a_megabyte_of_blanks_does_not_hold_a_shard_up() -> None:
    """A hostile reply: looking for trailing blanks from each blank anew would take hours."""
    text = "a" + " " * 1_000_000 + "b"
    assert normalise(text) == text
