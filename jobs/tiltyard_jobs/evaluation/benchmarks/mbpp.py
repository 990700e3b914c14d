"""MBPP (Austin et al., arXiv 2108.07732), its test split, and MBPP+ (EvalPlus: Liu et al., arXiv 2305.01210).

Records of MBPP have `task_id`, `text`, `code`, `test_setup_code` and `test_list`; those of MBPP+ `task_id`, `prompt`,
`test_list` and `test`, a program.
"""

from __future__ import annotations

import re

from tiltyard_jobs.evaluation.benchmarks.base import Benchmark, HubDataset, Record, identifier, text, texts
from tiltyard_jobs.evaluation.programs import CodeTask

# Functions of Python's own that a test may call before the one that it is about.
_OTHERS = {"set", "sorted", "tuple", "list", "dict", "len", "str", "int", "float", "abs", "round", "isclose", "sum"}


def _read(record: Record) -> CodeTask:
    tests = texts(record, "test_list")
    setup = record.get("test_setup_code") or ""
    prompt = _docstring(text(record, "text"), tests)
    return CodeTask(identifier(record), prompt, _called(tests), "\n".join([setup, *tests, ""]))


def _read_plus(record: Record) -> CodeTask:
    tests = texts(record, "test_list")
    prompt = _docstring(text(record, "prompt"), tests)
    return CodeTask(identifier(record), prompt, _called(tests), text(record, "test") + "\n")


def _docstring(task: str, tests: list[str]) -> str:
    """As EvalPlus asks for MBPP's: the task and its first test, which names the function."""
    return f'"""\n{task.strip()}\n{tests[0].strip()}\n"""\n'


def _called(tests: list[str]) -> str | None:
    """The function that a test is about: the first name that is called and is none of Python's own."""
    names = re.findall(r"\b([A-Za-z_]\w*)\s*\(", tests[0])
    return next((name for name in names if name not in _OTHERS), None)


BENCHMARKS = {
    "mbpp": Benchmark(
        title="MBPP",
        hub=HubDataset("google-research-datasets/mbpp", "full"),
        read=_read,
        texts=("text", "code"),
        paper=0.762,
    ),
    "mbpp_plus": Benchmark(
        title="MBPP+", hub=HubDataset("evalplus/mbppplus"), read=_read_plus, texts=("prompt", "code"), paper=0.648
    ),
}
