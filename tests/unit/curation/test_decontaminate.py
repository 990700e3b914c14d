import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation import decontaminate as module
from tiltyard_jobs.curation.decontaminate import Decontaminator, Finding, Match, MatchKind
from tiltyard_jobs.curation.text import words

PROMPT = (
    "Check if in given list of numbers, are any two numbers closer to each other than given threshold. "
    "Return True if so and False otherwise."
)
BENCHMARKS = {
    "humaneval": ["", "Return the sum of two numbers.", PROMPT],
    "mbpp": [
        "Write a python function to remove the first and last occurrence of a given character from the string.",
        "a b",
    ],
}


def longest_common(left: list[str], right: list[str]) -> int:
    """The textbook's table."""
    row = [0] * (len(right) + 1)
    for first in left:
        diagonal = 0
        for place, second in enumerate(right, start=1):
            diagonal, row[place] = row[place], diagonal + 1 if first == second else max(row[place], row[place - 1])
    return row[-1]


def rouge_l(left: str, right: str) -> float:
    first, second = words(left), words(right)
    return 2 * longest_common(first, second) / (len(first) + len(second))


def test_a_shared_run_of_words_is_a_match() -> None:
    text = "def f():\n    # " + PROMPT[:70].upper() + "\n    pass"
    match = Decontaminator(BENCHMARKS).match(text)
    assert match is not None
    assert match[:3] == ("humaneval", 2, MatchKind.NGRAM)
    assert match.score == pytest.approx(5 / 16)


def test_nine_shared_words_are_no_match_and_ten_are() -> None:
    spoken = words(PROMPT)
    decontaminator = Decontaminator(BENCHMARKS)
    filler = "entirely different things surround what has been taken from there because context matters so much here"
    assert decontaminator.match(f"{filler} {' '.join(spoken[3:12])} {filler}") is None
    assert decontaminator.match(f"{filler} {' '.join(spoken[3:13])} {filler}") is not None


def test_the_same_words_in_another_order_are_a_near_duplicate() -> None:
    match = Decontaminator(BENCHMARKS).match(
        "From the string, remove a given character: first and last occurrence, in python."
    )
    assert match is not None
    assert match[:3] == ("mbpp", 0, MatchKind.NEAR_DUPLICATE)
    assert match.score == pytest.approx(12 / 17)


def test_texts_of_a_few_words_are_no_ground() -> None:
    decontaminator = Decontaminator(BENCHMARKS)
    assert decontaminator.match("a b") is None
    assert decontaminator.match("") is None
    assert decontaminator.match("\x00" * 1000) is None


def test_all_at_once_equals_one_by_one() -> None:
    decontaminator = Decontaminator(BENCHMARKS)
    texts = [PROMPT, "nothing of the kind", "", "sum of two numbers return the", PROMPT[20:]] * 300
    findings = decontaminator.check(texts)
    assert findings[:5] == [Finding(decontaminator.match(text), decontaminator.overlap(text)) for text in texts[:5]]
    assert findings[-5:] == findings[:5]
    assert findings[0] == (Match("humaneval", 2, MatchKind.NGRAM, 1.0), 1.0)


def test_without_benchmarks_nothing_matches() -> None:
    nothing: list[dict[str, list[str]]] = [{}, {"none": []}, {"blank": ["", "  "]}]
    for empty in nothing:
        assert Decontaminator(empty).check(["any text"]) == [Finding(None, 0.0)]


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_overlap_is_the_largest_rouge_l(seed: int) -> None:
    chance = random.Random(seed)
    vocabulary = ["the", "a", "list", "of", "numbers", "string", "return", "sort"]
    texts = [" ".join(chance.choices(vocabulary, k=chance.randrange(1, 90))) for _ in range(12)]
    decontaminator = Decontaminator({"some": texts[:8]})
    for text in texts[8:]:
        expected = max(rouge_l(text, other) for other in texts[:8])
        assert decontaminator.overlap(text) == pytest.approx(expected, rel=1e-12)


def test_a_long_text_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROUGE_WORDS", 10)
    decontaminator = Decontaminator({"some": ["alpha beta gamma"]})
    assert decontaminator.overlap("filler " * 10 + "alpha beta gamma") == 0.0
    assert decontaminator.overlap("alpha beta gamma " + "filler " * 100) == pytest.approx(6 / 13)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Decontaminator({}, threshold=0.0)
    with pytest.raises(ValueError, match="ngram"):
        Decontaminator({}, ngram=1)
