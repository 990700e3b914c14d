"""Benchmarks of small tasks, in the forms in which the known ones are published."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def small_benchmark(count: int) -> str:
    """As EvalPlus publishes HumanEval+: `count` tasks, each of which adds another number."""
    rows = (
        {
            "task_id": f"T/{n}",
            "prompt": f'def add_{n}(x):\n    """Return x plus {n}."""\n',
            "entry_point": f"add_{n}",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        }
        for n in range(count)
    )
    return _lines(rows)


_CONTEXT = """\
def exec_test(result, expected):
    assert result == expected
    return 1


exec_context = r'''
IMPORT
x = test_input
[insert]
'''


def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    for number in range(3):
        environment = {"test_input": number}
        exec(code, environment)
        assert exec_test(environment["result"], number + ADDEND)
"""
_NO_LOOPS = """\


def test_string(solution: str):
    assert "for" not in solution
"""


def snippet_benchmark(count: int, imports: str = "") -> str:
    """As DS-1000 is published: `count` tasks, each of which adds another number; the odd ones forbid loops.

    Args:
        count: of tasks.
        imports: a line that stands before each snippet.
    """
    rows = (
        {
            "prompt": f"Problem:\nAdd {n} to x.\nA:\n<code>\nx = test_input\n</code>\nresult = ... # put it here\n"
            "BEGIN SOLUTION\n<code>\n",
            "code_context": _CONTEXT.replace("IMPORT", imports).replace("ADDEND", str(n))
            + (_NO_LOOPS if n % 2 else ""),
            "reference_code": f"result = x + {n}",
            "metadata": {"problem_id": n, "library": "Python"},
        }
        for n in range(count)
    )
    return _lines(rows)


def suite_benchmark(count: int) -> str:
    """As BigCodeBench is published: `count` tasks, each of which adds another number."""
    rows = (
        {
            "task_id": f"BigCodeBench/{n}",
            "complete_prompt": f'import math\ndef task_func(x):\n    """Return x plus {n}."""\n',
            "code_prompt": "import math\ndef task_func(x):\n",
            "canonical_solution": f"    return x + {n}",
            "entry_point": "task_func",
            "test": "import unittest\n"
            "from unittest.mock import patch\n"
            "class TestCases(unittest.TestCase):\n"
            "    def test_one(self):\n"
            f"        self.assertEqual(task_func(1), {n + 1})\n"
            "    @patch('__test__.math.floor', return_value=7)\n"
            "    def test_two(self, floor):\n"
            f"        self.assertEqual(task_func(math.floor(0.5)), {n + 7})\n",
        }
        for n in range(count)
    )
    return _lines(rows)


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
