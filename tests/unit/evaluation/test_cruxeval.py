"""CRUXEval: what is asked, and which answers hold."""

from __future__ import annotations

import pytest

from tiltyard_jobs.evaluation.benchmarks.cruxeval import AssertionTask

CODE = "def f(text, times=1):\n    return sorted(set(text)) * times"
OUTPUT = AssertionTask("sample_0", CODE, "'abca', 1", finds_output=True)
INPUT = AssertionTask("sample_0", CODE, "['a', 'b', 'c']", finds_output=False)
TWICE = AssertionTask("sample_1", "def f(x):\n    return set(x)", "set()", finds_output=False)


def passes(program: str) -> bool:
    try:
        exec(compile(program, "p", "exec"), {})
    except Exception:
        return False
    return True


def test_what_is_asked() -> None:
    assert OUTPUT.prompt == f"{CODE}\n\nassert f('abca', 1) =="
    assert INPUT.prompt == f"{CODE}\n\nassert f("
    assert "assert f('abca', 1) == ??\n```" in OUTPUT.message()
    assert "assert f(??) == ['a', 'b', 'c']\n```" in INPUT.message()


@pytest.mark.parametrize(
    "reply",
    [
        "```python\nassert f('abca', 1) == ['a', 'b', 'c']\n```",
        "It sorts.\n```\nassert f('abca', 1) == ['a'] + ['b', 'c']\n```\nDone.",
        "assert f('abca',1) == ['a', 'b', 'c']",
        "```\n['a', 'b', 'c']\n```",
        "`['a', 'b', 'c']`",
    ],
)
def test_an_output_is_found_in_a_reply(reply: str) -> None:
    assert passes(OUTPUT.from_chat(reply))


@pytest.mark.parametrize(
    "reply",
    [
        "```python\nassert f('abc') == ['a', 'b', 'c']\n```",
        "```python\nassert f(text='cab', times=1) == ['a', 'b', 'c']\n```",
        "'abc', 1",
        "assert f(*['abc'])",
    ],
)
def test_arguments_are_found_in_a_reply(reply: str) -> None:
    assert passes(INPUT.from_chat(reply))


def test_a_raw_completion_ends_with_its_line() -> None:
    assert passes(OUTPUT.from_completion(" ['a', 'b', 'c']\nassert f('x') == 3"))
    assert passes(INPUT.from_completion("'abc') == ['a', 'b', 'c']\nassert False"))
    assert not passes(OUTPUT.from_completion("\n['a', 'b', 'c']"))


def test_the_empty_set_is_a_value() -> None:
    assert passes(TWICE.from_chat("assert f(set()) == set()"))
    assert not passes(TWICE.from_chat("assert f(frozenset([])) == set()"))  # a call with arguments is none


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "['a', 'b']",
        "f('abca', 1)",
        "(lambda: ['a', 'b', 'c'])()",
        "sorted(set('abca'))",
        "[x for x in 'abc']",
        "''.__class__",
        "['a', 'b', 'c'])\nassert ((1) == 1",
        "1) or (1",
        "(" * 500,
        "I do not know.",
    ],
)
def test_a_wrong_answer_and_one_that_computes_fail(reply: str) -> None:
    assert not passes(OUTPUT.from_completion(reply))
    assert not passes(OUTPUT.from_chat(reply))


@pytest.mark.parametrize(
    "reply", ["'abd'", "'abc') or f('abc'", "'abc')(", "f('abc')", "x := 'abc'", "open('/etc/passwd')"]
)
def test_wrong_arguments_fail(reply: str) -> None:
    assert not passes(INPUT.from_chat(reply))
    assert not passes(INPUT.from_completion(reply))
