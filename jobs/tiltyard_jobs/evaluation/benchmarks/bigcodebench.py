"""BigCodeBench, Complete (Zhuo et al., arXiv 2406.15877): functions that use libraries.

Its programs run where these are, see `stages/references.py`. What stands around a model's code is the authors' own
test; the code is found in a reply more leniently than by them.
Records have `task_id`, `complete_prompt`, `code_prompt`, `entry_point`, `test` and `canonical_solution`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiltyard_jobs.evaluation.benchmarks.base import Benchmark, HubDataset, Record, identifier, text
from tiltyard_jobs.evaluation.programs import STOPS, cut_after_function, defines, find_code

# The tests stand in a module of this name, by which some of them replace functions.
_RUN_TESTS = """\
import os
import sys
import types
import unittest


def _run(source):
    module = types.ModuleType("__test__")
    module.__dict__.update(__file__="__test__.py", sys=sys, os=os, environ=os.environ)
    sys.modules["__test__"] = module
    exec(compile(source, "__test__.py", "exec"), module.__dict__)
    result = unittest.TestResult()
    unittest.TestLoader().loadTestsFromTestCase(module.TestCases).run(result)
    wrong = [*result.failures, *result.errors]
    assert result.testsRun, "no test ran"
    assert not wrong, f"{len(wrong)} of {result.testsRun} tests: {wrong[0][1].strip().splitlines()[-1]}"


"""


@dataclass(frozen=True)
class SuiteTask:
    """A task of BigCodeBench: a function, tested by a class of unittest.

    Attributes:
        task_id: the benchmark's own.
        prompt: Python that a model goes on with: imports, and a header with a docstring.
        entry_point: the function.
        header: imports and the function's header alone.
        test: defines `TestCases`.
        solution: the authors', the function's body.
    """

    task_id: str
    prompt: str
    entry_point: str
    header: str
    test: str
    solution: str

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a server ends a raw completion."""
        return STOPS

    def message(self) -> str:
        """The user's turn."""
        return (
            "Write the Python function whose header and docstring follow. Reply with the whole program in one fenced"
            f" code block, imports included and without tests or examples.\n\n```python\n{self.prompt.rstrip()}\n```"
        )

    def from_chat(self, reply: str) -> str:
        """The program of a chat reply, behind the imports that the task gives (the authors' "calibrated" score)."""
        code = find_code(reply, self.entry_point)
        return self._program(code if defines(code, self.entry_point) else f"{self.prompt}{code}")

    def from_completion(self, reply: str) -> str:
        """The program of a raw completion, up to the end of the function."""
        return self._program(f"{self.prompt}{cut_after_function(reply)}")

    def reference(self) -> str:
        """The program of the authors' solution."""
        return self._program(f"{self.prompt}\n{self.solution}")

    def _program(self, code: str) -> str:
        source = f"{self.header}\n    pass\n{code}\n\n{self.test}\n"
        return f"{_RUN_TESTS}_run({source!r})\n"


def _read(record: Record) -> SuiteTask:
    names = ("complete_prompt", "entry_point", "code_prompt", "test", "canonical_solution")
    return SuiteTask(identifier(record), *(text(record, name) for name in names))


_TEXTS = ("complete_prompt", "instruct_prompt", "canonical_solution")

BENCHMARKS = {
    "bigcodebench": Benchmark(
        title="BigCodeBench", hub=HubDataset("bigcode/bigcodebench", split="v0.1.4"), read=_read, texts=_TEXTS
    ),
    "bigcodebench_hard": Benchmark(
        title="BigCodeBench-Hard", hub=HubDataset("bigcode/bigcodebench-hard", split="v0.1.4"), read=_read, texts=_TEXTS
    ),
}
