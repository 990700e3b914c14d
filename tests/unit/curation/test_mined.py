import json
from pathlib import Path

import pytest

from tiltyard_jobs.curation.lint import LintIssue, lint
from tiltyard_jobs.curation.mined import clean

SAMPLES = Path(__file__).parent / "mined"
HONEST = [line.replace("\\n", "\n") for line in (SAMPLES / "honest.txt").read_text().splitlines()]
TEXTS = [json.loads(line) for line in (SAMPLES / "texts.jsonl").read_text().splitlines()]

CUT = [
    ("Q: How do I sort a list?", "How do I sort a list?"),
    ("**Question 2:** Why does it fail?", "Why does it fail?"),
    ("Reverse a list in place. /no_think", "Reverse a list in place."),
    ("Name three colours in a list.\n\nCertainly! Below is a list.", "Name three colours in a list."),
    ("Sort the words of a text.AssistantSure, use sorted.", "Sort the words of a text."),
    ("How do I read a file?\n\nIn Python, you can use `open`:\n\n```python\nopen(x)\n```", "How do I read a file?"),
    ("什么是闭包？\n\n以下是一个例子：闭包是函数。", "什么是闭包？"),
    ("When does it rain?\nAnswer: Tomorrow.", "When does it rain?"),
    ("Which is right?\n\nA) one\nB) two\n\nB) two", "Which is right?\n\nA) one\nB) two"),
    ("Sort the list.\n\nHere's a simple solution:\n\nsorted(x)", "Sort the list."),
]
REFUSED = [
    ("import numpy as np\n\nprint(np.zeros(3))", LintIssue.NO_REQUEST),
    ("def f(x):\n    return x\n```\n\nThis code defines a function that returns its argument.", LintIssue.NO_REQUEST),
    ("# Sorting\n\nSorting puts things in order.\n\n## Kinds\n\nThere are many kinds.", LintIssue.NO_REQUEST),
    ("You are a helpful assistant. You answer questions.", LintIssue.ASSISTANT_VOICE),
    ("I am Qwen, a large language model created by Alibaba Cloud.", LintIssue.ASSISTANT_VOICE),
    ("Qwen: I'm sorry, but I can't assist with that.", LintIssue.ASSISTANT_VOICE),
    (", and then the loop ends with a list of names.", LintIssue.FRAGMENT),
]


@pytest.mark.parametrize("text", HONEST)
def test_honest_requests_stay_as_they_are(text: str) -> None:
    assert clean(text).text == text
    assert lint(text) is None


@pytest.mark.parametrize(("text", "request_alone"), CUT)
def test_what_is_no_part_of_the_request_is_taken_off(text: str, request_alone: str) -> None:
    assert clean(text).text == request_alone
    assert clean(request_alone).text == request_alone
    assert lint(request_alone) is None


@pytest.mark.parametrize(("text", "issue"), REFUSED)
def test_what_asks_for_nothing_is_dropped(text: str, issue: LintIssue) -> None:
    assert lint(clean(text).text) is issue


def test_of_the_texts_of_a_real_model_requests_are_kept_and_most_others_are_not() -> None:
    kept = {row["id"]: clean(row["text"]) for row in TEXTS if lint(clean(row["text"]).text) is None}
    requests = [row for row in TEXTS if row["label"] == "request"]
    alone = sum(
        row["label"] == "request" or (row["label"] == "answer" and kept[row["id"]].answer)
        for row in TEXTS
        if row["id"] in kept
    )
    assert sum(row["id"] in kept for row in requests) >= 0.95 * len(requests)
    assert alone >= 0.85 * len(kept)  # 0.59 without these rules
