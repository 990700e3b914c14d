from __future__ import annotations

from tiltyard_jobs.results.contamination import Contamination

MERGE = "Given a list of intervals merge all of those that overlap and return the result sorted by start."
PRIME = "Write a function that tells whether a positive number is a prime number and explain its running time."


def test_the_first_benchmark_that_is_repeated_and_all_counted() -> None:
    watch = Contamination({"one": [MERGE], "two": [PRIME, MERGE]})
    assert watch.survey([MERGE, PRIME, "Something else entirely."]) == ["one", "two", None]
    one, two = watch.overlaps()
    assert (one.benchmark, one.items, one.matched) == ("one", 1, 1)
    assert (two.benchmark, two.items, two.matched) == ("two", 2, 2)
    assert sum(one.histogram) == sum(two.histogram) == 3
    assert (one.histogram[9], two.histogram[9]) == (1, 2)  # an overlap of 1 is in the last bin


def test_answers_count_as_matches_and_not_in_the_histogram() -> None:
    watch = Contamination({"one": [MERGE]})
    assert watch.repeats(f"Sure! {MERGE}") == "one"
    assert watch.repeats("def add(a, b): return a + b") is None
    (one,) = watch.overlaps()
    assert (one.matched, sum(one.histogram)) == (1, 0)


def test_no_benchmark_finds_nothing() -> None:
    watch = Contamination({})
    assert watch.survey([MERGE, PRIME]) == [None, None]
    assert watch.repeats(MERGE) is None
    assert watch.overlaps() == ()


def test_survey_keeps_the_order_over_many_blocks() -> None:
    watch = Contamination({"one": [MERGE]})
    texts = [MERGE if row % 7 == 0 else f"Task number {row} of many." for row in range(1200)]
    assert watch.survey(iter(texts)) == ["one" if row % 7 == 0 else None for row in range(1200)]
