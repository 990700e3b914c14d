import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation.shingles import BLOCK, HASH_BITS, ShingleSets, blocks, hash_words, shingle_sets
from tiltyard_jobs.curation.text import words

TEXTS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(["sort", "list", "a", "abcdefgh", "abcdefghi", "x" * 64, "x" * 65, "é"]), max_size=9
        ).map(" ".join),
    ),
    max_size=6,
)


def python_shingles(text: str, size: int) -> set[tuple[str, ...]]:
    spoken = words(text)
    if not spoken:
        return {("blank", "".join(text.split()))}
    pieces = [word.encode()[start : start + 64] for word in spoken for start in range(0, len(word.encode()), 64)]
    if len(pieces) < size:
        return {tuple(map(str, pieces))}
    return {tuple(map(str, pieces[start : start + size])) for start in range(len(pieces) - size + 1)}


def sets_of(shingles: ShingleSets) -> list[set[int]]:
    return [
        set(shingles.hashes[start:stop].tolist())
        for start, stop in zip(shingles.offsets[:-1], shingles.offsets[1:], strict=True)
    ]


@given(TEXTS, st.integers(1, 3))
@settings(deadline=None)
def test_sets_equal_those_made_of_strings(texts: list[str], size: int) -> None:
    hashed = sets_of(shingle_sets(texts, size))
    plain = [python_shingles(text, size) for text in texts]
    assert [len(found) for found in hashed] == [len(expected) for expected in plain]
    for left in range(len(texts)):
        for right in range(left):
            assert len(hashed[left] & hashed[right]) == len(plain[left] & plain[right])


def test_hashes_are_ascending_distinct_and_within_their_bits() -> None:
    sets = shingle_sets(["b a c a b", "one two three", ""])
    assert sets.offsets.tolist() == [0, 3, 6, 7]
    assert (sets.hashes < 1 << HASH_BITS).all()
    for start, stop in zip(sets.offsets[:-1], sets.offsets[1:], strict=True):
        assert (np.diff(sets.hashes[start:stop].astype(np.int64)) > 0).all()


def test_hashes_are_the_same_on_every_machine() -> None:
    assert shingle_sets(["Sort a list of characters"]).hashes.tolist() == [
        145180731122812,
        662809910576933,
        1396219100755625,
        1458988873303192,
        2175695880860313,
    ]


def test_a_hash_does_not_hang_on_the_block() -> None:
    together = sets_of(shingle_sets(["first text", "second text", "?"]))
    alone = [sets_of(shingle_sets([text]))[0] for text in ("first text", "second text", "?")]
    assert together == alone


def test_a_megabyte_without_a_space_is_many_words() -> None:
    assert hash_words(["x" * 1_000_000]).hashes.size == 15_625


def test_blocks() -> None:
    assert list(blocks(iter("abcde"), 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(blocks([])) == []
    with pytest.raises(ValueError, match="at most 4096"):
        shingle_sets(["a"] * (BLOCK + 1))
