import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation import dedup as module
from tiltyard_jobs.curation.dedup import SignatureIndex, deduplicate
from tiltyard_jobs.curation.text import words

VOCABULARY = [f"word{number}" for number in range(40)]


def corpus(count: int, seed: int) -> list[str]:
    """Texts that repeat one another to every degree."""
    chance = random.Random(seed)
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and chance.random() < 0.6:
            copy = list(chance.choice(texts))
            for _ in range(chance.randrange(0, 6)):
                copy[chance.randrange(len(copy))] = chance.choice(VOCABULARY)
            texts.append(copy)
        else:
            texts.append(chance.choices(VOCABULARY, k=chance.randrange(1, 14)))
    return [" ".join(text) for text in texts]


def jaccard(left: str, right: str) -> float:
    first, second = set(words(left)), set(words(right))
    return len(first & second) / len(first | second)


def step_by_step(texts: list[str], threshold: float, fixed: int) -> list[int]:
    """The rule as it is written: the first kept twin among the candidates, or -1; the first `fixed` are kept."""
    keys = SignatureIndex.of(texts, threshold=threshold).keys
    twins: list[int] = []
    for text in range(len(texts)):
        twin = -1
        for other in range(text if text >= fixed else 0):
            candidate = (keys[:, text] == keys[:, other]).any()
            if twins[other] < 0 and candidate and jaccard(texts[text], texts[other]) >= threshold:
                twin = other
                break
        twins.append(twin)
    return twins


@given(
    st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.integers(0, 30), st.sampled_from([1, 64, 1 << 20])
)
@settings(deadline=None, max_examples=20)
def test_equals_the_rule_step_by_step(seed: int, threshold: float, fixed: int, pairs: int) -> None:
    texts = corpus(60, seed)
    expected = step_by_step(texts, threshold, fixed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS", pairs)
        patch.setattr(module, "_STEP", 17)
        result = deduplicate(texts[fixed:], threshold=threshold, earlier=texts[:fixed])
    twins = np.where(result.twin >= 0, result.twin + fixed, result.earlier_twin).tolist()
    assert twins == expected[fixed:]
    assert np.array_equal(result.kept, (result.twin < 0) & (result.earlier_twin < 0))


def test_no_chain_effects() -> None:
    texts = ["a b c d", "a b c d e f", "a b c d e f g h i j"]
    assert jaccard(texts[1], texts[2]) >= 0.5 > jaccard(texts[0], texts[2])
    result = deduplicate(texts)
    assert result.kept.tolist() == [True, False, True]
    assert result.twin.tolist() == [-1, 0, -1]


def test_case_punctuation_and_layout_do_not_matter() -> None:
    result = deduplicate(["Sort the list!", "sort, the\n\tLIST", "", "   ", "+++", "---"])
    assert result.twin.tolist() == [-1, 0, -1, 2, -1, -1]


def test_attackers_one_after_another_give_what_all_together_give() -> None:
    texts = corpus(300, 5)
    together = deduplicate(texts)
    kept = SignatureIndex.of([])
    parts = []
    for start in range(0, 300, 100):
        index = SignatureIndex.of(texts[start : start + 100])
        result = deduplicate(index, earlier=kept)
        kept = SignatureIndex.concatenate([kept, index.select(result.kept)])
        parts.append(result.kept)
    assert np.concatenate(parts).tolist() == together.kept.tolist()
    assert len(kept) == together.kept.sum()


def test_texts_are_read_once_in_blocks() -> None:
    def stream() -> Iterator[str]:
        for number in range(1500):
            yield f"unique{number} text{number} number{number // 2}"

    assert deduplicate(stream()).kept.all()


def test_many_copies_cost_no_pairs() -> None:
    result = deduplicate(["the same text over and over"] * 20_000)
    assert result.kept.sum() == 1
    assert (result.twin[1:] == 0).all()


def test_longer_shingles_tell_order() -> None:
    texts = ["sort the list then print the sum", "print the sum then sort the list"]
    assert deduplicate(texts).kept.tolist() == [True, False]
    assert deduplicate(texts, words=3, threshold=0.9).kept.tolist() == [True, True]


def test_nothing_gives_nothing() -> None:
    result = deduplicate([])
    assert (result.kept.size, result.twin.size, result.earlier_twin.size) == (0, 0, 0)
    assert deduplicate([], earlier=["a text"]).kept.size == 0


def test_an_index_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="same shingles"):
        deduplicate(SignatureIndex.of(["a"], words=2), earlier=["a"])
    with pytest.raises(ValueError, match="another threshold"):
        deduplicate(SignatureIndex.of(["a"], threshold=0.9), earlier=SignatureIndex.of(["b"], threshold=0.9))
