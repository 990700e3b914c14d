from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiltyard_jobs.contracts.recipes import TaskSetRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks.base import Task
from tiltyard_jobs.evaluation.benchmarks.cruxeval import AssertionTask
from tiltyard_jobs.evaluation.programs import CodeTask
from tiltyard_jobs.evaluation.tasks import load_tasks

STORE = StoreRef(uri="file:///nowhere")
PLUS = {
    "task_id": "HumanEval/0", "prompt": "def f(x):\n", "entry_point": "f", "canonical_solution": "    return x\n",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
}  # fmt: skip
MBPP = {
    "task_id": 11, "text": "Write a function to add.", "code": "…", "test_setup_code": "import math",
    "test_list": ["assert set(add(1, 2)) == {3}", "assert add(0, 0) == 0"],
}  # fmt: skip
MBPP_PLUS = {"task_id": 2, "prompt": "Add.", "test_list": ["assert add(1, 2) == 3"], "test": "assert add(9, 9) == 18"}


def load(folder: Path, name: Any, *rows: dict[str, Any], most: int = 500) -> list[Task]:
    file = folder / "records.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_tasks(TaskSetRecipe(name=name, uri=file.as_uri(), rows=most), STORE)


def test_humaneval_comes_with_its_package() -> None:
    tasks = load_tasks(TaskSetRecipe(name="humaneval", rows=164), STORE)
    assert [task.task_id for task in tasks] == [f"HumanEval/{number}" for number in range(164)]
    assert isinstance(tasks[0], CodeTask)
    assert tasks[0].entry_point == "has_close_elements"
    assert tasks[0].check.endswith("check(has_close_elements)\n")


def test_a_record_of_cruxeval_is_two_tasks(tmp_path: Path) -> None:
    row = {"id": "sample_7", "code": "def f(x):\n    return x + 1", "input": "1", "output": "2"}
    assert load(tmp_path, "cruxeval_output", row) == [AssertionTask("sample_7", row["code"], "1", finds_output=True)]
    assert load(tmp_path, "cruxeval_input", row) == [AssertionTask("sample_7", row["code"], "2", finds_output=False)]
    with pytest.raises(ConfigurationError, match="a record of cruxeval_input has no 'output'"):
        load(tmp_path, "cruxeval_input", {name: text for name, text in row.items() if name != "output"})


def test_each_benchmarks_own_records(tmp_path: Path) -> None:
    assert load(tmp_path, "humaneval_plus", PLUS) == [
        CodeTask("HumanEval/0", "def f(x):\n", "f", PLUS["test"] + "\n\ncheck(f)\n")
    ]
    (task,) = load(tmp_path, "mbpp", MBPP)
    assert isinstance(task, CodeTask)
    assert task.prompt == '"""\nWrite a function to add.\nassert set(add(1, 2)) == {3}\n"""\n'
    assert (task.task_id, task.entry_point) == ("11", "add")
    assert task.check == "import math\nassert set(add(1, 2)) == {3}\nassert add(0, 0) == 0\n"
    (task,) = load(tmp_path, "mbpp_plus", MBPP_PLUS)
    assert isinstance(task, CodeTask)
    assert (task.entry_point, task.check) == ("add", "assert add(9, 9) == 18\n")


@pytest.mark.parametrize(
    ("name", "rows", "sentence"),
    [
        ("mbpp", [{**MBPP, "test_list": []}], "a record of mbpp cannot be read: test_list is not a list of texts"),
        ("humaneval_plus", [{"task_id": "1"}], "a record of humaneval_plus has no 'entry_point'"),
        ("humaneval_plus", [{**PLUS, "test": 3}], "a record of humaneval_plus cannot be read: test is int, not a text"),
        ("humaneval_plus", [PLUS, PLUS], "humaneval_plus has two records of one task_id"),
        ("mbpp", [MBPP, {**MBPP, "task_id": 12}], "mbpp has 1 to 1 tasks, given 2"),
    ],
)
def test_other_records_are_refused(tmp_path: Path, name: str, rows: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, name, *rows, most=1 if name == "mbpp" else 500)
    assert str(error.value) == f"spec.evaluation.benchmarks: {sentence}"
