"""DS-1000 (Lai et al., arXiv 2211.11501): code that uses libraries, and that takes a place in a program.

Its programs run where these are, see `stages/references.py`. What stands around a model's code is the authors' own
test; the code is found in a reply more leniently than by them.
Records have `prompt`, `code_context`, `reference_code` and `metadata` with `problem_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiltyard_jobs.evaluation.benchmarks.base import Benchmark, HubDataset, Record, identifier, text
from tiltyard_jobs.evaluation.programs import find_code

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


def _read(record: Record) -> SnippetTask:
    about = record["metadata"]
    if not isinstance(about, Mapping):
        raise TypeError(f"metadata is {type(about).__name__}, not an object")
    solution = text(record, "reference_code")
    return SnippetTask(identifier(about, "problem_id"), text(record, "prompt"), text(record, "code_context"), solution)


BENCHMARKS = {
    "ds1000": Benchmark(
        title="DS-1000", hub=HubDataset("xlangai/DS-1000"), read=_read, texts=("prompt", "reference_code")
    )
}
