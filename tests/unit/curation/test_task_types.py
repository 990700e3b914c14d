import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation.task_types import RULES, Rule, TaskType, task_type

EXAMPLES = {
    TaskType.GENERATION: [
        "Write a Python function that returns the n-th Fibonacci number.",
        "Create a REST API in Go with endpoints to add and list users.",
        "Given an array of integers, return the indices of the two numbers that add up to a target.",
        "Convert this Java method to Python:\n\nint f(int x) { return x * 2; }",
        "How can I read a CSV file in R and plot the second column?",
        "Design an efficient algorithm to find the k-th largest element of a stream and implement it in C++.",
    ],
    TaskType.DEBUGGING: [
        "Fix the bug in this code: for i in range(len(a)): a[i+1] = 0",
        "My program throws a NullPointerException when I call getName(). What is wrong?",
        "I get the following error when I run my script: TypeError: unsupported operand",
        "Why does this function return undefined? function f() { return\n 1; }",
        "The following JavaScript code does not work. Find the mistake.",
    ],
    TaskType.OPTIMISATION: [
        "Optimize the following SQL query so that it uses an index.",
        "Refactor this class to use dependency injection.",
        "Make this loop faster: for x in xs: ys.append(x * 2)",
        "Improve the readability of the code below.",
    ],
    TaskType.TESTING: [
        "Write unit tests for a function that validates email addresses using pytest.",
        "Create test cases for the following Stack class.",
        "Generate integration tests that cover the login endpoint.",
    ],
    TaskType.EXPLANATION: [
        "Explain what the following code does:\n\nprint(*map(int, input().split()))",
        "What does this function do? def f(x): return x & -x",
        "What will the output of this program be?",
        "Describe how this regular expression works line by line.",
    ],
    TaskType.THEORY: [
        "What is the difference between a process and a thread?",
        "Explain the concept of dependency injection.",
        "What are the advantages of functional programming?",
        "How does garbage collection work in the JVM?",
        "What is the time complexity of binary search?",
    ],
    TaskType.OTHER: ["Hello there, my friend.", "", "The weather in Paris in May."],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in EXAMPLES.items() for text in texts])
def test_examples(kind: TaskType, text: str) -> None:
    assert task_type(text) is kind


def every_pattern_tried(text: str) -> TaskType:
    scores: Counter[TaskType] = Counter()
    for kind, rules in RULES.items():
        for rule in rules:
            match = re.search(rule.pattern, text, re.IGNORECASE)
            if match:
                scores[kind] += rule.weight * (2 if match.start() < 160 else 1)
    best = max(scores.values(), default=0)
    return next((kind for kind in TaskType if best and scores[kind] == best), TaskType.OTHER)


WORDS = sorted({word for rules in RULES.values() for rule in rules for words in rule.words for word in words.split()})
GLUE = ["a", "the", "is", "not", "that", "you", "to", "from", "python", "c++", "unit", "up", "by", "and", "of", "wrong"]
ODD = ["TypeError:", "fails", "crashes", "x_fix", "3", "é", "\u017ftack trace", "\u212a", "\u0130\u0131", ". ", "?\n"]


@given(
    st.lists(st.sampled_from([*WORDS, *GLUE, *ODD]), max_size=40).flatmap(
        lambda words: st.sampled_from([" ", "-", "'", "  "]).map(lambda between: between.join(words))
    ),
    st.booleans(),
)
@settings(max_examples=500)
def test_words_leave_out_no_pattern_that_matches(text: str, upper: bool) -> None:
    text = text.upper() if upper else text
    assert task_type(text) is every_pattern_tried(text)


@pytest.mark.parametrize("rule", [rule for rules in RULES.values() for rule in rules], ids=lambda rule: rule.pattern)
@given(data=st.data())
@settings(max_examples=60)
def test_what_a_rule_matches_has_its_words(rule: Rule, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(rule.pattern, fullmatch=True))
    assert task_type(text) is every_pattern_tried(text)


def test_hostile_text_costs_little() -> None:
    assert task_type("write " * 200_000) is TaskType.GENERATION
    assert task_type("why " + "e" * 1_000_000) is TaskType.OTHER
