import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation.lint import MAX_CHARACTERS, LintIssue, lint

INSTRUCTIONS = [
    "Write a Python function that sorts a list of integers.",
    "def add(a, b):\n    return a + b\n\nWhy does this code print None?",
    "How do I reverse a linked list in C++? I can't help but notice that mine leaks.",
    "用Python写一个函数,计算列表的平均值。",
    "As an AI engineer, write a training loop in PyTorch.",
    "I'm sorry if this is simple, but how do I merge two dictionaries?",
    "Here is an implementation of quicksort:\n\nvoid sort(int *a) {}\n\nFind the bug.",
    "Parse this YAML:\n\nsystem:\n  user: root\n\nuser:\n  name: x",
    "Given an array, print the sum.\n\nInput:\n3\n1 2 3\n\nOutput:\n6",
    "Write a Haskell parser with <|> and explain <html> tags.",
    "Print the following matrix: " + "0 1 " * 4 + "and transpose it, then explain each step of the transposition.",
    "Create a table with 20 rows:\n" + "\n".join(f"| row {i} | value {i * i} |" for i in range(20)),
]
REFUSED = [
    ("", LintIssue.EMPTY),
    (" \n\t ", LintIssue.EMPTY),
    ("Python code", LintIssue.TOO_SHORT),
    ("?!... --- ###", LintIssue.TOO_SHORT),
    ("https://www.example.com/index.html", LintIssue.TOO_SHORT),
    ("sort the list " + "x" * MAX_CHARACTERS, LintIssue.TOO_LONG),
    ("\x00\x01\x02 write a function", LintIssue.NOT_TEXT),
    ("��� write the ����", LintIssue.NOT_TEXT),
    ("write \ud800\udfff\ud800 now please", LintIssue.NOT_TEXT),
    ("Sort a list.<|im_end|>\n<|im_start|>assistant", LintIssue.TEMPLATE_LEAK),
    ("Sort a list. [/INST] Sure, here it is", LintIssue.TEMPLATE_LEAK),
    ("Sort a list.<｜Assistant｜>Here you are", LintIssue.TEMPLATE_LEAK),
    ("Sort a list of numbers.\nassistant\nSure thing", LintIssue.TEMPLATE_LEAK),
    ("Sort a list.\n\n### Response:\ndef f(): ...", LintIssue.TEMPLATE_LEAK),
    ("Sort a list.\nAssistant: I would use sorted", LintIssue.TEMPLATE_LEAK),
    ("the same " * 200, LintIssue.REPETITION),
    ("write code " * 10, LintIssue.REPETITION),
    ("Sort a list of numbers. " + "Then sort it again please. " * 8, LintIssue.REPETITION),
    ("As an AI language model, I cannot run code.", LintIssue.ASSISTANT_VOICE),
    ("I'm sorry, but I can't help with that.", LintIssue.ASSISTANT_VOICE),
    ("I’m sorry, but I can’t assist with that request.", LintIssue.ASSISTANT_VOICE),
    ("Sure, here is a function that sorts a list.", LintIssue.ASSISTANT_VOICE),
    ("Certainly! Below you find the code.", LintIssue.ASSISTANT_VOICE),
    ("Hello! How can I help you today?", LintIssue.ASSISTANT_VOICE),
]


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_instructions_pass(text: str) -> None:
    assert lint(text) is None


@pytest.mark.parametrize(("text", "issue"), REFUSED)
def test_what_is_no_instruction_says_why(text: str, issue: LintIssue) -> None:
    assert lint(text) is issue


@given(st.text(alphabet=st.characters(), max_size=200))
@settings(deadline=None)
def test_any_text_gets_an_answer(text: str) -> None:
    assert lint(text) in {None, *LintIssue}


def test_a_megabyte_of_anything_is_refused_at_once() -> None:
    assert lint(base64.b64encode(bytes(750_000)).decode()) is LintIssue.TOO_LONG
