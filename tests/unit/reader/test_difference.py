from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.reader.difference import Piece, difference

TEXTS = st.lists(st.sampled_from(["a", "b", "c", " ", "\n", "  "]), max_size=25).map("".join)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_pieces_are_the_texts_and_common_pieces_are_common(a: str, b: str) -> None:
    found = difference(a, b)
    assert found is not None
    assert "".join(piece.text for piece in found.a) == a
    assert "".join(piece.text for piece in found.b) == b
    assert [piece.text for piece in found.a if not piece.own] == [piece.text for piece in found.b if not piece.own]


def test_words_that_differ_are_marked() -> None:
    found = difference("sort the list twice", "sort the file twice")
    assert found is not None
    assert found.a == [Piece("sort the", False), Piece(" list", True), Piece(" twice", False)]


def test_long_answers_are_compared_by_lines_and_longer_ones_not_at_all() -> None:
    line = "one two three four five six seven eight nine ten\n"
    found = difference(line * 1_000, line * 999 + "last\n")
    assert found is not None
    assert found.b[-1] == Piece("last\n", True)
    assert difference("x\n" * 2_000, "y") is None
