"""CRUXEval (Gu et al., arXiv 2401.03065): tasks whose answer is the missing half of an assertion.

The model is given a function `f` and finds what it returns (CRUXEval-O), or arguments for which it returns a given
value (CRUXEval-I). As the authors do, `f` is run to see whether the assertion holds. An answer is a value: the authors
refuse one that calls `f`, and here no call and no name is one, since Python would find the answer instead of the model.

Records have `id`, `code`, `input` and `output`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from tiltyard_jobs.evaluation.benchmarks.base import Benchmark, HubDataset, Record, text

STOPS = ("\n",)
MAX_ANSWER = 4000  # characters

_FENCE = re.compile(r"^(?:`{3,}|~{3,})[^\n]*$", re.MULTILINE)
# In the program, not in the worker: what parses a hostile text is bounded in time and memory there.
_READ_ANSWER = """\
import ast as _ast


def _answer(text, is_call):
    tree = _ast.parse(text, mode="eval")
    parts = [tree.body]
    if is_call:
        assert isinstance(tree.body, _ast.Call) and isinstance(tree.body.func, _ast.Name)
        parts = [*tree.body.args, *(keyword.value for keyword in tree.body.keywords)]
    for node in (node for part in parts for node in _ast.walk(part)):
        if isinstance(node, _ast.Call):
            assert _ast.unparse(node) in ("set()", "frozenset()"), "the answer is no value"
        elif isinstance(node, _ast.Name):
            assert node.id in ("set", "frozenset"), "the answer is no value"
        else:
            assert not isinstance(node, (_ast.Attribute, _ast.Lambda, _ast.NamedExpr, _ast.comprehension)), "no value"
    return eval(compile(tree, "answer", "eval"), {"f": f})

"""


@dataclass(frozen=True)
class AssertionTask:
    """One task.

    Attributes:
        task_id: the benchmark's own.
        code: defines `f`.
        given: the known half: arguments of `f`, or what it returns.
        finds_output: the output is asked for; else arguments.
    """

    task_id: str
    code: str
    given: str
    finds_output: bool

    @property
    def prompt(self) -> str:
        """Python that a model goes on with."""
        return f"{self.code.rstrip()}\n\n{self._begins}"

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a server ends a raw completion."""
        return STOPS

    @property
    def _begins(self) -> str:
        return f"assert f({self.given}) ==" if self.finds_output else "assert f("

    @property
    def _ends(self) -> str:
        return "" if self.finds_output else f") == {self.given}"

    def message(self) -> str:
        """The user's turn."""
        what = "the value that the function returns" if self.finds_output else "arguments for which the assertion holds"
        gap = " ??" if self.finds_output else "??"
        return (
            f"Here is a Python function, which may contain errors, and an assertion about it. Replace ?? with {what}."
            " Write a literal: no calls, no names. Reply with the completed assertion alone, in a fenced code block."
            f"\n\n```python\n{self.prompt}{gap}{self._ends}\n```"
        )

    def from_chat(self, reply: str) -> str:
        """The program of a chat reply: of its last assertion about `f`, else of its last line."""
        lines = [line.strip() for line in _FENCE.sub("", reply).splitlines() if line.strip()]
        asserted = [line for line in lines if line.startswith("assert f(")]
        return self._program(self._answer((asserted or lines or [""])[-1]))

    def from_completion(self, reply: str) -> str:
        """The program of a raw completion: what stands on its first line."""
        return self._program(self._answer(self._begins + reply.partition("\n")[0]))

    def _answer(self, line: str) -> str:
        """What stands in the assertion's open half; a line that is no such assertion is the answer itself."""
        line = line.strip("` ")
        if not line.startswith("assert f("):
            return line
        if self.finds_output:
            return line[len(self._begins) :] if line.startswith(self._begins) else line.rpartition(" == ")[2]
        arguments = line.removeprefix("assert f(")
        if arguments.endswith(self._ends):
            return arguments[: -len(self._ends)]
        return arguments.rpartition(") ==")[0] or arguments.rstrip(")")

    def _program(self, answer: str) -> str:
        call = f"f({answer[:MAX_ANSWER]})"
        if self.finds_output:
            known, found = f"f({self.given})", f"_answer({call[1:]!r}, False)"
        else:
            known, found = self.given, f"_answer({call!r}, True)"
        return f"{self.code}\n\n{_READ_ANSWER}\nassert {known} == {found}\n"


def read_task(record: Record, *, finds_output: bool) -> AssertionTask:
    """A task of a record.

    Raises:
        KeyError: a field is missing.
        TypeError: a field is no text.
    """
    name, code, given, result = (text(record, field) for field in ("id", "code", "input", "output"))
    return AssertionTask(name, code, given if finds_output else result, finds_output)


_HUB = HubDataset("cruxeval-org/cruxeval")

BENCHMARKS = {
    "cruxeval_input": Benchmark(
        title="CRUXEval-I", hub=_HUB, texts=("code",), read=partial(read_task, finds_output=False)
    ),
    "cruxeval_output": Benchmark(
        title="CRUXEval-O", hub=_HUB, texts=("code",), read=partial(read_task, finds_output=True)
    ),
}
