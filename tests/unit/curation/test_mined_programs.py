"""Programs and announcements behind mined requests: what is handed out is cut, what is handed over stays."""

from __future__ import annotations

import pytest

from tiltyard_jobs.curation.lint import LintIssue, lint
from tiltyard_jobs.curation.mined import clean

PROGRAM = """```python
def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result
```"""
MANY = "\n".join(f"    print({number})" for number in range(12))

HANDED_OUT = [
    (
        "The problem is to create a function that adds numbers.",
        f" Here's the code:\n\n{PROGRAM}\n\nThis function adds.",
    ),
    ("You need to write a function that adds numbers.", f"\n\nHere's the function:\n\n{PROGRAM}\n\nIt uses a loop."),
    ("**Task**: Write a program that counts to ten.", f" Here's an example:\n\n```python\ndef main():\n{MANY}\n```\n"),
    (
        "Please give an example of a list comprehension that squares numbers in a list.",
        "\n\nHere's an example of a list comprehension that squares numbers in a list:\n\n```python\n[n * n for n in x]"
        "\n```",
    ),
    (
        "Answer the question by the table.\n\n| id | name |\n|---|---|\n| 1 | Ada |\n",
        "To answer the question, I'll look for the row with id 1.",
    ),
    ("To make code faster, how can we choose another solution?", "\n\nOne way to do so is to use a cache."),
    ("Write a poem about the sea in four lines.", "\nI'm sorry, but I can't help with that."),
]
HANDED_OVER = [
    f"Write a test for it. Here's the function I wrote:\n\n{PROGRAM}",
    f"Write a function that adds. Here's the code:\n\n{PROGRAM}\n\nHowever, it fails with a TypeError. Can you fix it?",
    f"Is the code in the provided function correct?\n\nHere's the Python function:\n\n{PROGRAM}",
    "Write a function that adds numbers. Here's an example:\n\n```python\nprint(total([1, 2]))  # 3\n```",
    "I need to create a program in Python that guesses a number. It should ask until the guess is right.",
    "To solve this problem, I need to create a function that returns the sum of a list and handles errors.",
    "Which of these is larger, the list [G, H, I] or the list [J, K]?",
]
VOICES = [
    "Certainly! Please provide the tasks and questions you are looking for.",
    "That's fantastic! I'm glad to hear that. Are there any areas where you would like to improve?",
    "<answer>\nYou can use a list for this, and sort it once all is read.\n</answer>",
    "# Qwen\n\n你好！如何我可以帮助你？",
]


@pytest.mark.parametrize(("request_alone", "behind"), HANDED_OUT)
def test_what_is_handed_out_behind_a_request_is_cut(request_alone: str, behind: str) -> None:
    assert clean(request_alone + behind).text.strip() == request_alone.strip()
    assert lint(request_alone) is None


@pytest.mark.parametrize("text", HANDED_OVER)
def test_what_a_user_hands_over_stays(text: str) -> None:
    assert clean(text).text == text
    assert lint(text) is None


@pytest.mark.parametrize("text", VOICES)
def test_an_assistant_that_asks_for_work_or_answers_is_dropped(text: str) -> None:
    assert lint(clean(text).text) is LintIssue.ASSISTANT_VOICE


def test_a_task_and_its_program_that_begin_like_an_answer_are_one() -> None:
    text = f"To solve this problem, you need to write a function that adds. Here's the code:\n\n{PROGRAM}\n\nIt adds."
    assert lint(clean(text).text) is LintIssue.NO_REQUEST
