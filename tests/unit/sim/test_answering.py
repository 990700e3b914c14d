"""Quality follows skill and difficulty, and can partly be seen in the text."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.sim.answering import answer_quality, write_answer
from tiltyard_jobs.sim.assessment import assess
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.parameters import SimParameters, parse_sim_uri

EASY = "Write a function that reverses a string."
HARD = EASY + " It must run in O(n). It must be thread-safe. Never copy. Prove that it ends. Use at most 3 names."


def expert(skill: float, more: str = "") -> SimParameters:
    return parse_sim_uri(f"sim://x?spread=0&skill={skill}{more}")


def answers(parameters: SimParameters, instruction: str = EASY, count: int = 300) -> list[str]:
    texts = (f"{instruction} Case {row}." for row in range(count))
    return [write_answer(parameters, text, Chance("answers", row), 0.7) for row, text in enumerate(texts)]


def seen(texts: list[str]) -> float:
    return statistics.mean(assess(text).quality for text in texts)


def test_what_is_seen_grows_with_skill_and_falls_with_difficulty() -> None:
    by_skill = [seen(answers(expert(skill), count=150)) for skill in (0.2, 0.4, 0.6, 0.8)]
    assert all(later - earlier > 0.1 for earlier, later in pairwise(by_skill))
    assert seen(answers(expert(0.6), HARD)) < by_skill[2] - 0.1


def test_latent_and_seen_quality_agree_but_not_wholly() -> None:
    parameters = expert(0.5)
    latent, read = [], []
    for row, text in enumerate(answers(parameters, count=500)):
        instruction = f"{EASY} Case {row}."
        affinity = Chance(parameters.seed, "affinity", instruction)
        latent.append(answer_quality(parameters, instruction, affinity, Chance("answers", row), 0.7))
        read.append(assess(text).quality)
    assert 0.5 < statistics.correlation(latent, read) < 0.97


def test_verbosity_adds_length_and_no_quality() -> None:
    terse, wordy = answers(expert(0.6, "&verbosity=0")), answers(expert(0.6, "&verbosity=1"))
    assert statistics.mean(map(len, wordy)) > 1.3 * statistics.mean(map(len, terse))
    assert abs(seen(wordy) - seen(terse)) < 0.05


@settings(deadline=None, max_examples=50)
@given(st.text(), st.integers())
def test_any_instruction_has_an_answer_and_any_text_an_assessment(instruction: str, seed: int) -> None:
    text = write_answer(expert(0.6), instruction, Chance(seed), 1.0)
    assert text.count("```") % 2 == 0
    assert 0 <= assess(instruction).quality <= 1


@pytest.mark.parametrize("text", ["", " \n", "```python\ndef f():", "x" * 2_000_000, "1. " * 500_000, "\n- " * 500_000])
def test_hostile_texts_are_read_in_bounded_time(text: str) -> None:
    assert assess(text).quality < 0.6


def test_a_flaw_a_hedge_and_a_vague_step_each_cost() -> None:
    good = "1. Read it.\n2. Sort it.\n3. Return it.\n\n```python\nreturn sorted(x)\n```\n\n- Empty input."
    full = assess(good).quality
    for worse in ("\n# FIXME: off by one", "\nI have not run this.", "\n4. Then somehow finish."):
        assert assess(good + worse).quality < full
