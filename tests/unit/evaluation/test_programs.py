from __future__ import annotations

import pytest

from tiltyard_jobs.evaluation.programs import CodeTask

HEADER = 'from typing import List\n\n\ndef largest(values: List[int]) -> int:\n    """The largest."""\n'
BODY = "    return max(values)\n"
CHECK = "assert largest([1, 2]) == 2\n"
TASK = CodeTask("T/0", HEADER, "largest", CHECK)
MBPP = CodeTask("601", '"""\nWrite a function to add.\nassert add(1, 2) == 3\n"""\n', "add", "assert add(1, 2) == 3\n")
ADD = "def add(a, b):\n    return a + b\n"


def passes(program: str) -> bool:
    try:
        exec(compile(program, "p", "exec"), {})
    except Exception:
        return False
    return True


@pytest.mark.parametrize(
    "reply",
    [
        f"```python\n{HEADER}{BODY}```",
        f"Sure!\n\n```python\n{HEADER}{BODY}```\nIt uses `max`.\n\n```python\nprint(largest([]))\n```",
        f"```\nprint(1)\n```\n```py\n{HEADER}{BODY}```",
        f"```python\ndef largest(values: List[int]) -> int:\n{BODY}```",  # without the import, which the task has
        "```python\nimport functools\nlargest = lambda values: functools.reduce(max, values)\n```",
        f"```python\n{BODY}```",  # the body alone
        f"{HEADER}{BODY}",  # no fence at all
        f"```python\n{HEADER}{BODY}",  # cut before the fence was closed
        f"~~~python\n{HEADER}{BODY}~~~",
        f"```python\n{HEADER}    return min(values)\n```\nNo, that is the least.\n```python\n{HEADER}{BODY}```",
    ],
)
def test_the_code_of_a_chat_reply_is_found(reply: str) -> None:
    assert passes(TASK.from_chat(reply))


@pytest.mark.parametrize(
    "reply", ["I cannot do that.", "```python\n```", "```sql\nSELECT 1\n```", "", "def largest(values): return 0"]
)
def test_what_is_no_solution_fails(reply: str) -> None:
    assert not passes(TASK.from_chat(reply))


@pytest.mark.parametrize(
    "reply",
    [
        BODY,
        f"{BODY}\n\ndef another():\n    raise SystemExit\n\nanother()\n",
        f"{BODY}\nprint(largest([]))\n",
        f"{BODY}\n# Test\nassert False\n",
        f"{BODY}\n```\nThat is all.\n",
    ],
)
def test_a_completion_ends_with_its_function(reply: str) -> None:
    assert passes(TASK.from_completion(reply))


def test_a_task_without_a_header_takes_the_whole_program() -> None:
    assert passes(MBPP.from_completion(ADD))
    assert passes(MBPP.from_chat(f"```python\n{ADD}```"))
    assert not passes(MBPP.from_chat("```python\ndef add(a, b):\n    return a - b\n```"))


def test_the_task_stands_in_the_message_whole() -> None:
    assert HEADER.rstrip() in TASK.message()
