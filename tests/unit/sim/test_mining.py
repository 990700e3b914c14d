"""Mined instructions are many, of the expert's favoured kinds, of all difficulties, with some repeats and some junk."""

from __future__ import annotations

from collections import Counter

import pytest

from tiltyard_jobs.sim import mining
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.domains import Domain, read_instruction
from tiltyard_jobs.sim.mining import write_instruction
from tiltyard_jobs.sim.parameters import parse_sim_uri


def mined(uri: str, count: int = 1500, temperature: float = 0.8) -> list[str]:
    parameters = parse_sim_uri(uri)
    return [write_instruction(parameters, Chance(uri, row), temperature) for row in range(count)]


def test_most_instructions_are_distinct_and_none_has_an_open_slot() -> None:
    texts = mined("sim://a")
    assert len(set(texts)) > 0.93 * len(texts)
    assert not any("{name}" in text or "{thing}" in text or "{field}" in text for text in texts)


def test_an_expert_writes_of_what_it_is_good_at() -> None:
    texts = mined("sim://a?skill=0.4&skill.testing=0.9&spread=0", 600)
    kinds = Counter(read_instruction(text).domain for text in texts)
    assert kinds.most_common(1)[0][0] is Domain.TESTING
    assert 0.4 < kinds[Domain.TESTING] / 600 < 0.8
    assert len(kinds) == 7


def test_difficulties_range_from_trivial_to_hard_and_junk_has_none() -> None:
    grades = Counter(round(1 + 9 * read_instruction(text).difficulty) for text in mined("sim://a?junk=0"))
    assert min(grades) <= 2
    assert max(grades) == 10
    kept = sum(count for grade, count in grades.items() if grade >= 6) / grades.total()
    assert 0.3 < kept < 0.8
    junk = mined("sim://a?junk=1", 300)
    assert all(read_instruction(text).difficulty == 0 for text in junk)


def test_the_shares_of_junk_and_repeats_are_those_of_the_uri() -> None:
    assert mined("sim://a?junk=0&duplicates=0").count("") == 0
    junk = sum(read_instruction(text).difficulty == 0 for text in mined("sim://a?junk=0.2&duplicates=0"))
    assert 0.16 < junk / 1500 < 0.24
    once = mined("sim://a?junk=0&duplicates=0")
    assert len(set(once)) > 0.995 * len(once)
    popular = mined("sim://a?junk=0&duplicates=1")
    assert 7 * 24 < len(set(popular)) < 0.9 * len(popular)


@pytest.mark.parametrize("domain", list(Domain))
def test_the_kind_of_an_instruction_can_be_read_from_its_text(domain: Domain) -> None:
    texts = [mining._compose(domain, Chance("kinds", domain, row)) for row in range(150)]
    assert sum(read_instruction(text).domain is domain for text in texts) >= 143


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Write a function that reverses a string.", Domain.GENERATION),
        ("My program crashes with IndexError, can you help me find the bug?", Domain.DEBUGGING),
        ("Explain how does quicksort work?", Domain.EXPLANATION),
        ("Write an SQL query that lists all customers without orders.", Domain.DATA),
        ("Find the longest increasing subsequence with dynamic programming.", Domain.ALGORITHMS),
    ],
)
def test_instructions_of_people_are_read_as_well(text: str, domain: Domain) -> None:
    reading = read_instruction(text)
    assert reading.domain is domain
    assert 0 < reading.difficulty < 0.5


@pytest.mark.parametrize("text", ["", "Hello", "<b>Write a function.</b>", "Write a function that", "x" * 1_000_000])
def test_what_is_no_instruction_has_no_difficulty(text: str) -> None:
    assert read_instruction(text).difficulty == 0
