"""Tasks whose programs use libraries: DS-1000 and BigCodeBench. They run where these are, see `stages/references.py`.

DS-1000: Lai et al., arXiv 2211.11501. BigCodeBench (Complete): Zhuo et al., arXiv 2406.15877. What stands around a
model's code is the authors' own test; the code is found in a reply more leniently than by them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiltyard_jobs.evaluation.programs import STOPS, cut_after_function, defines, find_code

OPEN, CLOSE, END = "<code>", "</code>", "\nEND SOLUTION"


@dataclass(frozen=True)
class SnippetTask:
    """A task of DS-1000: code that takes a place in a program.

    Attributes:
        task_id: the benchmark's own.
        prompt: the question, up to where the code begins.
        context: Python that defines `test_execution(code)`, which raises where the code is wrong, and where a task
            asks for a way of doing it also `test_string(code)`.
        solution: the authors'.
    """

    task_id: str
    prompt: str
    context: str
    solution: str

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a server ends a raw completion."""
        return (CLOSE, "# SOLUTION END", END)

    def message(self) -> str:
        """The user's turn."""
        return (
            "Complete the code of this task. Reply with the code that is missing alone, indented as its place asks"
            f" for, between {OPEN} and {CLOSE}.\n\n{self.prompt.rstrip()}"
        )

    def from_chat(self, reply: str) -> str:
        """The program of a chat reply: what stands between the tags, else in a fenced block, else all of it."""
        place = reply.find(OPEN)
        if place >= 0:
            return self._program(reply[place + len(OPEN) :])
        return self._program(find_code(reply, None))

    def from_completion(self, reply: str) -> str:
        """The program of a raw completion."""
        return self._program(reply)

    def reference(self) -> str:
        """The program of the authors' solution."""
        return self._program(self.solution)

    def _program(self, code: str) -> str:
        code = code[: min((at for stop in self.stops if (at := code.find(stop)) >= 0), default=len(code))]
        if "```" in code:
            code = find_code(code, None)
        also = "test_string(code)\n" if "test_string(" in self.context else ""
        return f"{self.context}\ncode = {code!r}\ntest_execution(code)\n{also}"


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


LibraryTask = SnippetTask | SuiteTask
