from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from support.benchmarks import snippet_benchmark, suite_benchmark
from tiltyard_jobs.contracts.recipes import TaskSetRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks.base import SolvedTask
from tiltyard_jobs.evaluation.tasks import load_tasks


def load(folder: Path, name: Any, lines: str) -> list[SolvedTask]:
    file = folder / "records.jsonl"
    file.write_text(lines)
    tasks = load_tasks(TaskSetRecipe(name=name, uri=file.as_uri(), rows=10), StoreRef(uri="file:///nowhere"))
    return [task for task in tasks if isinstance(task, SolvedTask)]


def passes(program: str) -> bool:
    with contextlib.suppress(Exception):
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
        return True
    return False


@pytest.fixture
def snippets(tmp_path: Path) -> list[SolvedTask]:
    return load(tmp_path, "ds1000", snippet_benchmark(4))


@pytest.fixture
def suites(tmp_path: Path) -> list[SolvedTask]:
    return load(tmp_path, "bigcodebench", suite_benchmark(2))


def test_the_authors_solutions_pass(snippets: list[SolvedTask], suites: list[SolvedTask]) -> None:
    assert [task.task_id for task in (*snippets, *suites)] == ["0", "1", "2", "3", "BigCodeBench/0", "BigCodeBench/1"]
    assert all(passes(task.reference()) for task in (*snippets, *suites))


@pytest.mark.parametrize(
    "reply",
    [
        "<code>\nresult = x + 3\n</code>",
        "Here it is: <code>result = x + 3</code> as you asked.",
        "Sure!\n\n```python\nresult = x + 3\n```\nThat adds 3.",
        "<code>\n```python\nresult = x + 3\n```\n</code>",
        "result = x + 3\nEND SOLUTION\nwhatever",
        "result = x + 3",
    ],
)
def test_a_snippet_is_found_in_a_reply(snippets: list[SolvedTask], reply: str) -> None:
    assert passes(snippets[3].from_chat(reply))
    assert not passes(snippets[3].from_chat(reply.replace("3", "2")))


def test_a_snippet_keeps_its_indentation(snippets: list[SolvedTask]) -> None:
    reply = "<code>\n    result = x + 3\n</code>"
    assert "    result = x + 3" in snippets[3].from_chat(reply)


def test_a_snippet_must_do_it_as_the_task_asks(snippets: list[SolvedTask]) -> None:
    looped = "result = x\nfor _ in range({}):\n    result += 1\n"
    assert passes(snippets[2].from_completion(looped.format(2)))
    assert not passes(snippets[3].from_completion(looped.format(3)))


def test_a_raw_completion_of_a_snippet_ends_with_it(snippets: list[SolvedTask]) -> None:
    task = snippets[1]
    assert passes(task.from_completion("result = x + 1\n</code>\nraise ValueError"))
    assert passes(task.from_completion("result = x + 1\n# SOLUTION END\nraise ValueError"))
    assert len(task.stops) <= 4


@pytest.mark.parametrize(
    "reply",
    [
        "```python\ndef task_func(x):\n    return x + 1\n```",
        "```python\nimport math\ndef task_func(x):\n    return x + 1\n\nassert task_func(1) == 2\n```",
        "```python\n    return x + 1\n```",
    ],
)
def test_a_function_is_found_in_a_reply(suites: list[SolvedTask], reply: str) -> None:
    assert passes(suites[1].from_chat(reply))
    assert not passes(suites[1].from_chat(reply.replace("x + 1", "x + 3")))


def test_a_raw_completion_ends_with_the_function(suites: list[SolvedTask]) -> None:
    assert passes(suites[1].from_completion("    return x + 1\n\ndef other():\n    raise ValueError\nother()\n"))


def test_what_fails_names_a_test_and_how_many_there_are(suites: list[SolvedTask]) -> None:
    with pytest.raises(AssertionError, match=r"^2 of 2 tests: AssertionError: 5 != 2$"):
        exec(suites[1].from_completion("    return 5\n"), {})
    with pytest.raises(AssertionError, match="no test ran"):
        exec(suites[1].reference().replace("def test_", "def not_"), {})


def test_a_program_that_ends_early_has_not_passed_its_tests(suites: list[SolvedTask]) -> None:
    with pytest.raises(AssertionError, match="2 of 2 tests: SystemExit"):
        exec(suites[1].from_completion("    raise SystemExit(0)\n"), {})


def test_records_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a record of ds1000 has no 'metadata'"):
        load(tmp_path, "ds1000", '{"prompt": "a"}\n')
    with pytest.raises(ConfigurationError, match="metadata is list, not an object"):
        load(tmp_path, "ds1000", '{"prompt": "a", "metadata": []}\n')
    with pytest.raises(ConfigurationError, match="a record of bigcodebench has no 'complete_prompt'"):
        load(tmp_path, "bigcodebench", '{"task_id": "a"}\n')
